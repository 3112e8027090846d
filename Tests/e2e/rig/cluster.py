"""A leader and followers as processes on loopback, with ports that are known before they start: members name each other by them."""
import signal
import socket
import time
from pathlib import Path

from . import wire
from .node import Node, tool
from .proxy import Proxy, Way


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, below the range that the kernel hands out by itself, so that no connection takes one."""
    found = []
    candidate = 20_000 + (time.time_ns() // 1000) % 10_000
    for _ in range(12_000):
        if len(found) == count:
            return found
        candidate = 20_000 + (candidate + 1) % 12_000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", candidate))
                found.append(candidate)
            except OSError:
                pass
    raise AssertionError("no free ports between 20000 and 32000")


class ClusterNode(Node):
    def __init__(self, data: Path, name: str, port: int, *options: str, **settings):
        super().__init__(data, *options, **settings)
        self.name, self.fixed_port = name, port
        self.follows: str | None = None
        #: Where other nodes are told to find this one: a proxy's address, or its own.
        self.advertised = self.address

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.fixed_port}"

    def command(self) -> list[str]:
        command = super().command()
        command[command.index("--port") + 1] = str(self.fixed_port)
        if self.advertised != self.address:
            command += ["--advertise", self.advertised]
        return command + ["--node-name", self.name, *(["--follow", self.follows] if self.follows else [])]

    def status(self) -> dict:
        with self.wire(timeout=5) as link:
            return link.ask(wire.STATUS, {}).value

    def replication(self) -> dict:
        return self.status().get("replication") or {}

    def metric(self, line: str) -> float:
        """The value of the sample that begins with `line`."""
        for row in self.http("/metrics")[1].splitlines():
            if row.startswith(line):
                return float(row.rsplit(" ", 1)[1])
        raise AssertionError(f"no sample {line}")

    def resyncs(self, kind: str) -> int:
        """How many streams began so (`partial`, `truncate`, `snapshot`), for whatever reason."""
        rows = [row for row in self.http("/metrics")[1].splitlines() if row.startswith(f'nexadb_repl_resync_total{{kind="{kind}"')]
        assert rows, f"no sample of resyncs of kind {kind}"
        return sum(int(row.rsplit(" ", 1)[1]) for row in rows)


class Cluster:
    """`names[0]` leads at first."""

    def __init__(self, directory: Path, count: int = 3, options: tuple[str, ...] = (), with_members: bool = True,
                 proxy: Proxy | None = None):
        """With a proxy the nodes know each other by its addresses only; clients go to the nodes themselves."""
        names = [f"n{index + 1}" for index in range(count)]
        ports = free_ports(2 * count if proxy else count)
        fronts = ports[count:] or ports
        members = ",".join(f"{name}=127.0.0.1:{port}" for name, port in zip(names, fronts))
        more = ("--members", members) if with_members else ()
        self.nodes = [ClusterNode(Path(directory) / name, name, port, "--memory", "64MiB", "--threads", "1", "--workers", "2",
                                  *more, *options)
                      for name, port in zip(names, ports)]
        self.proxy = proxy
        for node, front in zip(self.nodes, fronts):
            node.advertised = f"127.0.0.1:{front}"
            if proxy:
                proxy.front(node.name, front, node.fixed_port)
        for follower in self.nodes[1:]:
            follower.follows = self.nodes[0].advertised

    def __getitem__(self, index: int) -> ClusterNode:
        return self.nodes[index]

    def start(self) -> "Cluster":
        for node in self.nodes:
            node.start()
        self.wait(self.nodes[0].takes_writes, "a leader")
        self.wait_followers(*self.nodes[1:])
        return self

    def kill(self):
        for node in self.nodes:
            node.kill()

    def ways(self, node: ClusterNode, direction: str = "both") -> list[Way]:
        """Between a node and all others: what it sends ("out"), what is sent to it ("in"), or both."""
        others = [other.name for other in self.nodes if other is not node]
        out, into = [self.proxy.way(node.name, other) for other in others], [self.proxy.way(other, node.name) for other in others]
        return {"out": out, "in": into, "both": out + into}[direction]

    def leader(self) -> ClusterNode | None:
        """The node that leads the newest epoch that any node knows of, if there is one."""
        leading, newest = [], 0
        for node in self.nodes:
            try:
                state = node.replication() if node.alive else {}
            except (OSError, wire.Closed):
                continue
            newest = max(newest, state.get("promised_epoch", 0))
            if state.get("role") == "leader":
                leading.append((state["epoch"], node))
        return next((node for epoch, node in leading if epoch == newest), None)

    def wait_leader(self, within: float = 30) -> ClusterNode:
        found: list[ClusterNode] = []

        def looks():
            found[:] = [leader] if (leader := self.leader()) else []
            return found
        self.wait(looks, "a leader", within)
        return found[0]

    def wait_followers(self, *followers: ClusterNode, leader: ClusterNode | None = None, within: float = 20):
        """Until the leader streams to each of these, and each knows who leads."""
        leader = leader or self.nodes[0]

        def streaming():
            peers = {peer["name"]: peer["state"] for peer in leader.replication().get("followers", [])}
            return all(peers.get(follower.name) == "streaming" for follower in followers)
        self.wait(streaming, "followers", within)
        for follower in followers:
            self.wait(lambda: follower.replication().get("leader") == leader.advertised, f"leader that {follower.name} knows", within)

    def wait_caught_up(self, *followers: ClusterNode, leader: ClusterNode | None = None, within: float = 20):
        """Until each of these shows what the leader has on disk now."""
        end = (leader or self.nodes[0]).status()["engine"]["durable_lsn"]
        for follower in followers:
            self.wait(lambda: follower.status()["engine"]["visible_lsn"] >= end, f"{follower.name} at LSN {end}", within)

    def promote(self, *candidates: ClusterNode) -> ClusterNode:
        """Makes the first of these that may lead the leader: one that lacks records refuses and names another."""
        answers = []
        for _ in range(5):
            for candidate in candidates:
                answer = admin(candidate, "promote")
                if answer.returncode == 0:
                    return candidate
                answers.append(answer.stderr.strip())
            time.sleep(0.3)
        raise AssertionError("\n".join([f"nobody could be promoted: {answers}", *self.tails()]))

    def settle(self, leader: ClusterNode, within: float = 30):
        """Until all others follow this leader, directly or one behind the other, and show what it has."""
        def follows(node: ClusterNode):
            state = node.replication()
            age = state.get("staleness_seconds")
            return state.get("role") == "follower" and state.get("leader") == leader.advertised and age is not None and age < 3
        others = [node for node in self.nodes if node is not leader]
        for node in others:
            self.wait(lambda: follows(node), f"{node.name} behind {leader.name}", within)
        self.wait_caught_up(*others, leader=leader, within=within)

    def assert_nobody_crashed(self):
        """Nodes end when they are told to, or are killed by a test; nothing else ends them."""
        for node in self.nodes:
            code = node.process.poll() if node.process else None
            assert code is None or code >= 0 or code == -signal.SIGKILL, \
                f"{node.name} crashed: {signal.Signals(-code).name}\n{node.output()[-2000:]}"

    def tails(self) -> list[str]:
        """The last words of each node."""
        return [f"--- {node.name}\n{node.output()[-2500:]}" for node in self.nodes]

    def wait(self, condition, what: str, within: float = 20):
        deadline = time.monotonic() + within
        while True:
            self.assert_nobody_crashed()
            try:
                if condition():
                    return
            except (OSError, wire.Closed):
                pass
            if time.monotonic() > deadline:
                raise AssertionError("\n".join([f"no {what} within {within} s", *self.tails()]))
            time.sleep(0.02)


def admin(node: ClusterNode, *command: str, timeout: float = 30):
    """`nexadb COMMAND HOST:PORT`."""
    return tool(*command, node.address, timeout=timeout)


def create(link: wire.Wire, collection: str, key: str, *, options: dict | None = None, **fields) -> wire.Answer:
    answer = link.ask(wire.CREATE, {"collection": collection, "data": {"_id": key, **fields}, **(options or {})})
    assert answer.type == wire.SUCCESS, answer
    return answer


def ids(node: ClusterNode, collection: str) -> list[str]:
    """The keys of a collection as a node shows them, sorted."""
    with node.wire() as link:
        answer = link.ask(wire.QUERY, {"collection": collection, "projection": {"_id": 1}})
        assert answer.type == wire.SUCCESS, answer
        return sorted(document["_id"] for document in answer.value)

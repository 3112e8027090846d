"""Leaders that die under load, followers that join late: no write that was acknowledged by a majority is ever missing."""
import itertools
import shutil
import threading
import time

from rig import wire
from rig.cluster import admin, ids
from rig.node import tool


class Writers:
    """Threads that write with `w: majority` to whoever leads, and note what was acknowledged and what may have happened."""

    def __init__(self, cluster, count: int = 3):
        self.cluster, self.done = cluster, threading.Event()
        self.leader = cluster[0]
        self.acknowledged: set[str] = set()
        self.attempted: set[str] = set()
        self.unexpected: list = []
        self.threads = [threading.Thread(target=self.write, args=(index,), daemon=True) for index in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()

    def write(self, index: int):
        numbers = itertools.count()
        while not self.done.is_set():
            try:
                with self.leader.wire(timeout=3) as link:
                    while not self.done.is_set():
                        key = f"w{index}-{next(numbers)}"
                        self.attempted.add(key)
                        answer = link.ask(wire.CREATE, {"collection": "c", "data": {"_id": key}, "w": "majority",
                                                        "wtimeout_ms": 2000})
                        if answer.type == wire.SUCCESS:
                            self.acknowledged.add(key)
                        elif answer.code in ("NOT_LEADER", "WRITE_CONCERN_TIMEOUT"):
                            break
                        elif answer.code not in ("SHUTTING_DOWN", "READ_ONLY", "STORAGE_FAILED"):
                            self.unexpected.append(answer)
            except (OSError, wire.Closed):
                pass
            time.sleep(0.05)


def test_no_majority_write_is_lost_when_leaders_are_killed(cluster, rng, report):
    c = cluster()
    rounds, begin = 3, time.monotonic()
    leader = c[0]
    with Writers(c) as writers:
        for _ in range(rounds):
            before = len(writers.acknowledged)
            c.wait(lambda: len(writers.acknowledged) > before + 30, "load")
            time.sleep(rng.random() * 0.2)
            leader.kill()
            heirs = [node for node in c.nodes if node is not leader]
            rng.shuffle(heirs)
            # The one that lacks records says so and names the other.
            new = next(heir for heir in heirs if admin(heir, "promote").returncode == 0)
            writers.leader = new
            for other in c.nodes:
                other.follows = None if other is new else new.address
            leader.start()
            c.wait_followers(leader, *[heir for heir in heirs if heir is not new], leader=new)
            leader = new
        before = len(writers.acknowledged)
        c.wait(lambda: len(writers.acknowledged) > before + 30, "load")
    assert not writers.unexpected, writers.unexpected[:3]
    c.wait_caught_up(*[node for node in c.nodes if node is not leader], leader=leader)
    for node in c.nodes:
        found = set(ids(node, "c"))
        assert not writers.acknowledged - found, f"{node.name} lacks acknowledged writes"
        assert not found - writers.attempted, f"{node.name} has what nobody wrote"
    report(f"replication: {rounds} leaders killed in {time.monotonic() - begin:.0f} s, {len(writers.acknowledged)} majority writes "
           f"acknowledged of {len(writers.attempted)} attempted, 0 lost")


def test_a_follower_that_joins_late_takes_a_snapshot_and_streams_on(cluster, rng):
    c = cluster(2, "--memory", "16MiB", "--change-log-bytes", "0", with_members=False)
    batch_count = 0

    def write(link, count):
        """Bytes that do not compress: more than one segment of the log has to be filled before one can be given up."""
        nonlocal batch_count
        for _ in range(count):
            documents = [{"_id": f"{batch_count:03}-{i}", "bytes": rng.randbytes(128 << 10)} for i in range(8)]
            assert link.ask(wire.BATCH_WRITE, {"collection": "big", "documents": documents}).type == wire.SUCCESS
            batch_count += 1

    with c[0].wire() as link:
        write(link, 5)
        c.wait_caught_up(c[1])
        c[1].kill()
        c.wait(lambda: not c[0].replication()["followers"], "end of the follower")
        # Its slot goes, and with it the log: who comes now is too late for the stream.
        assert "n2" in admin(c[0], "cluster", "slots").stdout
        assert tool("cluster", "slots", c[0].address, "--drop", "n2").returncode == 0
        shutil.rmtree(c[1].data)
        write(link, 80)
        c.wait(lambda: c[0].replication()["oldest_lsn"] > 1, "a log that has been given up in part")
        c[1].start()
        c.wait_followers(c[1], within=40)
        write(link, 5)
    c.wait_caught_up(c[1], within=40)
    assert ids(c[1], "big") == ids(c[0], "big")
    assert c[0].resyncs("partial") >= 1
    assert c[0].metric('nexadb_repl_resync_total{kind="snapshot",reason="retention"}') == 1
    with c[0].wire() as left, c[1].wire() as right:
        for key in ("000-0", "040-3", f"{batch_count - 1:03}-7"):
            read = {"collection": "big", "key": key}
            assert left.ask(wire.READ, read).value == right.ask(wire.READ, read).value

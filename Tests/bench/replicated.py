"""Replicated servers of a comparison: a leader and its followers as processes on free ports of the loopback.

Each kind has `nodes`, the leader first, and the same few methods; every write is on the leader's disk before its answer.
"""

import glob
import json
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import time

import peers


def wait(condition, what: str, within: float = 60) -> None:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:.0f} s: {what}")
        time.sleep(0.01)


class Cluster:
    name: str
    nodes: list[peers.Peer]

    def bench_arguments(self, node: int) -> list[str]:
        return self.nodes[node].bench_arguments()

    def settle(self, limit: float = 10) -> None:
        """Until followers have everything and nobody works any more behind the answers."""
        self.wait_caught_up()
        for node in self.nodes:
            node.settle(limit)

    def wait_caught_up(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.stop()


# NexaDB

class NexaNode(peers.Peer):
    def __init__(self, program: str, directory: pathlib.Path, name: str, port: int, *more: str):
        self.name, self.port, self.program = name, port, program
        super().__init__([program, "serve", "--data-dir", str(directory), "--port", str(port), "--admin-port", str(peers.free_port()),
                          "--node-name", name, "--change-log-bytes", "0", *more], directory)
        self.log_path = directory.with_suffix(".log")

    def bench_arguments(self) -> list[str]:
        return ["--target", "nexa", "--port", str(self.port)]

    def status(self) -> dict:
        shown = subprocess.run([self.program, "status", "--port", str(self.port), "--json", "--timeout", "5"], capture_output=True,
                               text=True, timeout=30)
        return json.loads(shown.stdout) if shown.returncode == 0 else {}

    def printed(self) -> list[str]:
        return self.log_path.read_text(errors="replace").splitlines()


class Nexa(Cluster):
    """`count` nodes; with members their disks count for majorities, without them the leader stands for itself. `more` are flags."""

    name = "nexadb"

    def __init__(self, program: str, directory: pathlib.Path, count: int, with_members: bool = True, more: tuple[str, ...] = ()):
        self.program, self.directory = program, directory
        ports = [peers.free_port() for _ in range(count)]
        members = ",".join(f"n{i + 1}=127.0.0.1:{port}" for i, port in enumerate(ports))
        self.more = [*more, *(["--members", members] if with_members else [])]
        self.nodes = []
        try:
            for port in ports:
                self.add(port)
            wait(lambda: self.nodes[0].status().get("role_in_cluster") == "leader", "a leader")
            self.wait_caught_up()
        except BaseException:
            self.stop()
            raise

    def add(self, port: int | None = None) -> NexaNode:
        name = f"n{len(self.nodes) + 1}"
        follow = ["--follow", f"127.0.0.1:{self.nodes[0].port}"] if self.nodes else []
        self.nodes.append(NexaNode(self.program, self.directory / name, name, port or peers.free_port(), *self.more, *follow))
        return self.nodes[-1]

    def forget_last(self) -> None:
        """Stops the last follower and gives its slot up: the log is not kept for it, nor for one that might still come back."""
        gone, leader = self.nodes.pop(), self.nodes[0]
        # The leader looks around several times a second; until it has seen a follower it keeps everything.
        wait(lambda: leader.status()["replication"]["followers"], "a follower that the leader sees")
        time.sleep(1)
        gone.stop()
        wait(lambda: not leader.status()["replication"]["followers"], "the follower's end")
        subprocess.run([self.program, "cluster", "slots", f"127.0.0.1:{leader.port}", "--drop", gone.name], check=True, timeout=30,
                       stdout=subprocess.DEVNULL)
        shutil.rmtree(self.directory / gone.name)

    def wait_log_given_up(self) -> None:
        """Until a new follower cannot have the whole log, and must take a copy."""
        wait(lambda: self.nodes[0].status()["replication"]["oldest_lsn"] > 1, "a log that has been given up in part")

    def wait_caught_up(self, within: float = 60) -> None:
        end = self.nodes[0].status().get("engine", {}).get("durable_lsn")
        for node in self.nodes[1:]:
            def there() -> bool:
                status = node.status()
                # While it swaps a copy in it tells nothing.
                leader = status.get("replication", {}).get("leader")
                return leader is not None and status["engine"]["visible_lsn"] >= end
            wait(there, f"{node.name} at LSN {end}", within)


# Redis

class RedisNode(peers.Peer):
    name = "redis"

    def __init__(self, program: str, directory: pathlib.Path, *more: str):
        self.port = peers.free_port()
        super().__init__([program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(directory), "--daemonize", "no",
                          "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--auto-aof-rewrite-percentage", "0",
                          "--repl-diskless-sync-delay", "0", "--client-output-buffer-limit", "replica 0 0 0", *more], directory)

    def bench_arguments(self) -> list[str]:
        return ["--target", "redis", "--port", str(self.port)]

    def stop(self) -> None:
        """Without ceremony: a replica that still writes its first file refuses to end, and the data is thrown away."""
        self.process.kill()
        super().stop()

    def info(self) -> dict[str, str]:
        """INFO REPLICATION; empty while it does not answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as link:
                link.sendall(b"INFO REPLICATION\r\n")
                stream = link.makefile("rb")
                text = stream.read(int(stream.readline()[1:])).decode()
        except (OSError, ValueError):
            return {}
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


class Redis(Cluster):
    name = "redis"

    def __init__(self, program: str, directory: pathlib.Path, count: int):
        self.program, self.directory, self.nodes = program, directory, []
        try:
            for _ in range(count):
                self.add()
            self.wait_caught_up()
        except BaseException:
            self.stop()
            raise

    def add(self) -> RedisNode:
        upstream = ["--replicaof", f"127.0.0.1 {self.nodes[0].port}"] if self.nodes else []
        self.nodes.append(RedisNode(self.program, self.directory / f"r{len(self.nodes) + 1}", *upstream))
        wait(lambda: self.nodes[-1].info(), "redis-server that answers")
        return self.nodes[-1]

    def wait_caught_up(self, within: float = 60) -> None:
        end = int(self.nodes[0].info()["master_repl_offset"])
        for node in self.nodes[1:]:
            def there() -> bool:
                info = node.info()
                return info.get("master_link_status") == "up" and int(info["slave_repl_offset"]) >= end
            wait(there, "the replica", within)


# PostgreSQL

class PostgresNode(peers.Peer):
    """One server; `program` lies in the directory of PostgreSQL's programs. Run as root, it runs as the user postgres."""

    name = "postgres"

    def __init__(self, programs: pathlib.Path, directory: pathlib.Path, upstream: int | None = None):
        self.port, self.programs, self.data = peers.free_port(), programs, directory / "data"
        directory.mkdir(parents=True)
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if self.user:
            os.chown(directory, self.user.pw_uid, self.user.pw_gid)
        if upstream is None:
            self.run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        else:
            self.run("pg_basebackup", "-h", "127.0.0.1", "-p", str(upstream), "-U", "postgres", "-D", str(self.data), "-R", "-X", "stream",
                     "-c", "fast")
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": directory, "shared_buffers": "256MB",
                    "max_connections": 200, "max_wal_size": "4GB", "synchronous_commit": "on", "log_min_messages": "warning",
                    "synchronous_standby_names": "*" if upstream is None else ""}
        self.log = open(directory.with_suffix(".log"), "w")
        command = [str(programs / "postgres"), "-D", str(self.data), *(x for k, v in settings.items() for x in ("-c", f"{k}={v}"))]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=directory,
                                        **self.identity())
        wait(lambda: self.sql("select 1") == "1", "postgres that answers")

    def identity(self) -> dict:
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}

    def run(self, program: str, *arguments: str) -> None:
        ran = subprocess.run([str(self.programs / program), *arguments], capture_output=True, text=True, timeout=120,
                             cwd=self.data.parent, **self.identity())
        if ran.returncode != 0:
            raise OSError(f"{program}: {ran.stderr.strip()[-500:]}")

    def sql(self, statement: str) -> str | None:
        ran = subprocess.run([str(self.programs / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-Atqc", statement],
                             capture_output=True, text=True, timeout=60)
        return ran.stdout.strip() if ran.returncode == 0 else None

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(2)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


class Postgres(Cluster):
    """A primary that answers a commit when the standby has flushed it."""

    name = "postgres"

    def __init__(self, programs: pathlib.Path, directory: pathlib.Path):
        self.programs, self.nodes = programs, []
        try:
            self.nodes.append(PostgresNode(programs, directory / "p1"))
            self.nodes.append(PostgresNode(programs, directory / "p2", upstream=self.nodes[0].port))
            wait(lambda: self.nodes[0].sql("select sync_state from pg_stat_replication") == "sync", "a synchronous standby")
            self.nodes[0].sql("create table documents(key text primary key, document jsonb not null)")
        except BaseException:
            self.stop()
            raise
        self.script = directory / "create.sql"
        self.script.write_text(
            "\\set id random(1, 999999999999)\n"
            "insert into documents values('user' || :id, '{\"name\": \"User 000000001\", \"email\": \"user000000001@example.com\", "
            "\"age\": 18}') on conflict do nothing;\n")

    def settle(self, limit: float = 10) -> None:
        self.nodes[0].sql("checkpoint")

    def creates(self, connections: int, seconds: float) -> float:
        """Inserts a second, by pgbench with prepared statements."""
        ran = subprocess.run([str(self.programs / "pgbench"), "-h", "127.0.0.1", "-p", str(self.nodes[0].port), "-U", "postgres", "-n",
                              "-M", "prepared", "-c", str(connections), "-j", "1", "-T", str(max(1, round(seconds))), "-f",
                              str(self.script), "postgres"], capture_output=True, text=True, timeout=120)
        if ran.returncode != 0:
            raise OSError(f"pgbench: {ran.stderr[-500:]}")
        return float(next(line for line in ran.stdout.splitlines() if line.startswith("tps = ")).split()[2])


def postgres_programs(may_install: bool) -> pathlib.Path | None:
    """The directory of initdb, postgres, pg_basebackup and pgbench."""
    def found() -> list[str]:
        return sorted(glob.glob("/usr/lib/postgresql/*/bin/pgbench"))
    if not found() and may_install:
        peers.install("postgresql", "pg_ctlcluster")
    return pathlib.Path(found()[-1]).parent if found() else None

"""What `cluster/` brings: a cluster on this machine with HAProxy in front, and the files that run one elsewhere."""
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from rig import wire
from rig.cluster import create, free_ports
from rig.node import BINARY, ROOT, environment, tool

HAPROXY = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
CLUSTER = ROOT / "cluster"
needs_haproxy = pytest.mark.skipif(not HAPROXY, reason="haproxy is not installed")


class LocalCluster:
    """`cluster/local` with data and ports of its own."""

    def __init__(self, data: Path, haproxy: str):
        self.data, self.haproxy = data, haproxy
        self.port = self.free_range()

    @staticmethod
    def free_range() -> int:
        """A port after which those that `cluster/local` takes are free, too."""
        for _ in range(200):
            base = free_ports(1)[0]
            try:
                for offset in (0, 1, 10, 11, 20, 21, 30, 31):
                    with socket.socket() as probe:
                        probe.bind(("127.0.0.1", base + offset))
                return base
            except OSError:
                continue
        raise AssertionError("no range of free ports")

    def run(self, action: str) -> subprocess.CompletedProcess:
        variables = {"NEXADB_BIN": str(BINARY), "CLUSTER_DATA": str(self.data), "CLUSTER_PORT": str(self.port), "HAPROXY": self.haproxy}
        return subprocess.run([str(CLUSTER / "local"), action], capture_output=True, text=True, timeout=90,
                              stdin=subprocess.DEVNULL, env=environment(variables))

    def link(self, offset: int) -> wire.Wire:
        return wire.Wire(self.port + offset, timeout=5)

    def pid(self, name: str) -> int:
        return int((self.data / f"{name}.pid").read_text())

    def role_behind(self, offset: int) -> str | None:
        """The role of whoever answers on that port; None when nobody does."""
        try:
            with self.link(offset) as link:
                return link.ask(wire.STATUS, {}).value["role_in_cluster"]
        except (OSError, wire.Closed):
            return None


@pytest.fixture
def local(tmp_path):
    made = []

    def make(haproxy=""):
        made.append(LocalCluster(tmp_path / "cluster", haproxy))
        ran = made[-1].run("start")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return made[-1], ran.stdout

    yield make
    for each in made:
        each.run("clean")


def eventually(condition, what: str, within: float = 20):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.05)


def test_a_local_cluster_starts_is_shown_survives_a_lost_disk_and_stops(local):
    cluster, shown = local()
    roles = {line.split()[0]: line.split()[2] for line in shown.splitlines() if line.startswith("n")}
    assert roles == {"n1": "leader", "n2": "follower", "n3": "follower"}, shown
    # Another leader, then the first node comes back with an empty disk: it joins and founds nothing.
    moved = tool("switchover", f"127.0.0.1:{cluster.port}", "--to", "n2")
    assert moved.returncode == 0, moved.stdout + moved.stderr
    pid = cluster.pid("n1")
    os.kill(pid, 9)
    eventually(lambda: b"serve" not in command_of(pid), "n1 is gone")
    shutil.rmtree(cluster.data / "n1")
    again = cluster.run("start")
    assert again.returncode == 0, again.stdout + again.stderr
    eventually(lambda: cluster.role_behind(0) == "follower" and cluster.role_behind(10) == "leader", "n1 follows n2")
    pids = [cluster.pid(name) for name in ("n1", "n2", "n3")]
    assert cluster.run("stop").returncode == 0
    assert not any(b"serve" in command_of(pid) for pid in pids)
    assert cluster.run("status").returncode == 1
    assert cluster.run("clean").returncode == 0 and not cluster.data.exists()


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@needs_haproxy
def test_haproxy_finds_the_leader_for_writes_and_followers_for_reads(local):
    cluster, shown = local(HAPROXY)
    reads, writes = 30, 31
    assert f"writes 127.0.0.1:{cluster.port + writes} -> n1" in shown, shown
    with cluster.link(writes) as link:
        create(link, "doors", "a", n=1)

    def seen():
        with cluster.link(reads) as link:
            return link.ask(wire.READ, {"collection": "doors", "key": "a"}).type == wire.SUCCESS
    eventually(seen, "the document behind the door for reads")
    assert {cluster.role_behind(reads) for _ in range(6)} == {"follower"}
    with cluster.link(reads) as link:
        assert link.ask(wire.CREATE, {"collection": "doors", "data": {"n": 2}}).code == "NOT_LEADER"

    # The door for writes follows the leadership.
    assert tool("switchover", f"127.0.0.1:{cluster.port}", "--to", "n3").returncode == 0

    def written():
        try:
            with cluster.link(writes) as link:
                return link.ask(wire.CREATE, {"collection": "doors", "data": {"_id": "b"}}).type == wire.SUCCESS
        except (OSError, wire.Closed):
            return False
    eventually(written, "a write through the door after the switchover")
    # The old leader's check may still be the one of a moment ago.
    eventually(lambda: cluster.run("status").stdout.splitlines()[-1].endswith("-> n3"), "the new leader alone behind the door")

    # With no follower left, reads go to the leader.
    for name in ("n1", "n2"):
        os.kill(cluster.pid(name), 9)
    eventually(lambda: cluster.role_behind(reads) == "leader", "the leader behind the door for reads")


# The files for other machines

def proxy_variables(**more) -> dict:
    nodes = {f"N{i}": f"127.0.0.1:{6960 + 10 * i}" for i in (1, 2, 3)}
    return {**environment(), **nodes, **{f"{name}_ADMIN": "6971" for name in nodes}, "READS": "127.0.0.1:7000",
            "WRITES": "127.0.0.1:7001", "STATS_SOCKET": "/tmp/unused.sock", **more}


@needs_haproxy
@pytest.mark.parametrize("more", [{}, {"DNS": "on"}], ids=["addresses", "names"])
def test_haproxy_accepts_its_configuration(more):
    checked = subprocess.run([HAPROXY, "-c", "-f", str(CLUSTER / "haproxy/haproxy.cfg")], capture_output=True, text=True, timeout=30,
                             env=proxy_variables(**more))
    assert checked.returncode == 0 and "WARNING" not in checked.stderr, checked.stdout + checked.stderr


def accepts(arguments: list[str]) -> dict[str, str]:
    """The settings that a node would use with these arguments of `serve`."""
    printed = tool("serve", *arguments, "--print-config")
    assert printed.returncode == 0, printed.stderr
    return {name.strip(): value.strip() for name, value in (line.split("=", 1) for line in printed.stdout.splitlines())}


@pytest.mark.parametrize("name, follows", [("leader", "off"), ("follower", "db1:6970")])
def test_the_configurations_of_a_leader_and_a_follower_are_accepted(name, follows):
    settings = accepts(["--config", str(CLUSTER / f"systemd/{name}.conf")])
    assert settings["follow"] == follows
    assert f"{settings['node-name']}={settings['advertise']}" in settings["members"].split(",")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path):
    unit = tmp_path / "nexadb.service"
    unit.write_text((CLUSTER / "systemd/nexadb.service").read_text().replace("/usr/local/bin/nexadb", str(BINARY.resolve())))
    checked = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0 and "nexadb" not in checked.stderr, checked.stderr


def entry_point() -> list[str]:
    """The arguments of `serve` that the image brings."""
    line = next(line for line in (CLUSTER / "container/Containerfile").read_text().splitlines() if line.startswith("ENTRYPOINT"))
    command = yaml.safe_load(line.removeprefix("ENTRYPOINT "))
    assert command[1] == "serve"
    return command[2:]


def test_the_compose_file_starts_three_members_and_a_proxy():
    compose = yaml.safe_load((CLUSTER / "compose.yaml").read_text())
    members = None
    for name in ("n1", "n2", "n3"):
        settings = accepts([*entry_point(), *compose["services"][name]["command"]])
        assert settings["node-name"] == name and settings["advertise"] == f"{name}:6970"
        assert settings["follow"] == ("off" if name == "n1" else "n1:6970")
        assert members in (None, settings["members"])
        members = settings["members"]
        assert compose["services"][name]["volumes"] == [f"{name}:/var/lib/nexadb"]
    assert members == "n1=n1:6970,n2=n2:6970,n3=n3:6970"
    proxy = compose["services"]["haproxy"]
    assert set(proxy["environment"]) == proxy_places() | {"DNS"}
    assert all(port.startswith("127.0.0.1:") for port in proxy["ports"]), "without authentication nobody else may reach it"


def test_debians_haproxy_gets_every_place_from_its_drop_in():
    lines = (CLUSTER / "systemd/haproxy.conf").read_text().splitlines()
    given = [pair.split("=")[0] for line in lines if line.startswith("Environment=") for pair in line.removeprefix("Environment=").split()]
    assert set(given) == proxy_places()


def proxy_places() -> set[str]:
    text = (CLUSTER / "haproxy/haproxy.cfg").read_text()
    return {part.split("}")[0] for part in text.split("${")[1:]}


@pytest.fixture(scope="module")
def manifests() -> dict[tuple[str, str], dict]:
    found = {}
    for path in sorted((CLUSTER / "kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            assert document["apiVersion"], path
            found[document["kind"], document["metadata"]["name"]] = document
    return found


def test_the_manifests_fit_together(manifests):
    nodes, proxy = manifests["StatefulSet", "nexadb"], manifests["Deployment", "nexadb-haproxy"]
    for owner in (nodes, proxy):
        labels = owner["spec"]["template"]["metadata"]["labels"]
        assert owner["spec"]["selector"]["matchLabels"].items() <= labels.items()
        container = owner["spec"]["template"]["spec"]["containers"][0]
        ports = {port["name"] for port in container["ports"]}
        for probe in (value for key, value in container.items() if key.endswith("Probe")):
            assert next(iter(action["port"] for action in probe.values() if isinstance(action, dict))) in ports
        assert owner["spec"]["template"]["spec"]["enableServiceLinks"] is False
    headless = manifests["Service", nodes["spec"]["serviceName"]]
    assert headless["spec"]["clusterIP"] == "None" and headless["spec"]["publishNotReadyAddresses"] is True
    proxy_ports = {port["name"] for port in proxy["spec"]["template"]["spec"]["containers"][0]["ports"]}
    for name, door in (("nexadb-leader", "writes"), ("nexadb-read", "reads")):
        assert manifests["Service", name]["spec"]["ports"][0]["targetPort"] == door and door in proxy_ports
    assert manifests["ConfigMap", "nexadb-haproxy"]["data"]["haproxy.cfg"] == (CLUSTER / "haproxy/haproxy.cfg").read_text()
    places = {v["name"] for v in proxy["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert places == proxy_places() | {"DNS", "NAMESPACE"}


@pytest.mark.parametrize("pod, others_lead, follows", [
    ("nexadb-0", False, "off"), ("nexadb-0", True, "nexadb-1.nexadb:6970"), ("nexadb-1", False, "nexadb-0.nexadb:6970")])
def test_a_pod_becomes_the_node_of_its_name(manifests, tmp_path, pod, others_lead, follows):
    container = manifests["StatefulSet", "nexadb"]["spec"]["template"]["spec"]["containers"][0]
    stand_in = tmp_path / "nexadb"
    stand_in.write_text(f'#!/bin/sh\n[ "$1" = cluster ] && exit {0 if others_lead else 1}\nexec {BINARY.resolve()} "$@"\n')
    stand_in.chmod(0o755)
    ran = subprocess.run([*container["command"], *container["args"]], capture_output=True, text=True, timeout=30,
                         env=environment({"PATH": f"{tmp_path}:{os.environ['PATH']}", "NODE": pod, "MORE": "--print-config"}))
    assert ran.returncode == 0, ran.stderr
    settings = {name.strip(): value.strip() for name, value in (line.split("=", 1) for line in ran.stdout.splitlines())}
    assert settings["follow"] == follows
    assert f"{settings['node-name']}={settings['advertise']}" in settings["members"].split(",")
    assert settings["node-name"] == pod and settings["host"] == settings["admin-host"] == "0.0.0.0"

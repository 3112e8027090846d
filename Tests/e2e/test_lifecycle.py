"""A node's life as its operator sees it: configuration, start-up line, locks, graceful stop, metrics, check, a full disk, damaged files."""
import os
import re
import shutil
import signal
import socket
import stat
import threading
import time
from pathlib import Path

import pytest

from rig import wire
from rig.faults import fill_up, written
from rig.node import Node, StartFailed, tool
from rig.plain import PlainClient, Refused

MiB = 1 << 20


def fill(node, count=200, collection="c", size=100):
    with PlainClient(node.port) as c:
        for start in range(0, count, 100):
            c.batch(collection, documents=[{"_id": f"{n:06}", "n": n, "pad": f"{n * 7919:x}" * (size // 4)}
                                           for n in range(start, min(start + 100, count))])


def refused(node: Node) -> StartFailed:
    """The failed start of a node that must not come up, which must be quick and speak."""
    start = time.monotonic()
    with pytest.raises(StartFailed) as failure:
        node.start()
    assert failure.value.code not in (0, "none, silent") and time.monotonic() - start < 10
    assert len(failure.value.output) < 3000, "a refusal is a sentence, no crash report"
    assert failure.value.code > 0, f"ended by a signal: {failure.value}"
    return failure.value


# Starting


def test_start_up_line_tells_what_runs_where_and_how_durable(make_node):
    node = make_node("some data", "--durability", "os").start()
    line = next(text for text in node.output().splitlines() if str(node.port) in text)
    assert "nexadb" in line.lower() and str(node.data) in line and str(node.admin_port) in line
    assert re.search(r"durab\w+[^a-z]*os", line, re.I), line
    assert node.port > 1024 and node.admin_port > 1024 and node.port != node.admin_port, "port 0 takes free ones"


def test_data_is_private_to_its_owner(make_node):
    node = make_node().start()
    fill(node)
    for path in [node.data, *node.data.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"{path} is open to others"


def test_empty_node_is_small(make_node, report):
    node = make_node().start()
    assert node.answers_ping()
    time.sleep(0.3)
    report(f"empty node: {node.resident_bytes() / MiB:.1f} MiB resident")
    assert node.resident_bytes() < 40 * MiB


def test_second_node_on_the_same_directory_is_refused(make_node):
    node = make_node().start()
    second = refused(Node(node.data, output=node.data.parent / "second.log"))
    assert str(node.data) in second.output and re.search("lock|in use|another|already", second.output)
    assert node.answers_ping()


def test_taken_port_is_named(make_node):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert str(port) in refused(make_node("node", "--port", str(port))).output


def test_listening_beyond_loopback_is_refused(make_node):
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        failure = refused(make_node("node", "--host", host))
        assert "insecure" in failure.output and host in failure.output


@pytest.mark.parametrize("place", ["a file", "a file/below"])
def test_data_directory_that_cannot_be_is_named(make_node, tmp_path, place):
    (tmp_path / "a file").write_text("not a directory")
    assert "a file" in refused(Node(tmp_path / place, output=tmp_path / "log")).output


# Configuration


def settings(text: str) -> dict:
    return dict(re.match(r"([a-z-]+)\s*=\s*(.*)", line).groups() for line in text.splitlines() if "=" in line)


def print_config(*flags, env=None):
    return tool("serve", "--print-config", *flags, env=env)


def test_print_config_shows_every_setting_and_starts_nothing(tmp_path):
    shown = print_config("--data-dir", str(tmp_path / "never"))
    assert shown.returncode == 0
    assert {"data-dir", "host", "port", "admin-port", "durability", "memory", "max-connections", "max-frame", "log-level"} \
        <= set(settings(shown.stdout))
    assert settings(shown.stdout)["port"] == "6970" and settings(shown.stdout)["durability"] == "disk"
    assert not (tmp_path / "never").exists()


def test_printed_config_can_be_read_back(tmp_path):
    shown = print_config("--memory", "96MiB", "--max-frame", "1MiB").stdout
    (tmp_path / "nexadb.conf").write_text(shown)
    assert print_config("--config", str(tmp_path / "nexadb.conf")).stdout == shown


def test_flags_win_over_variables_over_the_file(tmp_path):
    file = tmp_path / "nexadb.conf"
    file.write_text("# comment\nmemory = 64MiB\nmax-connections = 11\nlog-level = \"warning\"\n")
    shown = settings(print_config("--config", str(file), "--memory", "256MiB",
                                  env={"NEXADB_MEMORY": "128MiB", "NEXADB_MAX_CONNECTIONS": "12"}).stdout)
    assert (shown["memory"], shown["max-connections"], shown["log-level"]) == ("256MiB", "12", "warning")


def test_variables_of_the_tools_are_no_settings():
    assert print_config(env={"NEXADB_PASSWORD": "secret"}).returncode == 0


@pytest.mark.parametrize("flags, env, file, named", [
    (["--max-conections", "5"], {}, "", "max-conections"),
    ([], {"NEXADB_MEMROY": "1GiB"}, "", "NEXADB_MEMROY"),
    ([], {}, "durabilty = disk\n", "durabilty"),
    (["--durability", "sometimes"], {}, "", "sometimes"),
    (["--memory", "lots"], {}, "", "lots"),
    (["--port", "70000"], {}, "", "70000"),
    ([], {"NEXADB_PORT": "x"}, "", "NEXADB_PORT"),
    ([], {}, "port\n", ":1"),
    (["--max-frame", "12"], {}, "", "max-frame"),
    (["--memory", "9999999999GiB"], {}, "", "memory"),
], ids=["flag", "variable", "key", "word", "size", "port", "number", "line", "small frame", "overflow"])
def test_unknown_keys_and_values_are_errors_that_name_them(tmp_path, flags, env, file, named):
    if file:
        (tmp_path / "conf").write_text(file)
        flags = [*flags, "--config", str(tmp_path / "conf")]
    shown = print_config(*flags, env=env)
    assert shown.returncode not in (0, None) and shown.returncode > 0
    assert named in shown.stderr + shown.stdout, shown


def test_missing_config_file_is_an_error(tmp_path):
    shown = print_config("--config", str(tmp_path / "absent.conf"))
    assert shown.returncode > 0 and "absent.conf" in shown.stderr + shown.stdout


# Stopping


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_stop_finishes_what_is_under_way_and_restarts_clean(make_node, stop):
    node = make_node().start()
    acknowledged, refused_some, lock = set(), 0, threading.Lock()
    enough = threading.Event()

    def write(thread):
        nonlocal refused_some
        with node.wire(timeout=20) as c:
            sent = answered = 0
            try:
                while True:
                    while sent - answered < 32:
                        c.send(wire.CREATE, {"collection": "c", "data": {"_id": f"{thread}-{sent}"}})
                        sent += 1
                    answer = c.recv()
                    with lock:
                        if answer.type == wire.SUCCESS:
                            acknowledged.add(f"{thread}-{answered}")
                        else:
                            assert answer.code == "SHUTTING_DOWN", answer
                            refused_some += 1
                        if len(acknowledged) > 2000:
                            enough.set()
                    answered += 1
            except (wire.Closed, OSError):
                pass

    threads = [threading.Thread(target=write, args=(n,), daemon=True) for n in range(4)]
    [t.start() for t in threads]
    assert enough.wait(30)
    os.kill(node.pid, stop)
    assert node.wait(15) == 0
    [t.join(30) for t in threads]
    assert not any(t.is_alive() for t in threads)
    node.start()
    with PlainClient(node.port) as c:
        found = {d["_id"] for d in c.query("c", projection={"_id": 1})}
    assert acknowledged - found == set(), "acknowledged and lost"
    assert len(found - acknowledged) <= 4 * 32, "only what was in flight may be there without its answer"


def test_stop_with_idle_connections_and_open_streams_is_quick(make_node):
    node = make_node().start()
    fill(node, 3000)
    idle = [PlainClient(node.port) for _ in range(20)]
    [c.call(wire.PING, {}) for c in idle]
    streamer = PlainClient(node.port, features=["stream"])
    streamer.wire.send(wire.QUERY, {"collection": "c", "stream": True, "batch_size": 10})
    assert streamer.wire.recv().type == wire.STREAM_START
    start = time.monotonic()
    assert node.stop(20) == 0
    assert time.monotonic() - start < 12
    [c.wire.close() for c in [*idle, streamer]]


def test_writes_at_os_durability_survive_sigterm_and_sigkill(make_node):
    node = make_node("node", "--durability", "os").start()
    with PlainClient(node.port) as c:
        for n in range(500):
            c.create("c", {"_id": str(n)})
    assert node.stop() == 0
    node.start()
    with PlainClient(node.port) as c:
        for n in range(500, 1000):
            c.create("c", {"_id": str(n)})
        node.kill()
    node.start()
    with PlainClient(node.port) as c:
        assert c.call(wire.COUNT, {"collection": "c"})["count"] == 1000


# Being watched


def metrics(node) -> dict[str, float]:
    """The samples of /metrics, by a strict reading of Prometheus's text format."""
    status, text = node.http("/metrics")
    assert status == 200
    samples, kinds = {}, {}
    for line in text.splitlines():
        if not line or line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind in ("counter", "gauge", "histogram", "summary") and name not in kinds
            kinds[name] = kind
            continue
        sample = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*",?)*\})? (\S+)', line)
        assert sample, f"not a sample: {line!r}"
        family = re.sub(r"_(bucket|sum|count)$", "", sample[1])
        assert sample[1] in kinds or family in kinds, f"{sample[1]} has no TYPE"
        key = sample[1] + (sample[2] or "")
        assert key not in samples, f"{key} twice"
        samples[key] = float(sample[3])
    assert text.endswith("\n")
    return samples


def test_metrics_and_health_can_be_read(make_node):
    node = make_node().start()
    assert node.http("/health")[0] == 200
    before = metrics(node)
    fill(node, 500)
    with PlainClient(node.port) as c:
        for _ in range(50):
            c.get("c", "000001")
    after = metrics(node)
    assert set(before) <= set(after) and len(after) > 15
    assert any(name.startswith("nexadb_") for name in after)
    grown = [name for name in before if after[name] > before[name]]
    assert len(grown) >= 4, f"traffic shows: {grown}"
    assert node.http("/nowhere")[0] == 404


# Looking at a stopped node's files


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A stopped node's directory with tables, a manifest and a log, and what is in it."""
    node = Node(tmp_path_factory.mktemp("stopped") / "data", "--memory", "16MiB")
    node.start()
    try:
        for round_number in range(12):
            fill(node, 2000, f"c{round_number}", size=2000)
    finally:
        assert node.stop(60) == 0
    return node.data


def test_check_of_a_stopped_node_says_clean(stopped):
    checked = tool("check", str(stopped))
    assert checked.returncode == 0 and re.search(r"clean|no damage|sound", checked.stdout, re.I), checked


def test_check_of_a_running_node_is_refused(make_node):
    node = make_node().start()
    checked = tool("check", str(node.data))
    assert checked.returncode > 0 and re.search("lock|in use|running|another", checked.stdout + checked.stderr), checked


def test_check_of_what_is_no_node_is_refused(tmp_path):
    for place in (tmp_path, tmp_path / "absent"):
        checked = tool("check", str(place))
        assert checked.returncode > 0 and str(place) in checked.stdout + checked.stderr, checked


def data_files(data: Path) -> dict[str, list[Path]]:
    kinds = {"wal": [], "table": [], "manifest": []}
    for path in sorted(p for p in data.rglob("*") if p.is_file() and p.stat().st_size > 100):
        text = str(path.relative_to(data)).lower()
        kind = "manifest" if "manifest" in text else "wal" if "wal" in text or ".log" in text else \
            "table" if ".sst" in text or "table" in text else None
        if kind:
            kinds[kind].append(path)
    return kinds


def test_the_stopped_node_has_all_kinds_of_files(stopped):
    assert all(data_files(stopped).values()), list(stopped.rglob("*"))


@pytest.mark.parametrize("kind", ["wal", "table", "manifest"])
@pytest.mark.parametrize("at", [0.0, 0.3, 0.7])
def test_check_names_a_flipped_byte(stopped, tmp_path, kind, at):
    copy = tmp_path / "copy"
    shutil.copytree(stopped, copy)
    victim = max(data_files(copy)[kind], key=written)
    offset = int(written(victim) * at)
    with open(victim, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)
        f.seek(offset)
        f.write(bytes([byte[0] ^ 0x40]))
    checked = tool("check", str(copy))
    assert checked.returncode > 0, f"byte {offset} of {victim.name} was flipped and not found:\n{checked.stdout}"
    assert victim.name in checked.stdout + checked.stderr, checked


@pytest.mark.parametrize("kind", ["wal", "table", "manifest"])
def test_check_names_a_missing_file(stopped, tmp_path, kind):
    copy = tmp_path / "copy"
    shutil.copytree(stopped, copy)
    victim = max(data_files(copy)[kind], key=written)
    victim.unlink()
    checked = tool("check", str(copy))
    assert checked.returncode > 0 and checked.stdout + checked.stderr, checked


def test_node_never_serves_a_flipped_table(stopped, tmp_path):
    """It refuses to start, or answers CORRUPTION for the documents concerned; no wrong document, and no silent loss."""
    copy = tmp_path / "copy"
    shutil.copytree(stopped, copy)
    victim = max(data_files(copy)["table"], key=written)
    data = bytearray(victim.read_bytes())
    for offset in range(len(data) // 4, len(data) // 2, 4096):
        data[offset] ^= 1
    victim.write_bytes(data)
    node = Node(copy)
    try:
        node.start()
    except StartFailed as failure:
        assert victim.name in failure.output
        return
    try:
        damaged = 0
        with PlainClient(node.port) as c:
            for collection in range(12):
                for n in range(0, 2000, 10):
                    try:
                        assert c.get(f"c{collection}", f"{n:06}")["pad"] == f"{n * 7919:x}" * 500
                    except Refused as error:
                        assert error.code == "CORRUPTION" and victim.name in str(error)
                        damaged += 1
        assert damaged > 0
    finally:
        node.kill()


@pytest.mark.parametrize("kind", ["wal", "manifest"])
def test_node_refuses_to_start_on_a_damaged_middle(stopped, tmp_path, kind):
    copy = tmp_path / "copy"
    shutil.copytree(stopped, copy)
    victim = max(data_files(copy)[kind], key=written)
    with open(victim, "r+b") as f:
        f.seek(written(victim) // 2)
        byte = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte[0] ^ 0x10]))
    failure = refused(Node(copy, output=tmp_path / "log"))
    assert victim.name in failure.output, failure


@pytest.mark.parametrize("what", ["wal", "sst", "manifest"])
def test_dump_shows_records(stopped, what):
    kind = {"sst": "table"}.get(what, what)
    shown = tool("dump", what, str(max(data_files(stopped)[kind], key=written)))
    assert shown.returncode == 0 and len(shown.stdout.split()) > 10, shown


# A full disk


def write_until_refused(node: Node, limit: int) -> tuple[list[str], Refused]:
    """The keys acknowledged before a write is refused, on a connection of its own: the node may close it then."""
    acknowledged = []
    with PlainClient(node.port) as c:
        for n in range(limit):
            key = f"fill-{n:06}"
            try:
                c.create("c", {"_id": key, "pad": os.urandom(16_000)})
            except Refused as refusal:
                return acknowledged, refusal
            acknowledged.append(key)
    raise AssertionError(f"{limit} writes of 16 kB were taken although the disk was full")


def test_full_disk_refuses_writes_by_name_and_reads_go_on(make_node, small_disk, report):
    node = make_node("small/data", "--memory", "32MiB", output=small_disk.parent / "node.log").start()
    fill(node, 500)
    filler = small_disk / "filler"
    fill_up(filler, leaving=2 * MiB)
    acknowledged, refusal = write_until_refused(node, 12_000)
    with PlainClient(node.port) as c:
        assert refusal.code in ("STORAGE_FAILED", "READ_ONLY", "OVERLOADED")
        assert re.search("(?i)space|full", str(refusal)), refusal
        assert c.get("c", "000007")["n"] == 7
        assert all(c.get("c", key) is not None for key in acknowledged[-20:]), "reads go on"
        assert node.http("/health")[0] == 503
    node.stop(30)
    filler.unlink()
    node.start()
    with PlainClient(node.port) as c:
        found = {d["_id"] for d in c.query("c", projection={"_id": 1})}
        assert set(acknowledged) <= found and len(found) in (500 + len(acknowledged), 501 + len(acknowledged))
        assert c.create("c", {"_id": "room again"})["_id"] == "room again"
    report(f"full disk: {len(acknowledged)} creates of 16 kB acknowledged, then {refusal.code}; all found after making room and a restart")


def test_file_size_limit_is_survived(make_node):
    """RLIMIT_FSIZE sends SIGXFSZ and then EFBIG: a named refusal, no death. The log goes on in small segments; tables do not fit."""
    node = make_node("node", "--memory", "128MiB", file_size_limit=6 * MiB)
    try:
        node.start()
    except StartFailed as failure:
        assert isinstance(failure.code, int) and failure.code > 0, f"killed by a signal: {failure}"
        assert "large" in failure.output.lower() or "EFBIG" in failure.output
        return
    acknowledged, refusal = write_until_refused(node, 9000)
    with PlainClient(node.port) as c:
        assert refusal.code in ("STORAGE_FAILED", "READ_ONLY")
        assert c.get("c", acknowledged[0]) is not None
    node.kill()
    node.file_size_limit = None
    node.start()
    with PlainClient(node.port) as c:
        assert {d["_id"] for d in c.query("c", projection={"_id": 1})} >= set(acknowledged)

"""Backups of running nodes: what is in them, what they cost, what is noticed, and what a restored node is."""
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import msgpack
import pytest

from rig import wire
from rig.node import BINARY, StartFailed, environment, tool


def backup(command, repository, *more, timeout=60, env=None):
    return tool("backup", command, str(repository), *map(str, more), timeout=timeout, env=env)


def made(repository, node, *more, timeout=60, env=None) -> dict:
    """A backup that has to succeed, as its summary."""
    ran = backup("create", repository, "--port", node.port, "--json", *more, timeout=timeout, env=env)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def restored(repository, name, node, *more):
    """The data directory of `node`, which is not started yet, from a backup."""
    ran = backup("restore", repository, name, node.data, "--json", *more)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def content(node, collection) -> dict[str, bytes]:
    """Every document's bytes by its key."""
    with node.wire(timeout=30) as link:
        link.connect(features=["stream"], dialect="plain")
        answer = link.ask(wire.QUERY, {"collection": collection, "filters": {}, "limit": 1_000_000})
        documents = []
        if answer.type == wire.STREAM_START:
            while (chunk := link.recv()).type == wire.STREAM_CHUNK:
                documents += chunk.value["documents"]
                link.send(wire.CURSOR_CREDIT, {"stream": answer.value["stream"], "credit": 1})
            assert chunk.type == wire.STREAM_END, chunk
        else:
            assert answer.type == wire.SUCCESS, answer
            documents = answer.value
    return {d["id"]: msgpack.packb(d) for d in documents}


class Writer:
    """Writes batches one after the other and keeps the position at which each was acknowledged."""

    def __init__(self, node, number, size=20, bytes_each=300):
        self.node, self.number, self.size, self.filler = node, number, size, os.urandom(bytes_each // 2).hex()
        self.acknowledged: list[int] = []  # LSN of batch i
        self.slowest = 0.0
        self.failure = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def key(self, batch, row):
        return f"w{self.number}-{batch:07}-{row:03}"

    def run(self):
        try:
            with self.node.wire() as link:
                link.connect(features=["token"], dialect="plain")
                while not self.stopping.is_set():
                    batch = len(self.acknowledged)
                    begun = time.monotonic()
                    answer = link.ask(wire.BATCH_WRITE, {"operations": [
                        {"op": "create", "collection": "load", "data": {"_id": self.key(batch, row), "batch": batch, "row": row,
                                                                        "filler": self.filler}}
                        for row in range(self.size)]}, flags=wire.TOKEN)
                    assert answer.type == wire.SUCCESS and answer.position, answer
                    self.slowest = max(self.slowest, time.monotonic() - begun)
                    self.acknowledged.append(answer.position[1])
        except Exception as error:  # Told to the test, which fails with it.
            self.failure = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(30)
        assert not self.thread.is_alive() and self.failure is None, self.failure

    def keys_up_to(self, lsn):
        return {self.key(batch, row) for batch, position in enumerate(self.acknowledged) if position <= lsn for row in range(self.size)}


def fill(node, count, collection="docs", start=0, filler=200):
    with node.wire() as link:
        for first in range(start, start + count, 500):
            answer = link.ask(wire.BATCH_WRITE, {"operations": [
                {"op": "create", "collection": collection, "data": {"_id": f"k{i:07}", "n": i, "filler": os.urandom(filler // 2).hex()}}
                for i in range(first, min(first + 500, start + count))]})
            assert answer.type == wire.SUCCESS, answer


def files_of(repository, name) -> set[tuple[int, str]]:
    """Length and digest of each file of a backup, as its manifest names them."""
    text = Path(repository, "backups", f"{name}.json").read_text().rsplit("xxh3 ", 1)[0]
    return {(file["bytes"], file["digest"]) for file in json.loads(text)["files"]}


def object_files(repository):
    return sorted(p for p in Path(repository, "objects").rglob("*") if p.is_file())


def test_a_backup_under_full_load_is_the_state_at_its_position(make_node, tmp_path, report):
    node = make_node("source", "--memory", "32MiB").start()
    fill(node, 4000, "before")
    writers = [Writer(node, number) for number in range(3)]
    summaries = []
    for writer in writers:
        writer.__enter__()
    try:
        for name in ("first", "second"):
            time.sleep(0.3)  # Load, not synchronisation: some writes between two backups.
            counts = [len(w.acknowledged) for w in writers]
            summaries.append((made(tmp_path / "repo", node, "--name", name), counts))
    finally:
        for writer in writers:
            writer.__exit__()
    source = content(node, "load")
    for summary, counts in summaries:
        for writer, count in zip(writers, counts):
            assert all(lsn <= summary["lsn"] for lsn in writer.acknowledged[:count]), "a write acknowledged before is missing"
        copy = make_node(f"copy-{summary['name']}")
        restored(tmp_path / "repo", summary["name"], copy)
        copy.start()
        expected = set().union(*(w.keys_up_to(summary["lsn"]) for w in writers))
        found = content(copy, "load")
        assert set(found) == expected
        assert all(found[key] == source[key] for key in found), "a document is not what it was, byte by byte"
        assert content(copy, "before") == content(node, "before")
        copy.stop()
        assert tool("check", str(copy.data)).returncode == 0
    report(f"backup under load: {[s['lsn'] for s, _ in summaries]}, slowest batch {max(w.slowest for w in writers) * 1000:.0f} ms")


def test_a_second_backup_costs_what_has_changed(make_node, tmp_path, report):
    node = make_node().start()
    fill(node, 20_000)
    first = made(tmp_path / "repo", node, "--name", "one")
    fill(node, 500, start=20_000)
    second = made(tmp_path / "repo", node, "--name", "two")
    assert first["fetched_bytes"] == first["new_bytes"] == first["bytes"]
    # Compactions make new tables of old ones; what is the same to the last byte is not fetched again.
    known = files_of(tmp_path / "repo", "one")
    assert second["fetched_bytes"] == second["new_bytes"] == sum(size for size, _ in files_of(tmp_path / "repo", "two") - known)
    assert second["new_bytes"] < second["bytes"] / 2
    third = made(tmp_path / "repo", node, "--name", "three")
    assert third["new_bytes"] < 1100 << 10, "nothing was written: only the manifest of a mebibyte is new"
    report(f"incremental: {first['new_bytes']} bytes, then {second['new_bytes']}, then {third['new_bytes']}")

    listed = json.loads(backup("list", tmp_path / "repo", "--json").stdout)
    assert [(b["name"], b["lsn"], b["new_bytes"]) for b in listed] == [(b["name"], b["lsn"], b["new_bytes"]) for b in (first, second, third)]
    table = backup("list", tmp_path / "repo").stdout.splitlines()
    assert table[0].split()[:4] == ["NAME", "TIME", "EPOCH", "LSN"] and len(table) == 4

    assert backup("delete", tmp_path / "repo", "one").returncode == 0
    removed = json.loads(backup("delete", tmp_path / "repo", "--keep", "1", "--json").stdout)
    assert removed["removed"] == ["two"]
    assert backup("verify", tmp_path / "repo").returncode == 0
    copy = make_node("copy")
    restored(tmp_path / "repo", "three", copy)
    copy.start()
    assert content(copy, "docs") == content(node, "docs")
    assert sum(p.stat().st_size for p in object_files(tmp_path / "repo")) == third["bytes"], "nothing that nobody needs stays"


def test_verify_notices_every_flipped_byte_and_names_the_file(make_node, tmp_path, rng):
    node = make_node().start()
    fill(node, 3000)
    made(tmp_path / "repo", node, "--name", "b")
    node.stop()
    whole = backup("verify", tmp_path / "repo", "--json")
    assert whole.returncode == 0 and json.loads(whole.stdout)["ok"], whole
    files = [p for p in object_files(tmp_path / "repo") if p.stat().st_size] + [tmp_path / "repo/backups/b.json"]
    for _ in range(25):
        path = rng.choice(files)
        data = bytearray(path.read_bytes())
        place = rng.randrange(len(data))
        kept = data[place]
        data[place] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        found = backup("verify", tmp_path / "repo")
        assert found.returncode == 1 and path.name in found.stdout, (path, place, found)
        target = tmp_path / "never"
        assert backup("restore", tmp_path / "repo", "b", target).returncode == 1, (path, place)
        data[place] = kept
        path.write_bytes(data)
    # What is cut, and what is missing.
    data = files[0].read_bytes()
    files[0].write_bytes(data[:-1])
    assert backup("verify", tmp_path / "repo").returncode == 1
    files[0].unlink()
    lost = backup("verify", tmp_path / "repo")
    assert lost.returncode == 1 and "missing" in lost.stdout and "needed by b" in lost.stdout
    files[0].write_bytes(data)
    assert backup("verify", tmp_path / "repo").returncode == 0
    # The directory that the failed restores left is taken by one that succeeds, and no node opens it before.
    with pytest.raises(StartFailed, match="restore it again"):
        make_node("never").start()
    assert backup("restore", tmp_path / "repo", "b", tmp_path / "never").returncode == 0
    make_node("never").start()


def started_create(repository, node, *more):
    return subprocess.Popen([str(BINARY), "backup", "create", str(repository), "--port", str(node.port), *more],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def incoming_bytes(repository):
    return sum(p.stat().st_size for p in Path(repository, "incoming").glob("*.part")) + sum(
        p.stat().st_size for p in object_files(repository))


def wait_for(condition, what, within=20):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_backup_that_was_cut_off_leaves_none_and_the_next_goes_on(make_node, tmp_path, how):
    node = make_node().start()
    fill(node, 20_000)
    repository = tmp_path / "repo"
    run = started_create(repository, node, "--rate", "1", "--name", "b")
    try:
        wait_for(lambda: repository.exists() and incoming_bytes(repository) > 300_000, "some of it")
        run.send_signal(how)
        assert run.wait(20) == (-signal.SIGKILL if how == signal.SIGKILL else 1)
        if how == signal.SIGINT:
            assert "no backup was made" in run.stderr.read()
    finally:
        run.kill()
        run.wait()
    assert json.loads(backup("list", repository, "--json").stdout) == []
    came = incoming_bytes(repository)
    again = made(repository, node, "--name", "b")
    assert again["fetched_bytes"] <= again["bytes"] - came
    assert backup("verify", repository).returncode == 0
    if how == signal.SIGINT:
        assert not list((node.data / "checkpoints").iterdir()), "the node keeps nothing for who went away politely"


def test_a_node_that_dies_in_the_middle_is_waited_for(make_node, tmp_path):
    node = make_node("node")
    node.start()
    fill(node, 20_000)
    run = started_create(tmp_path / "repo", node, "--rate", "2", "--json", "--name", "b")
    try:
        wait_for(lambda: (tmp_path / "repo").exists() and incoming_bytes(tmp_path / "repo") > 300_000, "some of it")
        port = node.port
        node.kill()
        again = make_node("node", "--port", str(port))
        again.start()
        output, errors = run.communicate(timeout=50)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 0, errors
    summary = json.loads(output)
    assert summary["resumptions"] >= 1 and summary["fetched_bytes"] < 2 * summary["bytes"]
    assert backup("verify", tmp_path / "repo").returncode == 0
    copy = make_node("copy")
    restored(tmp_path / "repo", "b", copy)
    copy.start()
    assert content(copy, "docs") == content(again, "docs")


def test_what_cannot_be_done_is_said_and_changes_nothing(make_node, tmp_path):
    node = make_node().start()
    fill(node, 100)
    repository = tmp_path / "repo"
    made(repository, node, "--name", "b")
    assert backup("create", repository, "--port", node.port, "--name", "b").returncode == 4
    assert backup("create", repository, "--port", node.port, "--name", "../b").returncode == 64
    assert backup("create", repository, "--port", "1", "--name", "c").returncode == 5
    assert backup("restore", repository, "nobody", tmp_path / "x").returncode == 3 and not (tmp_path / "x").exists()
    assert backup("list", tmp_path).returncode == 3
    assert backup("create", tmp_path, "--port", node.port).returncode == 2, "a directory with other things in it"
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("mine")
    refused = backup("restore", repository, "b", full)
    assert refused.returncode == 2 and "not empty" in refused.stderr and [p.name for p in full.iterdir()] == ["mine"]
    # Another store.
    other = make_node("other").start()
    fill(other, 100)
    alien = backup("create", repository, "--port", other.port)
    assert alien.returncode == 4 and "another store" in alien.stderr


def test_users_come_along_and_an_admin_is_asked_for(make_node, tmp_path):
    node = make_node()
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")

    def user(name, role, *more):
        ran = tool("user", "add", name, "--role", role, "--new-password-file", str(secret), *more)
        assert ran.returncode == 0, ran.stderr
    user("root", "admin", "--data-dir", str(node.data))
    node.start()
    as_root = ["--user", "root", "--password-file", str(secret)]
    user("app", "write", "--port", str(node.port), *as_root)
    user("keeper", "replication", "--port", str(node.port), *as_root)
    stranger = backup("create", tmp_path / "repo", "--port", node.port)
    assert stranger.returncode == 1 and "UNAUTHENTICATED" in stranger.stderr
    app = backup("create", tmp_path / "repo", "--port", node.port, "--user", "app", "--password-file", secret)
    assert app.returncode == 1 and "FORBIDDEN" in app.stderr
    made(tmp_path / "repo", node, "--name", "b", "--user", "keeper", "--password-file", secret)
    copy = make_node("copy")
    restored(tmp_path / "repo", "b", copy)
    copy.start()
    assert tool("status", "--port", str(copy.port), *as_root).returncode == 0
    assert tool("status", "--port", str(copy.port), "--user", "app", "--password-file", str(secret)).returncode == 0
    assert tool("status", "--port", str(copy.port)).returncode == 1


def test_positions_behind_the_backup_are_lost_and_those_before_are_not(make_node, tmp_path):
    node = make_node().start()
    with node.wire() as link:
        link.connect(features=["token"], dialect="plain")
        before = link.ask(wire.CREATE, {"collection": "c", "data": {"_id": "a"}}, flags=wire.TOKEN).position
        made(tmp_path / "repo", node, "--name", "b")
        after = link.ask(wire.CREATE, {"collection": "c", "data": {"_id": "b"}}, flags=wire.TOKEN).position
    copy = make_node("copy")
    restored(tmp_path / "repo", "b", copy)
    copy.start()
    with copy.wire() as link:
        link.connect(features=["token"], dialect="plain")
        new = link.ask(wire.CREATE, {"collection": "c", "data": {"_id": "c"}}, flags=wire.TOKEN).position
        assert new[1] > after[1] and new[0] > after[0]
        assert link.ask(wire.READ, {"collection": "c", "key": "a", "after": list(before)}).type == wire.SUCCESS
        assert link.ask(wire.READ, {"collection": "c", "key": "a", "after": list(after)}).code == "TOKEN_LOST"


def test_a_follower_is_a_source_and_a_backup_is_a_follower(cluster, make_node, tmp_path):
    nodes = cluster(2)
    nodes.wait(nodes[0].takes_writes, "a leader")
    fill(nodes[0], 3000)
    nodes.wait_caught_up(nodes[1])
    summary = made(tmp_path / "repo", nodes[1], "--name", "b")
    # The leader's backups belong in the same place: it is the same cluster.
    made(tmp_path / "repo", nodes[0], "--name", "of-leader")
    fill(nodes[0], 500, start=3000)
    copy = make_node("copy", "--node-name", "n9", "--follow", nodes[0].address)
    assert restored(tmp_path / "repo", "b", copy, "--as-follower")["new_epoch"] is None
    copy.start()
    nodes.wait(lambda: content(copy, "docs") == content(nodes[0], "docs"), "the same content")
    assert nodes[0].resyncs("snapshot") == 0, "it streamed what came since"
    alone = make_node("alone", "--node-name", "n1")
    assert restored(tmp_path / "repo", "b", alone)["new_epoch"] > summary["epoch"]
    alone.start()
    assert len(content(alone, "docs")) == 3000
    nodes.wait(alone.takes_writes, "a cluster of its own")
    fill(alone, 10, start=5000)


def test_a_repository_without_room_or_rights_says_so_and_the_next_run_goes_on(make_node, small_disk, tmp_path):
    node = make_node().start()
    fill(node, 4000)
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk)
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - (200 << 10))
    full = backup("create", small_disk / "repo", "--port", node.port, "--name", "b")
    assert full.returncode in (1, 2) and ("free" in full.stderr or "space" in full.stderr), full
    ballast.unlink()
    made(small_disk / "repo", node, "--name", "b")
    assert backup("verify", small_disk / "repo").returncode == 0


@pytest.mark.skipif("NEXA_BACKUP_GIB" not in os.environ, reason="NEXA_BACKUP_GIB names the size")
def test_large_backup_figures(make_node, tmp_path, report):
    size = float(os.environ["NEXA_BACKUP_GIB"])
    node = make_node("source", "--memory", "512MiB").start()
    batch, rounds = 1000, int(size * (1 << 30) / (1000 * 1000))
    with node.wire(timeout=120) as link:
        for index in range(rounds):
            filler = os.urandom(400).hex()
            answer = link.ask(wire.BATCH_WRITE, {"operations": [
                {"op": "create", "collection": "docs", "data": {"_id": f"{index:06}-{row:04}", "filler": filler, "pad": os.urandom(60)}}
                for row in range(batch)]})
            assert answer.type == wire.SUCCESS, answer

    def p99(seconds, until=None):
        times, stop = [], time.monotonic() + seconds
        with node.wire(timeout=30) as link:
            while (until() if until else time.monotonic() < stop):
                begun = time.monotonic()
                assert link.ask(wire.CREATE, {"collection": "probe", "data": {"n": len(times)}}).type == wire.SUCCESS
                times.append(time.monotonic() - begun)
        return sorted(times)[int(len(times) * 0.99)] * 1000
    quiet = p99(5)
    done = threading.Event()
    busy = []
    thread = threading.Thread(target=lambda: busy.append(p99(0, lambda: not done.is_set())))
    thread.start()
    summary = made(tmp_path / "repo", node, "--name", "b", timeout=1200)
    done.set()
    thread.join(60)
    again = made(tmp_path / "repo", node, "--name", "c", timeout=1200)
    begun = time.monotonic()
    assert backup("verify", tmp_path / "repo", timeout=1200).returncode == 0
    verified = time.monotonic() - begun
    begun = time.monotonic()
    copy = make_node("copy")
    assert backup("restore", tmp_path / "repo", "c", copy.data, timeout=1200).returncode == 0
    restoring = time.monotonic() - begun
    mebibytes = summary["bytes"] / (1 << 20)
    report(f"backup of {mebibytes:.0f} MiB: {summary['seconds']:.1f} s, {mebibytes / summary['seconds']:.0f} MiB/s; p99 of a durable CREATE "
           f"{quiet:.2f} ms before, {busy[0]:.2f} ms meanwhile; again {again['fetched_bytes'] / (1 << 20):.1f} MiB in {again['seconds']:.1f} s; "
           f"verify {verified:.1f} s; restore {restoring:.1f} s")

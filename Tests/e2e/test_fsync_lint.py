"""Durability seen from the kernel: strace watches the node's files and sockets, rig/tracelint.py judges, and planted traces judge the lint.

Also faults from below: a failed fdatasync, a failed write, a full disk, injected by strace while the node runs. They must stop writes with
a reason, leave reads working, be retried by nobody, and lose nothing that was acknowledged.
"""
import random
import re
import threading
import time

import pytest

from rig import oracle, tracelint, wire
from rig.faults import Fault, needs_strace
from rig.kill_loop import Loop, Writer
from rig.plain import PlainClient, Refused


def traced_node(make_node, tmp_path, *options):
    log = tmp_path / "strace.log"
    return make_node("node", *options, wrapper=["strace", "-f", "-y", "-s", "1000000", "-qq", "-e", f"trace={tracelint.TRACED}",
                                               "-o", str(log)]), log


def create_marked(node, plan: list[tuple[int, int]]) -> list[str]:
    """Writers side by side, each with (depth, count) of the plan; the texts that mark each document in records and answers."""
    markers, lock = [], threading.Lock()

    def write(thread: int, depth: int, count: int):
        with PlainClient(node.port) as c:
            for start in range(0, count, depth):
                mine = [f"marker-{thread}-{n:05}-end" for n in range(start, min(start + depth, count))]
                c.wire.raw(b"".join(wire.request(wire.CREATE, {"collection": f"c{thread}", "data": {"_id": m}}) for m in mine))
                assert all(c.wire.recv().type == wire.SUCCESS for _ in mine)
                with lock:
                    markers.extend(mine)

    threads = [threading.Thread(target=write, args=(n, *part), daemon=True) for n, part in enumerate(plan)]
    [t.start() for t in threads]
    [t.join(90) for t in threads]
    assert len(markers) == sum(count for _, count in plan)
    return markers


@needs_strace
def test_no_answer_leaves_before_its_record_is_on_disk(make_node, tmp_path, report):
    node, log = traced_node(make_node, tmp_path)
    node.start()
    markers = create_marked(node, [(1, 60), (1, 60), (16, 320), (64, 640)])
    assert node.stop(60) == 0
    trace = tracelint.Trace(log.read_text(errors="replace"), str(node.data))
    syncs = sum(c.name in tracelint.SYNCS and c.ok and trace.inside(c.path) for c in trace.calls)
    assert trace.check_answers(markers) == []
    assert trace.check_files() == []
    assert trace.check_retries() == []
    report(f"fsync lint: {len(markers)} durable creates, {syncs} syncs, {len(trace.calls)} traced calls, 0 violations")


@needs_strace
def test_lint_sees_a_real_node_that_answers_before_its_sync(make_node, tmp_path, report):
    """The test of the test above: durability "os" promises no sync before the answer, and the lint must say so."""
    node, log = traced_node(make_node, tmp_path, "--durability", "os")
    node.start()
    markers = create_marked(node, [(1, 60), (16, 320)])
    assert node.stop(60) == 0
    wrong = tracelint.Trace(log.read_text(errors="replace"), str(node.data)).check_answers(markers)
    assert len(wrong) > len(markers) // 2
    report(f"fsync lint, durability os: {len(wrong)} of {len(markers)} answers left before a sync, as they may there")


@needs_strace
def test_files_are_synced_named_and_removed_in_order(make_node, tmp_path, report):
    """Enough data for tables, a new log segment and removals, and a restart that recovers; then the same lint."""
    node, log = traced_node(make_node, tmp_path, "--memory", "16MiB")
    node.start()
    with PlainClient(node.port) as c:
        for round_number in range(60):
            c.batch("bulk", operations=[{"op": "put", "data": {"_id": f"k{n:05}", "round": round_number, "pad": f"{n * 7919:x}" * 60}}
                                        for n in range(1000)])
    assert node.stop(90) == 0
    runs = [(log.read_text(errors="replace"), frozenset())]
    existing = frozenset(map(str, node.data.rglob("*")))
    node.start()
    with PlainClient(node.port) as c:
        assert c.call(wire.COUNT, {"collection": "bulk"})["count"] == 1000
        c.create("bulk", {"_id": "after"})
    assert node.stop(90) == 0
    made = removed = 0
    for text, there in (*runs, (log.read_text(errors="replace"), existing)):
        trace = tracelint.Trace(text, str(node.data), there)
        assert trace.check_files() == []
        made += sum(trace.created(c) is not None and c.name.startswith("open") for c in trace.calls)
        removed += sum(c.name.startswith("unlink") and c.ok for c in trace.calls)
    assert made > 3, "the run was to make tables"
    report(f"fsync lint: {made} files made, {removed} removed in a run with flushes and a restart, 0 violations")


@needs_strace
@pytest.mark.parametrize("expression, trace", [
    ("fdatasync,fsync:error=EIO:when=1", "fdatasync,fsync,pwrite64,pwritev,write,writev"),
    ("fdatasync,fsync:error=ENOSPC:when=1", "fdatasync,fsync,pwrite64,pwritev,write,writev"),
    ("pwrite64,pwritev,pwritev2:error=EIO:when=1", "fdatasync,fsync,pwrite64,pwritev,pwritev2"),
    ("pwrite64,pwritev,pwritev2:error=ENOSPC:when=1", "fdatasync,fsync,pwrite64,pwritev,pwritev2"),
], ids=["fdatasync EIO", "fdatasync ENOSPC", "write EIO", "write ENOSPC"])
def test_failed_disk_stops_writes_and_loses_nothing(make_node, tmp_path, report, request, expression, trace):
    node = make_node().start()
    acknowledged = []
    with PlainClient(node.port) as c:
        for n in range(50):
            acknowledged.append(c.create("c", {"_id": f"before-{n}", "n": n})["_id"])
        with Fault(node, tmp_path, expression, trace) as fault:
            refusals = []
            for n in range(20):
                # A connection whose writes were in flight is closed behind its error, so each attempt has its own.
                with PlainClient(node.port) as writer:
                    try:
                        acknowledged.append(writer.create("c", {"_id": f"during-{n}", "n": n})["_id"])
                    except Refused as refused:
                        refusals.append(refused)
            assert len(refusals) == 20, f"{20 - len(refusals)} writes were acknowledged although the disk had failed"
            assert {r.code for r in refusals} <= {"STORAGE_FAILED", "READ_ONLY"}
            assert all(len(str(r)) > 20 for r in refusals)
            for n in range(50):
                assert c.get("c", f"before-{n}")["n"] == n, "reads go on"
            assert all(c.get("c", f"during-{n}") is None for n in range(20)), "what was refused is not visible"
            status, text = node.http("/health")
            assert status == 503 and text.strip(), "the health page says so"
            assert node.answers_ping()
        seen = tracelint.Trace(fault.log.read_text(errors="replace"), str(node.data))
        assert fault.was_met
        assert seen.check_retries() == []
        with pytest.raises(Refused):
            c.create("c", {"_id": "still refused"})
    node.stop(30)
    node.start()
    with PlainClient(node.port) as c:
        for key in acknowledged:
            assert c.get("c", key) is not None, f"acknowledged {key} is lost"
        assert c.create("c", {"_id": "after the repair"})["_id"] == "after the repair"
    report(f"fault {request.node.callspec.id}: writes refused ({refusals[0].code}), reads go on, 50 of 50 acknowledged found after a restart")


@needs_strace
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_disk_that_fails_under_pipelined_writers_loses_nothing_acknowledged(make_node, tmp_path, rng, report, call):
    node = make_node().start()
    loop = Loop(node, rng)
    codes = frozenset({"STORAGE_FAILED", "READ_ONLY"})
    crew = [Writer(node, f"w{n}", oracle.workload(random.Random(rng.random()), 1), 32, ends_with=codes) for n in range(4)]
    [w.start() for w in crew]
    while sum(w.acknowledged for w in crew) < 300:
        assert any(w.is_alive() for w in crew), [w.failure for w in crew]
        time.sleep(0.001)
    with Fault(node, tmp_path, f"{call}:error=EIO:when=1", call):
        [w.join(60) for w in crew]
        assert not any(w.is_alive() for w in crew), "writes went on although the disk had failed"
    assert not any(w.failure for w in crew), [w.failure for w in crew]
    assert node.answers_ping()
    node.kill()
    node.start()
    loop.check(crew)
    report(f"{call} fails under 4 x 32 writers: {loop.acknowledged} acknowledged, 0 lost; {loop.in_flight} unanswered, "
           f"{loop.survived} of them survived")


# The lint itself: each planted fault must be seen, and a right trace must pass.

RIGHT = """\
1 openat(AT_FDCWD</x>, "/d/wal/1.log", O_RDWR|O_CREAT|O_EXCL, 0600) = 5</d/wal/1.log>
1 openat(AT_FDCWD</x>, "/d/wal", O_RDONLY|O_DIRECTORY) = 6</d/wal>
1 fsync(6</d/wal>) = 0
2 pwrite64(5</d/wal/1.log>, "..marker-1..", 12, 0) = 12
2 fdatasync(5</d/wal/1.log> <unfinished ...>
3 pwrite64(5</d/wal/1.log>, "..marker-2..", 12, 12) = 12
2 <... fdatasync resumed>) = 0
4 writev(9<socket:[77]>, [{iov_base="NEXA\\1\\201marker-1", iov_len=16}], 1) = 16
2 fdatasync(5</d/wal/1.log>) = 0
4 write(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, "NEXA\\1\\201marker-2", 16) = 16
3 openat(AT_FDCWD</x>, "/d/tmp", O_WRONLY|O_CREAT, 0600) = 7</d/tmp>
3 write(7</d/tmp>, "abc", 3) = 3
3 fsync(7</d/tmp>) = 0
3 rename("/d/tmp", "/d/CURRENT") = 0
3 fsync(8</d>) = 0
3 unlink("/d/old") = 0
5 openat(AT_FDCWD</x>, "/d/sst/7", O_RDWR|O_CREAT|O_EXCL, 0600) = 11</d/sst/7>
5 pwrite64(11</d/sst/7>, "table", 5, 0) = 5
5 fdatasync(11</d/sst/7>) = 0
6 openat(AT_FDCWD</x>, "/d/sst/8", O_RDWR|O_CREAT|O_EXCL, 0600) = 12</d/sst/8>
5 fsync(13</d/sst>) = 0
5 pwrite64(14</d/MANIFEST-1>, "edit: table 7", 13, 4096) = 13
5 fdatasync(14</d/MANIFEST-1>) = 0
6 fsync(13</d/sst>) = 0
"""


def faults(text: str) -> list[str]:
    trace = tracelint.Trace(text, "/d")
    return trace.check_answers(["marker-1", "marker-2"]) + trace.check_files() + trace.check_retries()


def test_lint_passes_a_right_trace():
    assert faults(RIGHT) == []


@pytest.mark.parametrize("planted, pattern", [
    (lambda t: t.replace("2 fdatasync(5</d/wal/1.log>) = 0\n", ""), "marker-2: answered"),
    (lambda t: t.replace("3 pwrite64(5</d/wal/1.log>", "2 fdatasync(5</d/wal/1.log>) = 0\n3 pwrite64(5</d/wal/1.log>")
     .replace("4 write(", "9 x() = 0\n4 write(").replace("2 fdatasync(5</d/wal/1.log>) = 0\n9 x() = 0\n", ""), "marker-2: answered"),
    (lambda t: t.replace("1 fsync(6</d/wal>) = 0\n", ""), "entry of /d/wal/1.log"),
    (lambda t: t.replace('2 pwrite64(5</d/wal/1.log>, "..marker-1.."', '2 pwrite64(5</d/wal/1.log>, "..other..."'), "never written"),
    (lambda t: t.replace("3 fsync(7</d/tmp>) = 0\n", ""), "renamed with unsynced bytes"),
    (lambda t: t.replace("3 fsync(8</d>) = 0\n", ""), "removed while the entry of /d/CURRENT"),
    (lambda t: t.replace("3 fsync(8</d>) = 0\n", "").replace('3 unlink("/d/old") = 0\n', ""), "end: the entry"),
    (lambda t: t + '3 write(7</d/tail>, "abc", 3) = 3\n', "end: /d/tail has bytes"),
    (lambda t: t.replace("5 fdatasync(11</d/sst/7>) = 0\n", ""), "the manifest is written while /d/sst/7"),
    (lambda t: t.replace("5 fsync(13</d/sst>) = 0\n", ""), "the manifest is written while the entry of /d/sst/7"),
    (lambda t: t.replace("2 <... fdatasync resumed>) = 0", "2 <... fdatasync resumed>) = -1 EIO (Input/output error)"), "after its sync had failed"),
], ids=["no sync before the answer", "sync before the write", "no directory sync of the log", "no record", "rename of unsynced bytes",
        "removal before the directory sync", "entry never synced", "tail never synced", "table not synced before the edit", "its entry not synced before the edit", "sync retried"])
def test_lint_sees_planted_faults(planted, pattern):
    assert any(re.search(pattern, fault) for fault in faults(planted(RIGHT))), faults(planted(RIGHT))

"""`nexadb import` and `nexadb export` when something stops: every record once through kills of either side, and one writer a file.

NEXA_IMPORT_DOCUMENTS=5000000 NEXA_IMPORT_KILLS=10 makes the kill tests as large as the promise."""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

from rig import wire
from rig.faults import needs_strace
from rig.node import BINARY, environment, tool
from rig.plain import PlainClient
from rig.transfer import Running, dump, forget, load, numbers, position, summary, write_lines

DOCUMENTS = int(os.environ.get("NEXA_IMPORT_DOCUMENTS", "200000"))
KILLS = int(os.environ.get("NEXA_IMPORT_KILLS", "5"))


@needs_strace
def test_a_name_is_given_to_bytes_that_are_on_disk_and_is_on_disk_itself(node, name, tmp_path):
    """Of the position and of an export: after a power cut there is the old file or the new one."""
    source, target, log = tmp_path / "in.jsonl", tmp_path / "out.jsonl", tmp_path / "strace.log"
    write_lines(source, 20_000)
    renames = 0
    for command in (["import", "--batch-size", "20", name, str(source)], ["export", name, str(target)]):
        subprocess.run(["strace", "-f", "-y", "-qq", "-e", "trace=/rename.*,fsync,fdatasync", "-o", str(log), str(BINARY), *command,
                        "--port", str(node.port)], check=True, stdout=subprocess.DEVNULL, timeout=120, env=environment())
        calls = re.findall(r"^(\d+) +(\w+)\((.*)\) += 0$", log.read_text(), re.M)
        for at, (thread, call, arguments) in enumerate(calls):
            if not call.startswith("rename"):
                continue
            renames += 1
            old = re.search(r'"(.*?)"', arguments)[1]
            mine = [(each[1], each[2]) for each in calls[max(0, at - 20):at + 20] if each[0] == thread]
            here = mine.index((call, arguments))
            assert mine[here - 1][0] in ("fsync", "fdatasync") and f"<{old}>" in mine[here - 1][1], mine
            assert mine[here + 1][0] == "fsync" and f"<{tmp_path}>" in mine[here + 1][1], mine
    assert renames >= 3


def test_an_import_that_is_killed_goes_on_and_has_every_line_once(make_node, name, tmp_path, rng, report):
    node = make_node().start()
    file = tmp_path / "in.jsonl"
    write_lines(file, DOCUMENTS)
    # Few documents go in slowly, so that there is time to be killed in.
    options = [name, file, *(["--batch-size", "20", "--connections", "2"] if DOCUMENTS < 1_000_000 else [])]
    state, kills = tmp_path / "in.jsonl.import-state", 0
    for _ in range(KILLS):
        running = Running(node, *options)
        running.reaches(state, position(state) + file.stat().st_size * 0.3 / KILLS)
        kills += running.kill_after(rng.uniform(0, 0.1))
    assert kills == KILLS, "too fast to be killed"
    began = time.monotonic()
    code, out, err = Running(node, *options).wait()
    assert code == 0, err
    result = json.loads(out)
    assert result["written"] + result["present"] == DOCUMENTS and result["rejected"] == 0, result
    assert result["documents_this_run"] < DOCUMENTS * 0.8, "it began anew"
    numbers(node, name, DOCUMENTS)
    assert not state.exists()
    report(f"import: {DOCUMENTS} documents, killed {kills} times, each is there once; the last run wrote {result['documents_this_run']} "
           f"in {time.monotonic() - began:.1f} s")


def test_repeats_beyond_the_memory_of_the_node_double_nothing(make_node, name, tmp_path, rng):
    """The node has forgotten the names of the batches when the import goes on; somebody else's document is told from our own."""
    node = make_node("node", "--op-id-window", "1s").start()
    file = tmp_path / "in.jsonl"
    # More than a quick machine writes before it is killed.
    count = 240_000
    write_lines(file, count)
    options = [name, file, "--batch-size", "100", "--on-error", "continue"]
    with PlainClient(node.port) as client:
        client.create(name, {"_id": f"own{count - 3}", "n": "somebody else's"})
    running = Running(node, *options)
    assert running.reaches(tmp_path / "in.jsonl.import-state", 0)
    assert running.kill_after(rng.uniform(0.02, 0.1))
    forget(node)
    result = summary(node, *options, code=1)
    assert result["rejected"] == 1 and result["written"] + result["present"] == count - 1 and result["present"] > 0, result
    found = [d["n"] for d in dump(node, name)]
    assert sorted(n for n in found if n != "somebody else's") == [n for n in range(count) if n != count - 3]


def test_what_a_refused_record_stood_beside_is_not_written_twice(node, name, tmp_path):
    """The node wrote the other records of the batch: whoever goes on behind the refused one gets them once."""
    file = tmp_path / "in.jsonl"
    with PlainClient(node.port) as client:
        client.create(name, {"_id": "taken", "n": -1})
    file.write_text("".join(f'{{"n": {n}}}\n' for n in range(50)) + '{"_id": "taken"}\n' + '{"n": 50}\n')
    load(node, name, file, code=1)
    result = summary(node, name, file, "--on-error", "continue", code=1)
    assert (result["written"], result["rejected"]) == (51, 1), result
    assert sorted(d["n"] for d in dump(node, name)) == list(range(-1, 51))


class HangsUpAtRead:
    """A way to a node on which the first READ of a client ends the connection, once."""

    def __init__(self, port):
        self.port_behind, self.has_hung_up = port, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.port_behind))
                threading.Thread(target=self.answers, args=(far, near), daemon=True).start()
                threading.Thread(target=self.requests, args=(near, far), daemon=True).start()

    @staticmethod
    def answers(far, near):
        with contextlib.suppress(OSError):
            while data := far.recv(65536):
                near.sendall(data)
        near.close()

    def requests(self, near, far):
        stream = near.makefile("rb")
        with contextlib.suppress(OSError):
            while len(head := stream.read(12)) == 12:
                if head[5] == wire.READ and not self.has_hung_up:
                    self.has_hung_up = True
                    near.shutdown(socket.SHUT_RDWR)
                    break
                far.sendall(head + stream.read(int.from_bytes(head[8:12], "big")))
        far.shutdown(socket.SHUT_RDWR)


def test_a_connection_that_is_lost_while_doubts_are_resolved_loses_no_batch(make_node, name, tmp_path):
    node = make_node("node", "--op-id-window", "1s").start()
    file = tmp_path / "in.jsonl"
    with PlainClient(node.port) as client:
        client.create(name, {"_id": "own7", "n": "somebody else's"})
    file.write_text("".join(f'{{"_id": "own{n}", "n": {n}}}\n' for n in range(20)))
    load(node, name, file, code=1)
    forget(node)
    way = HangsUpAtRead(node.port)
    result = summary(way, name, file, "--on-error", "continue", timeout=60, code=1)
    assert way.has_hung_up
    assert (result["state"], result["present"], result["rejected"]) == ("complete", 19, 1), result


def test_a_node_that_was_away_while_the_input_paused_is_waited_for(make_node, name):
    """The time without progress counts from the first failure, not from the last answer: the input itself may take its time."""
    node = make_node().start()
    node.options += ["--port", str(node.port)]
    running = subprocess.Popen(
        [str(BINARY), "import", "--port", str(node.port), name, "-", "--format", "jsonl", "--batch-size", "1", "--connections", "1",
         "--retry-for", "2"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    # As much as is read before an import begins.
    running.stdin.write(json.dumps({"n": 1, "text": "x" * 65536}).encode() + b"\n")
    running.stdin.flush()
    deadline = time.monotonic() + 20
    while dump(node, name) == []:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    node.kill()
    node.start()
    time.sleep(2.5)
    out, err = running.communicate(b'{"n": 2}\n', timeout=30)
    assert running.returncode == 0, err
    assert sorted(d["n"] for d in dump(node, name)) == [1, 2]


def test_rejects_that_cannot_be_kept_are_not_passed_over(node, name, tmp_path):
    """A disk without room: the import stops, and goes on from where its rejects are whole."""
    file, full, rejects = tmp_path / "in.jsonl", tmp_path / "full", tmp_path / "bad.jsonl"
    full.symlink_to("/dev/full")
    lines = [f'{{"n": {n}}}' for n in range(1000)]
    for n in range(3, 1000, 100):
        lines[n] = f"bad {n}"
    file.write_text("\n".join(lines))
    ran = load(node, name, file, "--batch-size", "10", "--rejects", full, "--json", code=1)
    assert "No space left" in ran.stderr and json.loads(ran.stdout)["resumable"], ran
    result = summary(node, name, file, "--batch-size", "10", "--rejects", rejects, code=1)
    assert rejects.read_text().splitlines() == lines[3::100]
    assert (result["state"], result["rejected"]) == ("complete", 10), result
    assert sorted(d["n"] for d in dump(node, name)) == [n for n in range(1000) if n % 100 != 3]


def test_batches_are_cut_to_what_the_node_takes(make_node, name, tmp_path):
    node = make_node("node", "--max-frame", "64KiB").start()
    file = tmp_path / "in.jsonl"
    file.write_text("".join(f'{{"n": {n}, "text": "{"x" * 100}"}}\n' for n in range(2000)) + f'{{"text": "{"x" * 70_000}"}}\n')
    result = summary(node, name, file, "--batch-size", "5000", "--on-error", "continue", code=1)
    assert (result["written"], result["rejected"]) == (2000, 1), result


def test_a_node_that_is_killed_is_waited_for(make_node, name, tmp_path, rng, report):
    node = make_node().start()
    file = tmp_path / "in.jsonl"
    write_lines(file, DOCUMENTS)
    running = Running(node, name, file, "--batch-size", "200", "--retry-for", "60")
    node.options += ["--port", str(node.port)]
    for _ in range(2):
        time.sleep(rng.uniform(0.1, 0.4))
        node.kill()
        node.start()
    code, out, err = running.wait()
    assert code == 0, err
    numbers(node, name, DOCUMENTS)
    report(f"import through two kills of the node: {out.strip()}")


def test_ctrl_c_ends_cleanly_and_the_same_command_goes_on(node, name, tmp_path):
    file = tmp_path / "in.jsonl"
    write_lines(file, 100_000)
    running = Running(node, name, file, "--batch-size", "50")
    state = tmp_path / "in.jsonl.import-state"
    assert running.reaches(state, 0)
    running.process.send_signal(signal.SIGINT)
    code, out, err = running.wait()
    assert code == 1 and "the same command goes on" in err, (code, out, err)
    first = json.loads(out)
    assert first["state"] == "stopped" and json.loads(state.read_text())["counts"]["written"] == first["written"]
    assert summary(node, name, file, "--batch-size", "50")["written"] == 100_000
    numbers(node, name, 100_000)


def test_ctrl_c_is_heard_while_a_pipe_is_silent(node, name, tmp_path):
    running = subprocess.Popen(
        [str(BINARY), "import", "--port", str(node.port), name, "-", "--format", "jsonl", "--batch-size", "1", "--json", "--state",
         str(tmp_path / "state")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    # As much as is read before an import begins.
    running.stdin.write(json.dumps({"n": 1, "text": "x" * 65536}) + "\n")
    running.stdin.flush()
    deadline = time.monotonic() + 20
    while dump(node, name) == []:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    assert running.wait(10) == 1
    assert json.loads(running.stdout.read())["state"] == "stopped"
    running.stdin.close()


@pytest.fixture
def stopped(node, name, tmp_path):
    """An import that stopped in the middle: its file and options."""
    file = tmp_path / "in.jsonl"
    file.write_text("".join(f'{{"n": {n}}}\n' for n in range(1000)) + "oops\n" + '{"n": 1000}\n')
    load(node, name, file, "--batch-size", "100", code=1)
    return file, [name, file, "--batch-size", "100"]


def test_an_input_that_changed_is_refused(node, stopped):
    file, options = stopped
    text = file.read_text()
    file.write_text(text + '{"n": 5}\n')
    assert "size" in load(node, *options, code=2).stderr
    file.write_text(text.replace("7", "8"))
    assert "beginning" in load(node, *options, code=2).stderr
    assert load(node, *options, "--restart", code=1).stderr


def test_other_settings_are_refused(node, stopped):
    _, options = stopped
    assert "--mode" in load(node, *options, "--mode", "replace", code=2).stderr
    assert "--batch-size" in load(node, *options[:2], code=2).stderr


def test_a_state_that_cannot_be_read_is_left_behind_by_a_restart(node, stopped, tmp_path):
    file, options = stopped
    state = tmp_path / "in.jsonl.import-state"
    state.write_text(state.read_text().replace('"version": 1', '"version": 2'))
    assert "--restart" in load(node, *options, code=2).stderr
    assert "record 1001" in load(node, *options, "--restart", code=1).stderr
    assert json.loads(state.read_text())["position"]["batch"] > 0


def test_a_rejects_file_continues_with_its_import(node, stopped, tmp_path):
    _, options = stopped
    rejects = tmp_path / "bad.jsonl"
    result = summary(node, *options, "--rejects", rejects, code=1)
    assert result["written"] == 1001 and rejects.read_text() == "oops\n"
    assert "holds something already" in load(node, *options, "--rejects", rejects, code=2).stderr


@pytest.mark.parametrize("text", ["a letter\n", '{"a": 1}', '{"import_id": 5}', "[" * 1000, '{\n  "version": 1,\n  "import_id": "', "x" * (5 << 20)],
                         ids=["text", "a map", "a number", "brackets", "half a state", "too much"])
def test_a_state_that_no_import_wrote_is_left_as_it_is(node, name, tmp_path, text):
    file, other = tmp_path / "in.jsonl", tmp_path / "other"
    file.write_text('{"n": 1}\n')
    other.write_text(text)
    for more in ([], ["--restart"]):
        ran = load(node, name, file, "--state", other, *more, code=2)
        assert "remove" in ran.stderr and other.read_text() == text, ran
    assert dump(node, name) == []


def test_the_input_does_not_keep_the_position(node, name, tmp_path):
    file, link = tmp_path / "in.jsonl", tmp_path / "link"
    file.write_text('{"import_id": "0123456789abcdef0123456789abcdef"}\n')
    link.symlink_to(file)
    before = file.read_bytes()
    for state in (file, link):
        ran = load(node, name, file, "--state", state, "--restart", code=2)
        assert "is the input" in ran.stderr and file.read_bytes() == before and link.is_symlink(), ran


def test_the_position_is_written_over_no_file_but_its_own(node, name, tmp_path):
    file, other = tmp_path / "in.jsonl", tmp_path / "in.jsonl.import-state.new"
    file.write_text('{"n": 1}\n')
    other.write_text("somebody's")
    load(node, name, file)
    assert other.read_text() == "somebody's" and sorted(tmp_path.iterdir()) == [file, other]


@pytest.fixture
def halted(node, name, tmp_path):
    """An import with rejects that ended where its input is broken: the same command goes on from there, and ends there again."""
    file, rejects = tmp_path / "in.json", tmp_path / "bad.json"
    file.write_text("[" + ",\n".join("5" if n % 100 == 3 else f'{{"n": {n}}}' for n in range(1000)) + " oops")
    options = [name, file, "--batch-size", "100", "--rejects", rejects]
    load(node, *options, code=2)
    assert rejects.read_text() == "5\n" * 10
    return file, rejects, options


def test_only_the_rejects_of_the_import_itself_are_cut(node, halted, tmp_path):
    file, rejects, options = halted
    letter = tmp_path / "letter.txt"
    letter.write_text("a letter\n" * 100)
    for other in (letter, file, tmp_path / "in.json.import-state"):
        before = other.read_bytes()
        ran = load(node, *options[:-1], other, code=2)
        assert str(other) in ran.stderr and other.read_bytes() == before, ran
    before = file.read_bytes()
    (tmp_path / "new.reasons").symlink_to(file)
    assert "is the input" in load(node, *options[:-1], tmp_path / "new", code=2).stderr
    assert file.read_bytes() == before
    os.replace(letter, rejects)
    assert "holds something already" in load(node, *options, code=2).stderr
    assert rejects.read_text() == "a letter\n" * 100, "another file has taken the name"


def test_what_a_kill_left_behind_the_position_is_cut_from_both_files_of_rejects_or_none(node, halted, tmp_path):
    _, rejects, options = halted
    reasons = tmp_path / "bad.json.reasons"
    kept, why = rejects.read_text(), reasons.read_text()
    rejects.write_text(kept + "more")
    reasons.write_text(why[:-5])
    assert "shorter" in load(node, *options, code=2).stderr
    assert rejects.read_text() == kept + "more" and reasons.read_text() == why[:-5]
    reasons.write_text(why + "more")
    assert "is missing" in load(node, *options, code=2).stderr
    assert rejects.read_text() == kept and reasons.read_text() == why


def test_two_imports_do_not_share_a_file_of_rejects(node, halted):
    _, rejects, options = halted
    with open(rejects) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert "at work" in load(node, *options, code=2).stderr
    assert "is missing" in load(node, *options, code=2).stderr


def test_an_import_of_csv_that_did_not_begin_can_be_repeated(node, name, tmp_path):
    file, rejects = tmp_path / "in.csv", tmp_path / "bad.csv"
    file.write_text("n,m\n1,2\n")
    options = [name, str(file), "--rejects", str(rejects)]
    assert tool("import", "--port", "1", *options).returncode == 5
    assert summary(node, *options)["written"] == 1 and rejects.read_text() == ""


def test_an_input_that_becomes_shorter_is_not_all_in(node, name, tmp_path):
    file, state = tmp_path / "in.jsonl", tmp_path / "in.jsonl.import-state"
    write_lines(file, 40_000)
    running = Running(node, name, file, "--batch-size", "20", "--connections", "1")
    assert running.reaches(state, 0)
    running.process.send_signal(signal.SIGSTOP)
    os.truncate(file, file.stat().st_size * 3 // 4)
    running.process.send_signal(signal.SIGCONT)
    code, out, err = running.wait()
    assert code == 2 and "became shorter" in err, (code, out, err)
    result = json.loads(out)
    assert result["state"] == "failed" and result["resumable"] and result["rejected"] == 0 and state.exists(), result


def test_an_export_to_a_pipe_or_a_device_does_not_replace_it(node, name, tmp_path):
    with PlainClient(node.port) as client:
        client.create(name, {"_id": "a"})
    pipe, full = tmp_path / "pipe", tmp_path / "full"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert tool("export", "--port", str(node.port), name, str(pipe)).returncode == 0
    assert b'"a"' in os.read(reader, 65536)
    os.close(reader)
    full.symlink_to("/dev/full")
    ran = tool("export", "--port", str(node.port), name, str(full))
    assert ran.returncode == 1 and "No space left" in ran.stderr, ran
    assert pipe.is_fifo() and full.is_symlink() and sorted(tmp_path.iterdir()) == [full, pipe]
    state = tmp_path / "state"
    state.symlink_to("/dev/null")
    (tmp_path / "in.jsonl").write_text('{"n": 1}\n')
    assert "not a file" in load(node, name, tmp_path / "in.jsonl", "--state", state, code=1).stderr


def test_an_export_writes_no_file_but_its_own(node, name, tmp_path):
    target, other = tmp_path / "out.jsonl", tmp_path / "out.jsonl.partial"
    with PlainClient(node.port) as client:
        client.create(name, {"_id": "a"})
    other.write_text("somebody's")
    assert tool("export", "--port", str(node.port), name, str(target)).returncode == 0
    assert '"a"' in target.read_text() and other.read_text() == "somebody's" and sorted(tmp_path.iterdir()) == [target, other]


def test_of_two_exports_into_one_file_one_is_there_whole(node, name, tmp_path):
    target = tmp_path / "out.jsonl"
    with PlainClient(node.port) as client:
        for n in range(2):
            client.batch(f"{name}_{n}", documents=[{"_id": f"k{i}", "of": n} for i in range(5000)])
    for running in [subprocess.Popen([str(BINARY), "export", "--port", str(node.port), f"{name}_{n}", str(target)],
                                     stdout=subprocess.DEVNULL, env=environment()) for n in range(2)]:
        assert running.wait(60) == 0
    found = [json.loads(line)["of"] for line in target.read_text().splitlines()]
    assert found in ([0] * 5000, [1] * 5000) and list(tmp_path.iterdir()) == [target]


def test_an_export_keeps_the_rights_of_the_file_that_it_replaces(node, name, tmp_path):
    with PlainClient(node.port) as client:
        client.create(name, {"_id": "a"})
    for mode in (0o600, 0o664):
        target = tmp_path / f"{mode:o}.jsonl"
        target.touch()
        target.chmod(mode)
        assert tool("export", "--port", str(node.port), name, str(target)).returncode == 0
        assert target.stat().st_mode & 0o777 == mode and '"a"' in target.read_text()
    if os.geteuid() == 0:
        os.chown(target, 12345, 54321)
        assert tool("export", "--port", str(node.port), name, str(target)).returncode == 0
        assert (target.stat().st_uid, target.stat().st_gid, target.stat().st_mode & 0o777) == (12345, 54321, 0o664)


def test_an_export_to_a_symbolic_link_writes_what_it_leads_to(node, name, tmp_path):
    with PlainClient(node.port) as client:
        client.create(name, {"_id": "a"})
    (tmp_path / "there").mkdir()
    target, link, chain = tmp_path / "there" / "out.jsonl", tmp_path / "there" / "link.jsonl", tmp_path / "chain.jsonl"
    link.symlink_to("out.jsonl")
    chain.symlink_to(link)
    for text in ("", "what was there"):
        assert not text or target.write_text(text)
        assert tool("export", "--port", str(node.port), name, str(chain)).returncode == 0
        assert '"a"' in target.read_text() and not target.is_symlink() and link.is_symlink() and chain.is_symlink()


def test_two_imports_do_not_share_a_state_file(node, name, tmp_path):
    file = tmp_path / "in.jsonl"
    write_lines(file, 100_000)
    first = Running(node, name, file, "--batch-size", "20")
    state = tmp_path / "in.jsonl.import-state"
    deadline = time.monotonic() + 30
    while not state.exists():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    second = load(node, name, file, "--batch-size", "20", code=2)
    assert "at work" in second.stderr
    assert first.wait()[0] == 0
    numbers(node, name, 100_000)


def test_an_import_sent_to_a_follower_goes_to_the_leader(cluster, name, tmp_path):
    two = cluster(2)
    file = tmp_path / "in.jsonl"
    write_lines(file, 2000)
    assert summary(two[1], name, file, "--write-concern", "majority", "--drop-collection")["written"] == 2000
    numbers(two[0], name, 2000)


def test_a_bar_is_drawn_at_a_terminal_and_lines_elsewhere_when_asked(node, name, tmp_path):
    file = tmp_path / "in.jsonl"
    write_lines(file, 100_000)
    assert load(node, name, file).stderr == ""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    with subprocess.Popen([str(BINARY), "import", "--port", str(node.port), name + "_2", str(file), "--batch-size", "50"],
                          stdout=subprocess.PIPE, stderr=there, stdin=subprocess.DEVNULL, env=environment()) as running:
        os.close(there)
        shown = b""
        while select.select([here], [], [], 60)[0]:
            try:
                shown += os.read(here, 65536)
            except OSError:
                break
        assert running.wait(60) == 0 and running.stdout.read().startswith(b"complete: 100,000 documents written")
    os.close(here)
    assert b"\r" in shown and b"[#" in shown and b" %" in shown and b"/s" in shown, shown[-500:]
    assert max(map(len, shown.split(b"\r\x1b[K"))) == 59, "what is wider than the terminal breaks, and is not drawn over"

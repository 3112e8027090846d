"""The shell at a terminal: a prompt, arrow keys, a history, completion and Ctrl-C where libedit is there, plain lines where it is not."""
import contextlib
import ctypes.util
import os
import re
import signal
import stat
import subprocess
import termios
from pathlib import Path

import pexpect
import pytest

from rig import wire
from rig.certificates import Authority
from rig.node import BINARY, environment, tool
from rig.terminal import HOME, INTERRUPT, LEFT, SEARCH, TAB, UP, Terminal, needs_libedit, stop, within


@pytest.fixture
def shell(node, request):
    """Opens shells at their prompt; `shell("--mode", "box", columns=60)`. All are gone when the test ends."""
    opened = []

    def open_one(*options, prompt="default> ", **settings):
        opened.append(Terminal(node.port, *options, **settings))
        opened[-1].read_until(prompt)
        return opened[-1]

    yield open_one
    for each in opened:
        each.child.close(force=True)


@contextlib.contextmanager
def held(node):
    """The node stands still."""
    node.freeze()
    try:
        yield
    finally:
        node.thaw()


def fill(node, name, count, make=lambda n: {"_id": f"{n:06}", "n": n}):
    with node.wire(timeout=60) as link:
        link.connect(dialect="plain")
        for start in range(0, count, 5000):
            documents = [make(n) for n in range(start, min(start + 5000, count))]
            answer = link.ask(wire.BATCH_WRITE, {"collection": name, "documents": documents, "durability": "os"})
            assert answer.type == wire.SUCCESS, answer.value


@needs_libedit
def test_arrow_keys_edit_the_line_and_bring_back_the_last_one(shell, name):
    one = shell()
    # The closing parenthesis is typed last, the digit in front of it afterwards.
    one.type(f'db.{name}.insert({{_id: "a", n: 4}})' + LEFT * 2 + "2\r")
    one.read_until(r'"_id": "a"(.|\n)*?default> ')
    one.type(f"db.{name}.count()\r")
    one.read_until(r"\n1\r?\n(.|\n)*?default> ")
    one.type(UP + UP + HOME + "\r")
    one.read_until("(?i)duplicate|already exists")
    one.read_until("default> ")
    assert re.search(r'"n": 42\b', one.run(f'db.{name}.get("a")'))
    assert one.close() == 0


@needs_libedit
def test_letters_of_several_bytes_are_one_step_of_the_cursor(shell, name):
    one = shell()
    one.type(f'db.{name}.insert({{_id: "k", t: "größe日本"}})' + LEFT * 4 + "\x7f!\r")
    one.read_until("default> ")
    assert '"größe!本"' in one.run(f'db.{name}.get("k")')


@needs_libedit
def test_bytes_that_are_no_characters_are_shown_as_such(shell, name):
    one = shell()
    # An overlong slash, half of a surrogate pair, a byte behind the last one, and a lone one.
    for odd in (b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff"):
        os.write(one.child.child_fd, f'db.{name}.insert({{t: "<'.encode() + odd + b'>"})\r')
        shown = one.read_until(r'"t": "<.*?>"(.|\n)*?default> ')
        assert "<\ufffd" in shown, odd
    assert one.close() == 0


@needs_libedit
def test_the_end_of_the_input_is_taken_as_soon_as_a_prompt_is_there(shell, name):
    for _ in range(20):
        one = shell()
        one.type(f"db.{name}.count()\r")
        one.read_until(r"\n0\r?\n(.|\n)*?default> ")
        assert one.close() == 0


def test_a_terminal_that_cannot_be_edited_gets_plain_lines(shell, name):
    one = shell(term="dumb")
    one.type(f"db.{name}.find({{\r")
    one.read_until(r"\.\.\.\. *")
    one.type("n: 1})\r")
    one.read_until("default> ")
    assert one.close() == 0


# History


@needs_libedit
def test_the_history_outlives_the_session(shell, name, tmp_path):
    file = tmp_path / "history"
    first = shell(NEXADB_HISTORY=str(file))
    first.run(f'db.{name}.insert({{_id: "a"}})')
    first.type(f"db.{name}.count({{ // all\r")
    first.read_until(r"\.\.\.\. *")
    first.type("})\r")
    first.read_until(r"\n1\r?\n(.|\n)*?default> ")
    assert first.close() == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == f'db.{name}.insert({{_id: "a"}})\ndb.{name}.count({{ }})\n'
    second = shell(NEXADB_HISTORY=str(file))
    second.type(UP + "\r")
    second.read_until(r"\n1\r?\n(.|\n)*?default> ")
    second.type(SEARCH + "insert")
    second.read_until("insert")
    second.type("\r\r")
    second.read_until("(?i)(duplicate|already exists)(.|\n)*?default> (.|\n)*?default> ")
    assert second.close() == 0


@needs_libedit
def test_passwords_are_not_kept(shell, tmp_path):
    file = tmp_path / "history"
    one = shell(NEXADB_HISTORY=str(file))
    one.run('CREATE_USER {username: "eve", password: "s3cret"}')
    one.run("ping")
    assert one.close() == 0
    assert file.read_text() == "ping\n"


@needs_libedit
def test_a_history_that_grew_long_is_cut_to_the_newest(shell, tmp_path):
    file = tmp_path / "history"
    file.write_text("".join(f"db.c.get('{n}')\n" for n in range(2500)))
    file.chmod(0o644)
    one = shell(NEXADB_HISTORY=str(file))
    one.run("ping")
    lines = file.read_text().splitlines()
    assert lines == [f"db.c.get('{n}')" for n in range(1500, 2500)] + ["ping"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_history_that_is_no_file_is_left_alone(shell, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o644)
    # With both of its ends open here nothing would wait for the other one but for what never comes.
    held = os.open(pipe, os.O_RDWR)
    try:
        one = shell(NEXADB_HISTORY=str(pipe))
        one.run("ping")
        assert one.close() == 0
    finally:
        os.close(held)
    assert stat.S_IMODE(pipe.stat().st_mode) == 0o644


@needs_libedit
def test_what_is_pasted_at_once_runs_line_by_line(shell, name):
    one = shell()
    one.type(f'db.{name}.insert({{\n  _id: "a",\n  n: 1\n}})\ndb.{name}.insert({{_id: "b"}})\ndb.{name}.count()\n')
    one.read_until(r"\n2\r?\n(.|\n)*?default> ")
    assert one.close() == 0


# Completion


@needs_libedit
def test_tab_completes_commands_names_fields_and_operators(shell, node, name):
    fill(node, name, 3, lambda n: {"_id": f"{n}", "height": n, "address": {"city": "Rome"}})
    one = shell()
    one.type("sh" + TAB + "coll" + TAB + "\r")
    one.read_until(f"\n{name}\r?\n(.|\n)*?default> ")
    one.type(f"db.{name[:-3]}{TAB}fin{TAB}{TAB}")
    one.read_until("findOne")
    one.type(f"({{hei{TAB}{{$gt{TAB}{TAB}")
    listed = one.read_until(r"\$gte(.|\n)*\$gt")
    assert "$gt" in listed
    one.type(f": 1}}, address.ci{TAB}'Rome'}}).so{TAB}{{hei{TAB}1}})\r")
    assert '"_id": "2"' in one.read_until(r"\}\s+(.|\n)*?default> ")


@needs_libedit
def test_tab_completes_the_names_of_files(shell, tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "größe.nexa").write_text("use shop\n")
    one = shell()
    one.type(f".read {tmp_path}/scr{TAB}grö{TAB}\r")
    one.read_until("shop> ")
    assert one.close() == 0


@needs_libedit
def test_tab_does_not_wait_for_a_node_that_is_silent(shell, make_node, name):
    node = make_node("silent").start()
    one = Terminal(node.port)
    one.read_until("default> ")
    with held(node):
        one.type("db." + TAB + "x")
        one.read_until("x")
    one.type(INTERRUPT)
    one.read_until("default> ")
    assert one.close() == 0


# Ctrl-C


@needs_libedit
def test_an_interrupt_clears_a_half_typed_line_and_a_half_typed_statement(shell):
    one = shell()
    one.type("nonsense" + INTERRUPT)
    one.read_until(r"\^C\r?\n(.|\n)*?default> ")
    one.type("db.c.find({\r")
    one.read_until(r"\.\.\.\. *")
    one.type("a: " + INTERRUPT)
    one.read_until(r"\^C\r?\n(.|\n)*?default> ")
    assert "PONG" in one.run("PING")
    assert one.close() == 0


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_an_interrupt_cancels_the_request_that_runs(shell, node, name, term, tmp_path):
    if term == "xterm" and not ctypes.util.find_library("edit"):
        pytest.skip("libedit2 is not installed")
    fill(node, name, 20_000, lambda n: {"_id": f"{n:06}", "n": n, "list": list(range(100))})
    # One answer, after a long scan: the elements of each document are compared with many numbers in vain.
    hard = ", ".join(f"{{list: {{$lt: {-n}}}}}" for n in range(1, 450))
    (tmp_path / "hard.nexa").write_text(f"db\ndb.{name}.find({{$or: [{hard}]}}).sort({{n: 1}}).limit(5)\n")
    one = shell(term=term)
    one.type(f".read {tmp_path}/hard.nexa\r")
    one.read_until(r"\ndefault\r?\n")
    one.type(INTERRUPT)
    one.read_until("cancelled(.|\n)*?default> ")
    # The connection goes on, with the right answers to the right questions.
    assert re.search(r"\b20000\b", one.run(f"db.{name}.count()"))
    # A stream that nobody wants to see to its end.
    one.run(".mode jsonl")
    one.type(f"db.{name}.find().limit(1000000)\r")
    one.read_until('"n": 50')
    one.type(INTERRUPT)
    shown = one.read_until("cancelled(.|\n)*?default> ")
    assert '"n": 19999' not in shown
    assert re.search(r"\b20000\b", one.run(f"db.{name}.count()"))
    assert one.close() == 0


def test_who_insists_gives_up_a_node_that_is_silent(make_node, tmp_path):
    (tmp_path / "ping.nexa").write_text("db\nping\n")
    node = make_node("silent").start()
    one = Terminal(node.port, term="dumb")
    one.read_until("default> ")
    with held(node):
        one.type(f".read {tmp_path}/ping.nexa\r")
        one.read_until(r"\ndefault\r?\n")
        # Now and then only: each key throws away what the terminal has not shown yet, the answer to it included.
        for _ in range(10):
            one.type(INTERRUPT)
            if one.reads("given up", within=1):
                break
        one.read_until("given up(.|\n)*?default> ")
    assert '"ok"' in one.run("ping"), "the next command has a connection of its own"
    assert one.close() == 0


@needs_libedit
def test_an_interrupt_is_heard_over_tls(make_node, tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.sign("node")
    node = make_node("node", "--tls-cert", str(certificate), "--tls-key", str(key)).start()
    one = Terminal(node.port, "--tls-ca", str(authority.ca))
    one.read_until("default> ")
    for _ in range(5):
        one.type("nonsense" + INTERRUPT)
        one.read_until(r"\^C\r?\n(.|\n)*?default> ")
    assert '"ok"' in one.run("ping")
    assert one.close() == 0


def test_a_node_that_comes_back_is_found_again(make_node):
    node = make_node("mortal").start()
    one = Terminal(node.port, term="dumb")
    one.read_until("default> ")
    node.kill()
    assert "connection lost" in one.run("ping")
    assert "cannot connect" in one.run("ping")
    node.options += ["--port", str(node.port)]
    node.start()
    assert '"ok"' in one.run("ping")
    assert one.close() == 0


# Results


def test_a_find_shows_a_page_and_it_shows_the_next(shell, node, name):
    fill(node, name, 45)
    one = shell("--mode", "jsonl", term="dumb")
    keys = []
    for statement in (f"db.{name}.find()", "it", "it"):
        page = re.findall(r'"_id": "(\d+)"', one.run(statement))
        assert len(page) == (20 if len(keys) < 40 else 5)
        keys += page
    assert keys == [f"{n:06}" for n in range(45)]
    assert "no find to go on with" in one.run("it")
    # Sorted pages go on by number.
    pages = [re.findall(r'"n": (\d+)', one.run(text)) for text in (f"db.{name}.find().sort({{n: -1}})", "it", "it")]
    assert [int(n) for page in pages for n in page] == list(range(44, -1, -1))


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_boxes_fit_the_terminal(shell, node, name, columns):
    fill(node, name, 30, lambda n: {"_id": f"{n}", "name": "日本語" * (n % 7), "text": "x" * n * 9, "list": list(range(n))})
    one = shell("--mode", "box", term="dumb", columns=columns)
    shown = one.run(f"db.{name}.find()").splitlines()
    box = [line for line in shown if line[:1] in "┌│├└" and line]
    assert len(box) == 24
    assert {len(line) + sum("\u3000" < c < "\ua000" for c in line) for line in box} == {len(box[0])}
    assert len(box[0]) <= columns


@pytest.mark.parametrize("mode", ["json", "jsonl", "box", "line", "csv", "markdown"])
def test_documents_cannot_command_the_terminal(shell, name, mode):
    one = shell("--mode", mode, term="dumb")
    one.run(f'db.{name}.insert({{_id: "\\u001b]0;owned\\u0007\\u009b2J", text: "a\\r\\u001b[2Jb"}})')
    shown = one.run(f"db.{name}.find()") + one.run(f'db.{name}.insert({{_id: "\\u001b]0;owned\\u0007\\u009b2J"}})')
    assert "owned" in shown
    # Nothing but text and the ends of lines: this terminal is not edited, so there is no reason for anything else.
    assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]", one.raw)


def test_settings_files_and_times(shell, node, name, tmp_path):
    fill(node, name, 3)
    (tmp_path / "more.nexa").write_text(f"db.{name}.count()\nuse other\n")
    (tmp_path / "loop.nexa").write_text(f".read {tmp_path}/loop.nexa\n")
    one = shell(term="dumb")
    assert "\n3\r\n" in "\n" + one.run(f".read {tmp_path}/more.nexa", prompt="other> ")
    assert "deeper than 8" in one.run(f".read {tmp_path}/loop.nexa", prompt="other> ")
    one.run("use default")
    one.run(f".output {tmp_path}/out.csv")
    one.run(".mode csv")
    one.run(f"db.{name}.find({{}}, {{_id: 1, n: 1}})")
    one.run(".output")
    assert "csv" in one.run(".mode")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert "n" in lines[0].split(",") and len(lines) == 4
    one.run(".timer on")
    assert re.search(r"3 in \d+\.\d{3} s \([\d,]+/s\)", one.run(f"db.{name}.find()"))
    assert "did you mean .mode?" in one.run(".mdoe box")
    one.run(".read_concern linearizable")
    assert "\n3\r\n" in "\n" + one.run(f"db.{name}.count()")


def test_a_pipe_gets_results_and_nothing_else(node, name):
    fill(node, name, 300)
    script = f"db.{name}.find(\n)\n\n.mode csv\ndb.{name}.find().limit(2)"
    done = subprocess.run([str(BINARY), "shell", "--port", str(node.port)], input=script, capture_output=True, text=True, timeout=30,
                          env=environment({"TERM": "xterm"}))
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 303 and "\x1b" not in done.stdout and ">" not in done.stdout


def test_a_large_result_is_not_gathered(node, name):
    """What is read at most is measured where the system counts it, with a result far larger than that."""
    fill(node, name, 60_000, lambda n: {"_id": f"{n:06}", "text": "x" * 1500})
    for mode in ("jsonl", "box", "csv"):
        shell = subprocess.Popen([str(BINARY), "shell", "--port", str(node.port), "--mode", mode, "-e", f"db.{name}.find()"],
                                 stdout=subprocess.PIPE, env=environment())
        count = peak = 0
        for line in shell.stdout:
            count += len(line) > 1500
            # Of the program alone: what wait4 tells counts the process that started it as well. The pipe holds far less than is left.
            if count == 50_000 and not peak:
                peak = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{shell.pid}/status").read_text())[1])
        assert shell.wait(30) == 0 and count >= 60_000
        assert 0 < peak < 80 * 1024, f"{mode}: {peak} KiB for a result of 90 MB"


def test_what_the_node_refuses_is_pointed_at(node, name):
    done = tool("shell", "--port", str(node.port), "-e", f"db.{name}.find({{age: {{$foo: 1}}}})")
    line, mark = done.stderr.splitlines()[-2:]
    assert done.returncode == 2 and line[mark.index("^"):].startswith("$foo")


def test_a_file_without_an_end_is_not_read_to_it(node):
    for how in (["-e", ".read /dev/zero"], ["/dev/zero"]):
        ran = tool("shell", "--port", str(node.port), *how)
        assert ran.returncode == 1 and "more than 64.0 MiB" in ran.stderr, ran.stderr[:1000]


# Signals


@needs_libedit
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_prompt_leaves_a_terminal_that_shows_what_is_typed(shell, number):
    one = shell()
    assert not one.child.getecho()
    one.child.kill(number)
    one.child.expect(pexpect.EOF, timeout=10)
    flags = termios.tcgetattr(one.child.child_fd)[3]
    assert flags & termios.ECHO and flags & termios.ICANON
    one.child.close()
    assert one.child.signalstatus == number


@needs_libedit
def test_a_shell_that_comes_back_to_the_foreground_has_its_prompt_and_its_keys(shell, name):
    one = shell()
    one.type("db.")
    one.read_until(r"db\.")
    stop(one.child.pid)
    # What another shell does to the terminal meanwhile.
    settings = termios.tcgetattr(one.child.child_fd)
    settings[3] |= termios.ECHO | termios.ICANON
    termios.tcsetattr(one.child.child_fd, termios.TCSANOW, settings)
    os.kill(one.child.pid, signal.SIGCONT)
    one.read_until(r"default> db\.")
    within(lambda: not one.child.getecho())
    one.type(f"{name}.cont()" + LEFT * 4 + "u\r")
    one.read_until(r"\n0\r?\n(.|\n)*?default> ")
    assert one.close() == 0


# Who and where


def test_the_password_is_asked_for_and_not_shown(make_node, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("s3cret pass\n")
    node = make_node("guarded")
    made = tool("user", "add", "root", "--role", "admin", "--new-password-file", str(secret), "--data-dir", str(node.data))
    assert made.returncode == 0, made.stderr
    node.start()
    one = Terminal(node.port, f"nexadb://root@127.0.0.1:{node.port}/shop", term="dumb")
    one.read_until("Password for root: ")
    one.type("s3cret pass\r")
    one.read_until("shop> ")
    assert "root" in one.run("show users", prompt="shop> ")
    assert "s3cret" not in one.raw
    assert one.close() == 0
    wrong = Terminal(node.port, f"nexadb://root@127.0.0.1:{node.port}/shop", term="dumb")
    wrong.read_until("Password for root: ")
    wrong.type("guess\r")
    wrong.read_until("UNAUTHENTICATED")
    assert wrong.close() == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_password_leaves_a_terminal_that_shows_what_is_typed(node, number):
    one = Terminal(node.port, f"nexadb://root@127.0.0.1:{node.port}/shop", term="dumb")
    one.read_until("Password for root: ")
    one.child.kill(number)
    one.child.expect(pexpect.EOF, timeout=10)
    assert one.child.getecho()
    one.child.close()
    assert one.child.signalstatus == number


def test_a_password_file_from_windows_has_the_same_password(make_node, tmp_path):
    for name, content in {"windows": b"s3cret\r\nanother line\r\n", "unix": b"s3cret\n"}.items():
        (tmp_path / name).write_bytes(content)
    node = make_node("guarded")
    made = tool("user", "add", "root", "--role", "admin", "--new-password-file", str(tmp_path / "windows"), "--data-dir", str(node.data))
    assert made.returncode == 0, made.stderr
    node.start()
    for name in ("unix", "windows"):
        ran = tool("status", "--port", str(node.port), "--user", "root", "--password-file", str(tmp_path / name))
        assert ran.returncode == 0, (name, ran.stderr)


def test_an_interrupt_at_the_password_leaves_a_terminal_that_shows_what_is_typed(node):
    one = Terminal(node.port, f"nexadb://root@127.0.0.1:{node.port}/shop", term="dumb")
    one.read_until("Password for root: ")
    assert not one.child.getecho()
    one.type("half" + INTERRUPT)
    one.child.expect(pexpect.EOF, timeout=10)
    assert one.child.getecho()
    one.child.close()
    assert one.child.signalstatus == signal.SIGINT


@pytest.mark.parametrize("address, message", [
    ("nexadb://127.0.0.1:port", "port"), ("nexadb://a b", "host"), ("nexadb://127.0.0.1/x?tls=maybe", "tls"),
])
def test_a_bad_address_is_refused_by_name(address, message):
    done = tool("shell", address, "-e", "ping")
    assert done.returncode == 64 and message in done.stderr

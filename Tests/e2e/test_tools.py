"""The commands that talk to a node: ping, status, shell, bench, with their exit codes."""
import fcntl
import json
import os
import subprocess

import pytest

from rig.node import BINARY, environment, tool
from rig.plain import PlainClient

MIXES = ["get", "create", "update", "mixed", "query", "scan", "batch", "ping", *(f"ycsb-{x}" for x in "abcdef")]


@pytest.fixture
def at(node):
    return ["--host", "127.0.0.1", "--port", str(node.port)]


def shell(at, *commands, **more):
    return tool("shell", *at, *(part for c in commands for part in ("-e", c)), **more)


def test_ping_and_status(at):
    ping = tool("ping", *at)
    assert ping.returncode == 0 and ping.stdout.strip(), ping
    status = tool("status", *at)
    assert status.returncode == 0 and "durab" in status.stdout.lower(), status


@pytest.mark.parametrize("command", [["ping"], ["status"], ["status", "--json"]], ids=" ".join)
def test_output_that_cannot_be_written_is_a_failure(at, command):
    with open("/dev/full", "w") as full:
        ran = subprocess.run([str(BINARY), *command, *at], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, env=environment())
    assert ran.returncode == 1 and ran.stderr == "nexadb: cannot write the output: No space left on device\n"


def test_output_waits_for_a_pipe_that_is_full(at):
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(write, False)
    os.write(write, b"x" * 4096)
    with subprocess.Popen([str(BINARY), "status", "--json", *at], stdout=write, env=environment()) as child:
        os.close(write)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(1)
        with os.fdopen(read, "rb") as output:
            status = output.read().decode()[4096:]
        assert child.wait(30) == 0
    assert "engine" in json.loads(status)


@pytest.mark.parametrize("command", [["ping"], ["status"], ["shell", "-e", "show dbs"], ["bench", "--duration", "0.1"]], ids=lambda c: c[0])
def test_unreachable_node_has_an_exit_code_of_its_own(command):
    tried = tool(command[0], "--port", "1", *command[1:])
    assert tried.returncode == 5 and "127.0.0.1:1" in tried.stderr + tried.stdout, tried


def test_shell_session(at, node):
    ran = shell(at, 'db.shell.insert({_id: "a", name: "Ann", age: 30})', 'db.shell.insertMany([{_id: "b", age: 41}, {_id: "c", age: 5}])',
                "db.shell.find({age: {$gte: 30}})", 'db.shell.update("b", {age: 42})', 'db.shell.get("b")', 'db.shell.delete("c")',
                "db.shell.count()")
    assert ran.returncode == 0, ran
    assert '"Ann"' in ran.stdout and ran.stdout.strip().splitlines()[-1] == "2", ran
    with PlainClient(node.port) as c:
        assert {d["id"]: d["age"] for d in c.query("shell")} == {"a": 30, "b": 42}


@pytest.mark.parametrize("command, code", [
    ('db.shell_codes.get("nobody")', 3), ('db.shell_codes.insert({_id: "twice"})', 4), ("db.shell_codes.find({a: {$nope: 1}})", 2),
    ("this is no command", 2)])
def test_shell_exit_codes(at, node, command, code):
    with PlainClient(node.port) as c:
        if c.get("shell_codes", "twice") is None:
            c.create("shell_codes", {"_id": "twice"})
    ran = shell(at, command)
    assert ran.returncode == code and ran.stderr.strip(), ran


@pytest.mark.parametrize("mix", MIXES)
def test_bench_runs_each_mix_without_an_error(at, tmp_path, mix, report):
    result = tmp_path / "bench.json"
    ran = tool("bench", *at, "--mix", mix, "--duration", "0.4", "--warm-up", "0.1", "-c", "8", "-d", "4", "--records", "2000",
               "--batch-size", "100", "--collection", f"bench_{mix.replace('-', '_')}", "--json", str(result))
    assert ran.returncode == 0, ran
    assert json.loads(result.read_text())
    if mix in ("get", "create", "batch"):
        report(f"bench {mix}: {' '.join(ran.stdout.split())[:150]}")

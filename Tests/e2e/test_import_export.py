"""`nexadb import` and `nexadb export`: formats, what comes back, what is refused, and every record once through kills of either side.

NEXA_IMPORT_DOCUMENTS=5000000 NEXA_IMPORT_KILLS=10 makes the kill tests as large as the promise."""
import contextlib
import fcntl
import json
import math
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

import msgpack
import pytest

from rig import wire
from rig.faults import needs_strace
from rig.node import BINARY, environment, tool
from rig.plain import PlainClient

DOCUMENTS = int(os.environ.get("NEXA_IMPORT_DOCUMENTS", "200000"))
KILLS = int(os.environ.get("NEXA_IMPORT_KILLS", "5"))
META = ("_created_at", "_updated_at")


def load(node, *arguments, code=0, **more):
    ran = tool("import", "--port", str(node.port), *map(str, arguments), **more)
    assert ran.returncode == code, ran
    return ran


def summary(node, *arguments, **more):
    return json.loads(load(node, *arguments, "--json", **more).stdout)


def documents(node, collection, *arguments):
    """The documents of a collection as the MessagePack export has them, one by one."""
    with subprocess.Popen([str(BINARY), "export", "--port", str(node.port), collection, "-", "--format", "msgpack", *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment()) as running:
        yield from msgpack.Unpacker(running.stdout, raw=False, timestamp=0, max_buffer_size=0, strict_map_key=False)
        assert running.wait(60) == 0, running.stderr.read()


def dump(node, collection, *arguments):
    """All of them, without the times that the node keeps."""
    return [{k: v for k, v in document.items() if k not in META} for document in documents(node, collection, *arguments)]


def same(a, b):
    """Equality that tells 1 from 1.0 and takes NaN for itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return math.isnan(a) and math.isnan(b) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


ODD = {
    "integers": [0, -1, 127, 128, 2**53 + 1, 2**63 - 1, -2**63, 2**64 - 1],
    "doubles": [0.1, -0.0, 1e300, 5e-324, 3.0, math.nan, math.inf, -math.inf],
    "bytes": [b"", b"\x00\xff" * 40], "times": [msgpack.Timestamp(0, 0), msgpack.Timestamp(-5, 7), msgpack.Timestamp(2**40, 1)],
    "ext": msgpack.ExtType(7, b"seven"), "words": [None, True, False], "text": 'quote " slash \\ tab \t line \n\x00\x7f \u2028 \U0001f600',
    "deep": {"a": [{"b": {}}, []]}, "": "no name", "id": "an own id", "vector": [1.5, 2.5],
}


@pytest.mark.parametrize("format", ["jsonl", "json", "msgpack"])
def test_what_is_exported_comes_back(node, name, tmp_path, format):
    with PlainClient(node.port, features=[]) as client:
        client.create(name, {"_id": "odd", **ODD})
        client.create(name, {"_id": "plain", "n": 1, "vector": [0.5, 1.5]})
    file = tmp_path / f"out.{format}"
    ran = tool("export", "--port", str(node.port), name, str(file))
    assert ran.returncode == 0 and not (tmp_path / f"out.{format}.partial").exists(), ran
    load(node, name + "_2", file)
    before, after = dump(node, name), dump(node, name + "_2")
    assert before[0] == {"_id": "odd", **ODD} or same(before[0], {"_id": "odd", **ODD}), "the export changed something"
    assert len(after) == 2 and all(map(same, before, after))


def test_float32_keep_their_bits_in_messagepack_and_their_value_in_json(node, name, tmp_path):
    document = {"_id": "a", "x": [0.1, 1 / 3]}
    (tmp_path / "in.msgpack").write_bytes(msgpack.packb(document, use_single_float=True))
    load(node, name, tmp_path / "in.msgpack")
    single = [0.10000000149011612, 0.3333333432674408]
    assert dump(node, name)[0]["x"] == single
    for format in ("jsonl", "msgpack"):
        tool("export", "--port", str(node.port), name, str(tmp_path / f"out.{format}"))
        load(node, f"{name}_{format}", tmp_path / f"out.{format}")
        assert dump(node, f"{name}_{format}")[0]["x"] == single
    assert msgpack.packb(single, use_single_float=True) in (tmp_path / "out.msgpack").read_bytes()


@pytest.mark.parametrize("text", ['[{"n": 1}, {"n": 2},\n{"n": 3}]', '{"n": 1}{"n": 2}\n\n {"n": 3}', " [ ] ", "", '[{"n":"]}\\""}]'],
                         ids=["array", "values", "empty array", "nothing", "brackets in text"])
def test_json_is_an_array_or_values(node, name, tmp_path, text):
    (tmp_path / "in.json").write_text(text)
    result = summary(node, name, tmp_path / "in.json")
    assert result["state"] == "complete" and result["written"] == text.count('"n"'), result
    assert len(dump(node, name)) == text.count('"n"')


@pytest.mark.parametrize("text, why", [
    ('[{"n": 1} {"n": 2}]', "',' or ']' is missing"), ('[{"n": 1}', "the array does not end"), ('[{"n": 1}] x', "nothing may follow"),
    ('{"n": 1} }', "cannot begin here")])
def test_json_whose_structure_is_broken_ends_the_import(node, name, tmp_path, text, why):
    (tmp_path / "in.json").write_text(text)
    ran = load(node, name, tmp_path / "in.json", "--on-error", "continue", code=2)
    assert why in ran.stderr, ran
    assert [d["n"] for d in dump(node, name)] == [1], "what stands in front of the fault is in"


def test_csv_of_rfc_4180(node, name, tmp_path):
    file = tmp_path / "in.csv"
    file.write_bytes('\ufeffname,note,"a ""b"""\r\nAnn,"two\r\nlines, and a ""quote""",1\r\n\r\nBob,,"",\n'.replace('"",\n', '""\n').encode()
                     + 'Eve," ",x"y"\n"007",true,3'.encode())
    assert summary(node, name, file)["written"] == 4
    assert [{k: v for k, v in d.items() if k != "_id"} for d in dump(node, name)] == [
        {"name": "Ann", "note": 'two\r\nlines, and a "quote"', 'a "b"': "1"}, {"name": "Bob", "note": "", 'a "b"': ""},
        {"name": "Eve", "note": " ", 'a "b"': 'x"y"'}, {"name": "007", "note": "true", 'a "b"': "3"}]


def test_csv_types_are_told_or_guessed(node, name, tmp_path):
    file = tmp_path / "in.csv"
    file.write_text('id,n,x,ok,day,raw,any,zip\n1,9007199254740993,1.5,true,2026-11-26,AP8=,"[1,{""a"":2}]",01234\n2,,,,,,,""\n')
    load(node, name, file, "--id-field", "id", "--types", "n=int,x=double,ok=bool,day=date,raw=binary,any=json")
    assert dump(node, name) == [
        {"_id": "1", "id": "1", "n": 2**53 + 1, "x": 1.5, "ok": True, "day": msgpack.Timestamp(1795651200), "raw": b"\x00\xff",
         "any": [1, {"a": 2}], "zip": "01234"},
        {"_id": "2", "id": "2", **dict.fromkeys(("n", "x", "ok", "day", "raw", "any")), "zip": ""}]
    load(node, name + "_2", file, "--infer-types", "--skip-empty", "--id-field", "id")
    assert dump(node, name + "_2") == [
        {"_id": "1", "id": 1, "n": 2**53 + 1, "x": 1.5, "ok": True, "day": "2026-11-26", "raw": "AP8=", "any": '[1,{"a":2}]',
         "zip": "01234"}, {"_id": "2", "id": 2}]


def test_tsv_without_a_header_row_and_other_delimiters(node, name, tmp_path):
    (tmp_path / "in.tsv").write_text("a, b\t1\nc\t2\n")
    load(node, name, tmp_path / "in.tsv", "--fields", "text,n", "--types", "n=int")
    assert [(d["text"], d["n"]) for d in dump(node, name)] == [("a, b", 1), ("c", 2)]
    (tmp_path / "in.csv").write_text("text;n\n1,5;x\n")
    load(node, name + "_2", tmp_path / "in.csv", "--delimiter", ";")
    assert [(d["text"], d["n"]) for d in dump(node, name + "_2")] == [("1,5", "x")]


def test_csv_export(node, name, tmp_path):
    with PlainClient(node.port) as client:
        client.create(name, {"_id": "1", "a": 'x,"y"\n', "b": {"c": 1.5, "d": [1]}, "e": b"\x00", "t": msgpack.Timestamp(0)})
        client.create(name, {"_id": "2", "a": "", "b": None})
    ran = tool("export", "--port", str(node.port), name, "--format", "csv", "--fields", "_id,a,b.c,b.d,e,t")
    assert ran.stdout == '_id,a,b.c,b.d,e,t\n1,"x,""y""\n",1.5,[1],AA==,1970-01-01T00:00:00Z\n2,"",,,,\n', ran
    assert tool("export", "--port", str(node.port), name, "--format", "csv").returncode == 64


def test_export_takes_a_filter_fields_order_and_limit(node, name):
    with PlainClient(node.port) as client:
        client.batch(name, documents=[{"_id": f"k{i}", "n": i, "m": -i} for i in range(3000)])
    assert len(dump(node, name)) == 3000
    assert dump(node, name, "--filter", "{n: {$gte: 10}}", "--fields", "m", "--sort", "-n", "--limit", "2") == [
        {"_id": "k2999", "m": -2999}, {"_id": "k2998", "m": -2998}]
    assert tool("export", "--port", str(node.port), name, "--filter", "{n: {$nope: 1}}").returncode == 2
    assert dump(node, "nothing_of_this_name") == []


# Ids and modes


def test_modes(node, name, tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_text('{"_id": "a", "x": 1, "y": 1}\n{"x": 9}\n')
    load(node, name, file)
    file.write_text('{"_id": "a", "x": 2}\n{"_id": "b", "x": 3}\n')
    refused = load(node, name, file, "--on-error", "continue", code=1)
    assert "'a'" in refused.stderr, refused
    by_id = lambda: {d["_id"]: d for d in dump(node, name) if len(d["_id"]) == 1}  # noqa: E731
    assert by_id() == {"a": {"_id": "a", "x": 1, "y": 1}, "b": {"_id": "b", "x": 3}}
    load(node, name, file, "--mode", "upsert")
    assert by_id()["a"] == {"_id": "a", "x": 2, "y": 1}
    load(node, name, file, "--mode", "replace")
    assert by_id()["a"] == {"_id": "a", "x": 2}
    load(node, name, file, "--drop-collection")
    assert dump(node, name) == [{"_id": "a", "x": 2}, {"_id": "b", "x": 3}]


def test_a_field_can_be_the_id(node, name, tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_text('{"n": 7}\n{"n": 1.5}\n{"m": 1}\n{"n": "x"}\n')
    result = summary(node, name, file, "--id-field", "n", "--on-error", "continue", code=1)
    assert result["written"] == 2 and result["rejected"] == 2
    assert dump(node, name) == [{"_id": "7", "n": 7}, {"_id": "x", "n": "x"}]


MALFORMED = [
    ("mark.jsonl", b'\xef\xbb\xbf{"a":1}\r\n{"a":2}\r\n', 2, 0, 0), ("nul.jsonl", b'{"a":"x\x00y"}\n{"a":1}\x00\n{"a":1}', 1, 2, 1),
    ("big.jsonl", b'{"a":1e400}\n{"a":18446744073709551615}\n', 1, 1, 1),
    ("deep.jsonl", b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}\n{}", 1, 1, 1),
    ("half.jsonl", b'{"a":"\\ud800"}\n{"a":"\\udc00\\ud800"}\n', 0, 2, 1),
    ("twice.jsonl", b'{"a":1,"a":2}\n{"_id":"x","_id":"y"}\n', 0, 2, 1),
    ("utf8.jsonl", b'{"a":"\xff"}\n{"a":"\xc0\xaf"}\n{"a":"\xed\xa0\x80"}\n{}', 1, 3, 1), ("cut.jsonl", b'{"a":1}\n{"a":', 1, 1, 1),
    ("blank.jsonl", b"\n \n\n", 0, 0, 0), ("mark.csv", b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4\r", 2, 0, 0), ("open.csv", b'a,b\n1,2\n1,"2\n3,4\n', 1, 1, 1),
    ("utf8.csv", b"a,b\n\xff,2\n1,2\n", 1, 1, 1), ("returns.csv", b"a,b\r1,2\r3,4\r", 0, 0, 2), ("none.csv", b"", 0, 0, 2),
    ("cut.msgpack", b"\x81\xa1a\x01\x82\xa1a", 1, 0, 2), ("reserved.msgpack", b"\x81\xa1a\x01\xc1", 1, 0, 2),
    ("scalar.msgpack", b"\x01\x93\x01\x02\x03\x80", 1, 2, 1), ("deep.msgpack", b"\x81\xa1a" + b"\x91" * 100_000 + b"\x01\x80", 1, 1, 1),
    ("key.msgpack", b"\x81\x01\x02\x82\xa1a\x01\xa1a\x02", 0, 2, 1), ("huge.msgpack", b"\x81\xa1a\xdd\xff\xff\xff\xff", 0, 0, 2),
    ("behind.json", b'[{"a":1}] x', 1, 0, 2), ("open.json", b'[{"a":1}', 1, 0, 2), ("scalar.json", b'1 "2" {"a":1}', 1, 2, 1),
    ("deep.json", b"[" * 100_000, 0, 1, 2), ("comma.json", b'[,{"a":1}]', 0, 0, 2),
]


@pytest.mark.parametrize("file, content, good, bad, code", MALFORMED, ids=[case[0] for case in MALFORMED])
def test_malformed_input_is_refused_by_records_where_they_can_be_told_apart(name, tmp_path, file, content, good, bad, code):
    (tmp_path / file).write_bytes(content)
    ran = tool("import", "--dry-run", "--json", name, str(tmp_path / file))
    assert ran.returncode == code, ran
    if ran.stdout:
        result = json.loads(ran.stdout)
        assert (result["written"], result["rejected"]) == (good, bad), ran
    else:
        assert (good, bad) == (0, 0) and ran.stderr, ran


# Records that are refused


def test_refused_records_are_kept_and_can_be_mended(node, name, tmp_path):
    file, rejects = tmp_path / "in.jsonl", tmp_path / "bad.jsonl"
    lines = [f'{{"_id": "k{i}", "n": {i}}}' for i in range(5000)]
    bad = {17: '{"n": }', 900: "[1]", 901: '{"_id": 5}', 2500: '{"a": 1, "a": 2}', 4999: '{"_id": "k1"}', 3000: '{"t": "\xff"}'}
    for at, line in bad.items():
        lines[at] = line
    lines.insert(3, "   ")
    file.write_bytes("\n".join(lines).encode("latin-1"))
    result = summary(node, name, file, "--rejects", rejects, "--batch-size", "100", code=1)
    assert (result["state"], result["written"], result["rejected"]) == ("complete", 4994, 6), result
    kept = rejects.read_bytes().decode("latin-1").splitlines()
    assert kept == [bad[i] for i in sorted(bad)]
    reasons = [json.loads(line) for line in (tmp_path / "bad.jsonl.reasons").read_text().splitlines()]
    assert [r["record"] for r in reasons] == [i + 2 for i in sorted(bad)]
    data = file.read_bytes()
    assert all(data[r["offset"]:].startswith(k.encode("latin-1")) for r, k in zip(reasons, kept))
    rejects.write_text("\n".join(f'{{"_id": "mended{i}"}}' for i in range(6)))
    load(node, name, rejects)
    assert len(dump(node, name)) == 5000


def test_an_import_stops_at_the_first_refused_record(node, name, tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_text("".join(f'{{"n": {i}}}\n' for i in range(3000)) + "{oops}\n")
    ran = load(node, name, file, "--batch-size", "500", code=1)
    assert "record 3001" in ran.stderr and "--on-error" in ran.stderr, ran
    assert summary(node, name, file, "--batch-size", "500", "--on-error", "continue", code=1)["written"] == 3000
    assert sorted(d["n"] for d in dump(node, name)) == list(range(3000))


def test_csv_rejects_have_their_header_row(node, name, tmp_path):
    file, rejects = tmp_path / "in.csv", tmp_path / "bad.csv"
    file.write_text('n,"a,b"\n1,x\n2\n3,"x\n')
    summary(node, name, file, "--rejects", rejects, code=1)
    assert rejects.read_text() == 'n,"a,b"\n2\n3,"x\n\n'


def test_a_dry_run_sends_nothing(node, name, tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_text('{"n": 1}\nx\n')
    ran = load(node, name, file, "--dry-run", code=1)
    assert "record 2" in ran.stderr and dump(node, name) == [] and list(tmp_path.iterdir()) == [file]


def test_exit_codes(node, name, tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_text('{"n": 1}\n')
    load(node, name, tmp_path / "none.jsonl", code=2)
    load(node, name, tmp_path / "in.unknown", code=64)
    load(node, "1bad name", file, code=2)
    assert tool("import", "--port", "1", name, str(file)).returncode == 5
    assert tool("export", "--port", "1", name).returncode == 5


def test_standard_input(node, name):
    ran = subprocess.run([str(BINARY), "import", "--port", str(node.port), name, "-", "--format", "jsonl"], input=b'{"n": 1}\n{"n": 2}',
                         capture_output=True, timeout=60, env=environment())
    assert ran.returncode == 0 and len(dump(node, name)) == 2, ran


# Going on


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



def write_lines(file, count):
    """Every third record brings its own id."""
    with open(file, "w") as out:
        for n in range(count):
            own, more = (f'"_id": "own{n}", ', "") if n % 3 == 0 else ("", ', "city": "Rome"')
            out.write(f'{{{own}"n": {n}, "name": "User {n:07}", "email": "user{n:07}@example.com", "age": {n % 90}{more}}}\n')


class Running:
    """An import in the background."""

    def __init__(self, node, *arguments):
        self.process = subprocess.Popen(
            [str(BINARY), "import", "--port", str(node.port), *map(str, arguments), "--json"], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=environment())

    def wait(self, timeout=600):
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err

    def kill_after(self, seconds):
        """SIGKILL; False when it had ended before."""
        try:
            self.process.wait(seconds)
            return False
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return True
        finally:
            self.process.stdout.close()
            self.process.stderr.close()

    def reaches(self, state, offset, within=120):
        """Waits until the state file keeps a position behind `offset`; False when the import ended first."""
        deadline = time.monotonic() + within
        while position(state) <= offset:
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < deadline, f"the position stays at {offset}"
            time.sleep(0.002)
        return True


def position(state):
    """0 before the import has begun: then there is no file, or an empty one."""
    text = state.read_text() if state.exists() else ""
    return json.loads(text)["position"]["offset"] if text else 0


def forget(node):
    """Has a node with `--op-id-window 1s` forget the names of batches: two turns of its memory, each by the first write behind a window."""
    with PlainClient(node.port) as client:
        for _ in range(2):
            time.sleep(1.1)
            client.create("turn", {}, op_id=os.urandom(24))


def numbers(node, collection, count):
    """Asserts that each number stands there exactly once."""
    seen, total = bytearray(count), 0
    for document in documents(node, collection, "--fields", "n"):
        seen[document["n"]] = 1
        total += 1
    assert total == count and sum(seen) == count, (total, sum(seen), count)


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
    assert Running(node, *options).kill_after(rng.uniform(0.15, 0.25))
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
    state.write_text(state.read_text()[:100])
    assert "--restart" in load(node, *options, code=2).stderr
    assert "record 1001" in load(node, *options, "--restart", code=1).stderr
    assert json.loads(state.read_text())["position"]["batch"] > 0


def test_a_rejects_file_continues_with_its_import(node, stopped, tmp_path):
    _, options = stopped
    rejects = tmp_path / "bad.jsonl"
    result = summary(node, *options, "--rejects", rejects, code=1)
    assert result["written"] == 1001 and rejects.read_text() == "oops\n"
    assert "holds rejects already" in load(node, *options, "--rejects", rejects, code=2).stderr


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


def test_two_exports_do_not_share_a_file(node, name, tmp_path):
    target, held = tmp_path / "out.jsonl", tmp_path / "out.jsonl.partial"
    with PlainClient(node.port) as client:
        client.create(name, {"_id": "a"})
    with open(held, "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write("another export's")
        other.flush()
        ran = tool("export", "--port", str(node.port), name, str(target))
        assert ran.returncode == 2 and "another export" in ran.stderr and held.read_text() == "another export's", ran
    assert tool("export", "--port", str(node.port), name, str(target)).returncode == 0
    assert '"a"' in target.read_text() and not held.exists()


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

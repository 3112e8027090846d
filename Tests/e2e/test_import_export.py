"""`nexadb import` and `nexadb export`: formats, what comes back, and what is refused."""
import json
import math
import subprocess

import msgpack
import pytest

from rig.node import BINARY, environment, tool
from rig.plain import PlainClient
from rig.transfer import dump, load, summary


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


def test_an_empty_line_is_a_row_where_there_is_one_column(node, name, tmp_path):
    file = tmp_path / "in.csv"
    file.write_text("note\na\n\nb\r\n\r\n")
    assert summary(node, name, file)["written"] == 4
    assert [d["note"] for d in dump(node, name)] == ["a", "", "b", ""]


def test_types_of_columns_that_are_not_there_are_refused(name, tmp_path):
    file = tmp_path / "in.csv"
    file.write_text("name,age\nAnn,5\n")
    for more in ([], ["--fields", "a,b"]):
        ran = tool("import", "--dry-run", name, str(file), "--types", "Age=int", *more)
        assert ran.returncode == 2 and "'Age'" in ran.stderr and ("a, b" if more else "name, age") in ran.stderr, ran


def test_a_double_that_is_too_large_is_no_double(name, tmp_path):
    file = tmp_path / "in.csv"
    file.write_text("x\n1e999\n-1e999\n1e308\nInfinity\n-Infinity\nNaN\n")
    ran = tool("import", "--dry-run", "--json", name, str(file), "--types", "x=double")
    assert ran.returncode == 1 and "1e999" in ran.stderr, ran
    result = json.loads(ran.stdout)
    assert (result["written"], result["rejected"]) == (4, 2), ran


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
    ("wide.jsonl", b'{"a":18446744073709551616}\n{"a":100000000000000000000}\n{"a":-9223372036854775809}\n', 1, 2, 1),
    ("deep.jsonl", b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}\n{}", 1, 1, 1),
    ("half.jsonl", b'{"a":"\\ud800"}\n{"a":"\\udc00\\ud800"}\n', 0, 2, 1),
    ("twice.jsonl", b'{"a":1,"a":2}\n{"_id":"x","_id":"y"}\n', 0, 2, 1),
    ("utf8.jsonl", b'{"a":"\xff"}\n{"a":"\xc0\xaf"}\n{"a":"\xed\xa0\x80"}\n{}', 1, 3, 1), ("cut.jsonl", b'{"a":1}\n{"a":', 1, 1, 1),
    ("blank.jsonl", b"\n \n\n", 0, 0, 0), ("mark.csv", b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4\r", 2, 0, 0), ("open.csv", b'a,b\n1,2\n1,"2\n3,4\n', 1, 1, 1),
    ("utf8.csv", b"a,b\n\xff,2\n1,2\n", 1, 1, 1), ("returns.csv", b"a,b\r1,2\r3,4\r", 0, 0, 2), ("none.csv", b"", 0, 0, 2), ("head.csv", b"a,\xff\n1,2\n", 0, 0, 2),
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


@pytest.mark.parametrize("file, start, why", [("in.msgpack", b"\x80\xc1", "no MessagePack"), ("in.jsonl", b"{}\n{", "does not end")],
                         ids=["msgpack", "jsonl"])
def test_a_record_without_end_is_told_behind_what_stands_in_front_of_it(node, name, tmp_path, file, start, why):
    with open(tmp_path / file, "wb") as out:
        out.write(start)
        out.truncate(65 << 20)
    ran = load(node, name, tmp_path / file, code=2)
    assert why in ran.stderr and "record 2" in ran.stderr and len(dump(node, name)) == 1, ran


# Records that are refused


@pytest.mark.parametrize("format, pack", [("jsonl", lambda record: json.dumps(record).encode() + b"\n"), ("msgpack", msgpack.packb)],
                         ids=["jsonl", "msgpack"])
@pytest.mark.parametrize("mode, deepest", [("insert", 98), ("upsert", 97), ("replace", 97)])
def test_a_record_that_is_nested_too_deep_for_its_request_is_refused_alone(node, name, tmp_path, format, pack, mode, deepest):
    def nested(depth):
        value = 1
        for _ in range(depth - 1):
            value = [value]
        return {"_id": f"d{depth}", "a": value}
    file = tmp_path / f"in.{format}"
    file.write_bytes(b"".join(pack(nested(depth)) for depth in (deepest - 1, deepest, deepest + 1, 100, 101, 1)))
    ran = load(node, name, file, "--mode", mode, "--on-error", "continue", "--json", code=1)
    assert json.loads(ran.stdout)["rejected"] == 3 and f"deeper than {deepest}" in ran.stderr, ran
    assert {d["_id"] for d in dump(node, name)} == {f"d{depth}" for depth in (deepest - 1, deepest, 1)}


def test_rejects_are_kept_in_the_order_of_the_input(node, name, tmp_path):
    """Also where the node refused some of them, and others were never sent."""
    file, rejects = tmp_path / "in.jsonl", tmp_path / "bad.jsonl"
    lines = ['{"_id": "a"}', "oops", '{"_id": "a", "n": 1}', '{"_id": "b"}', "oops", '{"_id": "b", "n": 1}']
    file.write_text("\n".join(lines))
    assert summary(node, name, file, "--rejects", rejects, code=1)["rejected"] == 4
    assert rejects.read_text().splitlines() == [lines[at] for at in (1, 2, 4, 5)]
    assert [json.loads(line)["record"] for line in open(f"{rejects}.reasons")] == [2, 3, 5, 6]


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


def test_help_is_whole_sentences():
    for command in ("import", "export"):
        assert "\\" not in tool(command, "--help").stdout


def test_standard_input(node, name):
    ran = subprocess.run([str(BINARY), "import", "--port", str(node.port), name, "-", "--format", "jsonl"], input=b'{"n": 1}\n{"n": 2}',
                         capture_output=True, timeout=60, env=environment())
    assert ran.returncode == 0 and len(dump(node, name)) == 2, ran

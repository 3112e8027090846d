"""`make bench-http` in its quick form: it measures nothing, and shows that the comparison works from end to end."""
import json
import subprocess
import sys

from rig.node import ROOT, environment


def test_quick_comparison_of_http_and_binary_drives_both_in_every_way(tmp_path):
    command = [sys.executable, str(ROOT / "Tests/bench/http_binary.py"), "--quick", "--output", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment())
    assert ran.returncode == 0, ran.stderr[-3000:]
    results = json.loads((tmp_path / "http.json").read_text())["results"]
    operations = {"create", "get", "query", "batch"}
    assert {(r["driver"], r["operation"], r["at_once"]) for r in results if r["part"] == "people"} == {
        (driver, operation, at_once) for driver in ("requests", "session", "client") for operation in operations for at_once in (1, 64)}
    assert {(r["side"], r["operation"]) for r in results if r["part"] == "equal"} == {
        (side, operation) for side in ("http", "binary", "compact") for operation in operations}
    assert all(r["rate"] > 0 for r in results if "rate" in r)
    counted = {r["what"]: r for r in results if r["part"] == "bytes"}
    create = counted["create"]
    assert create["compact"][0] < create["binary"][0] < create["http"][0] < create["session"][0] < create["requests"][1]
    assert create["compact"][1] < create["requests"][1] / 3
    assert {r["side"] for r in results if r["part"] == "airports"} == {"http", "compact"}
    assert "### Promised and measured" in ran.stdout

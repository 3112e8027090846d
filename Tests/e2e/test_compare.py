"""`make bench` in its quick form: it measures nothing, and shows that the comparison works from end to end."""
import json
import subprocess
import sys

from rig.node import BINARY, ROOT, environment

PARTS = "reads,creates,batch,scan,check"


def test_quick_comparison_drives_both_peers_without_an_error(tmp_path):
    ran = subprocess.run([sys.executable, str(ROOT / "Tests/bench/compare.py"), "--quick", "--only", PARTS, "--nexadb", str(BINARY),
                          "--output", str(tmp_path)], capture_output=True, text=True, timeout=240, env=environment())
    assert ran.returncode == 0, ran.stderr[-3000:]
    results = json.loads((tmp_path / "compare.json").read_text())["results"]
    assert {(r["part"], r["peer"]) for r in results} >= {(part, peer) for part in ("reads", "creates")
                                                          for peer in ("nexadb", "compact", "redis")}
    assert all(r["errors"] == 0 and r["requests"] > 0 for r in results)
    table = (tmp_path / "compare.md").read_text()
    assert "| 16 x 16 |" in table and "| compact | " in table
    assert not list(tmp_path.glob("data-*")), "the scratch data is removed"

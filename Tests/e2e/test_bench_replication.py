"""`make bench-replication` in its quick form: it measures nothing, and shows that the comparison works from end to end."""
import json
import subprocess
import sys

from rig.node import BINARY, ROOT, environment

PARTS = "lag,sync,cost,reads,copy"


def test_quick_comparison_of_replication_drives_both_peers(tmp_path):
    # PostgreSQL is left out: a smoke run installs nothing of that size.
    command = [sys.executable, str(ROOT / "Tests/bench/replication.py"), "--quick", "--only", PARTS, "--peers", "nexadb,redis",
               "--nexadb", str(BINARY), "--output", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as run:
        try:
            output, errors = run.communicate(timeout=150)
        except subprocess.TimeoutExpired:
            # Asked to stop it stops its servers.
            run.terminate()
            raise AssertionError(f"not done in time:\n{run.communicate(timeout=60)[1][-3000:]}") from None
    assert run.returncode == 0, errors[-3000:]
    results = json.loads((tmp_path / "replication.json").read_text())["results"]
    assert {(r["part"], r["peer"]) for r in results} >= {(part, peer) for part in PARTS.split(",") for peer in ("nexadb", "redis")}
    assert all(r["samples"] > 0 and r["p50"] > 0 for r in results if r["part"] == "lag")
    assert all(r["rate"] > 0 for r in results if r["part"] in ("sync", "reads"))
    assert {r["nodes"] for r in results if r["part"] == "reads"} == {1, 2, 3}
    assert all(r["seconds"] > 0 for r in results if r["part"] == "copy")
    assert "| follower / leader |" in output
    assert not list(tmp_path.glob("data-*")), "the scratch data is removed"

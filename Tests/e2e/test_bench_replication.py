"""`make bench-replication` in its quick form: it measures nothing, and shows that the comparison works from end to end."""
import json
import subprocess
import sys
from pathlib import Path

from rig.node import BINARY, ROOT, environment


def quick(output: Path, parts: str, peers: str) -> tuple[list[dict], str]:
    """The results and the report. PostgreSQL is left out: a smoke run installs nothing of that size."""
    command = [sys.executable, str(ROOT / "Tests/bench/replication.py"), "--quick", "--only", parts, "--peers", peers,
               "--nexadb", str(BINARY), "--output", str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as run:
        try:
            report, errors = run.communicate(timeout=150)
        except subprocess.TimeoutExpired:
            # Asked to stop it stops its servers.
            run.terminate()
            raise AssertionError(f"not done in time:\n{run.communicate(timeout=60)[1][-3000:]}") from None
    assert run.returncode == 0, errors[-3000:]
    assert not list(output.glob("data-*")), "the scratch data is removed"
    return json.loads((output / "replication.json").read_text())["results"], report


def test_quick_comparison_of_replication_drives_both_peers(tmp_path):
    results, report = quick(tmp_path, "lag,sync,cost,reads", "nexadb,redis")
    assert {(r["part"], r["peer"]) for r in results} >= {(part, peer) for part in ("lag", "sync", "cost", "reads")
                                                          for peer in ("nexadb", "redis")}
    assert all(r["samples"] > 0 and r["p50"] > 0 for r in results if r["part"] == "lag")
    assert all(r["rate"] > 0 for r in results if r["part"] in ("sync", "reads"))
    assert {r["nodes"] for r in results if r["part"] == "reads"} == {1, 2, 3}
    assert "| follower / leader |" in report


def test_quick_full_copy_is_one(tmp_path):
    results, _ = quick(tmp_path, "copy", "nexadb")
    assert [r["peer"] for r in results] == ["nexadb"] and results[0]["transfer"] > 0

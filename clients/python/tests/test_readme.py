"""The pages and examples that people copy from are run as they stand, against a node."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    (f"{page.name}-{number}", block)
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S), 1)
]
EXAMPLES = [(path.name, path.read_text()) for path in sorted((ROOT / "examples").glob("*.py"))]


@pytest.mark.parametrize(("label", "source"), BLOCKS + EXAMPLES, ids=[label for label, _ in BLOCKS + EXAMPLES])
def test_what_is_shown_runs(label, source, node, tmp_path):
    here = source.replace("localhost:6970", f"127.0.0.1:{node.port}").replace("nexadb://localhost", f"nexadb://127.0.0.1:{node.port}")
    here = here.replace('host="localhost", port=6970', f'host="127.0.0.1", port={node.port}')
    here = here.replace("NexaClient()", f'NexaClient(host="127.0.0.1", port={node.port})')
    script = tmp_path / "shown.py"
    script.write_text(here)
    ran = subprocess.run([sys.executable, "-W", "error", str(script)], capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr[-3000:]

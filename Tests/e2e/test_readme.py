"""The README's five-minute tour works when pasted: its blocks are run as they stand, with this test's ports in place of the default ones."""
import re
import subprocess
import sys

import pytest

from rig.node import BINARY, ROOT, environment


def tour_blocks() -> list[str]:
    """The shell blocks of the section that is headed 'Five minutes'."""
    section = re.search(r"^## Five minutes\n(.*?)^## ", (ROOT / "README.md").read_text(), re.M | re.S)
    assert section, "the README has lost its tour"
    return re.findall(r"```sh\n(.*?)```", section[1], re.S)


def paste(block: str, node, tmp_path) -> subprocess.CompletedProcess:
    block = block.replace("6971", str(node.admin_port)).replace("port=6970", f"port={node.port}")
    block = re.sub(r"^alias nexadb=\S+$", f'nexadb() {{ "{BINARY}" "$@"; }}', block, flags=re.M)
    # The client is installed already, in the environment that runs this test.
    block = re.sub(r"^python3 -m venv .*$", "", block, flags=re.M).replace(".venv-tour/bin/python", sys.executable)
    return subprocess.run(["bash", "-euo", "pipefail", "-c", block], capture_output=True, text=True, timeout=60, cwd=tmp_path,
                          env=environment({"NEXADB_HOST": "127.0.0.1", "NEXADB_PORT": str(node.port)}))


def test_there_is_a_tour():
    assert len(tour_blocks()) >= 2


@pytest.mark.parametrize("number", range(2))
def test_tour_works_when_pasted(node, tmp_path, number):
    ran = paste(tour_blocks()[number], node, tmp_path)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert ("Grace" in ran.stdout) if number == 0 else ("Lisbon" in ran.stdout), ran.stdout

"""The README's five-minute tour works when pasted: its blocks are run as they stand, with this test's ports in place of the default ones."""
import re
import subprocess
import sys

import pytest

from rig.node import BINARY, ROOT, Node, environment


def tour_blocks() -> list[str]:
    """The shell blocks of the section that is headed 'Five minutes'."""
    section = re.search(r"^## Five minutes\n(.*?)^## ", (ROOT / "README.md").read_text(), re.M | re.S)
    assert section, "the README has lost its tour"
    return re.findall(r"```sh\n(.*?)```", section[1], re.S)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A node with a gateway, which the default port would bring with it."""
    with Node(tmp_path_factory.mktemp("tour") / "node", "--http-port", "0") as one:
        yield one
        assert one.stop() == 0


def paste(block: str, node, tmp_path) -> subprocess.CompletedProcess:
    block = block.replace("6971", str(node.admin_port)).replace("6969", str(node.http_port)).replace("port=6970", f"port={node.port}")
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
    expected = ["Lisbon"] if number else ["Grace", '"name":"Ada"', "backup "]
    assert all(text in ran.stdout for text in expected), ran.stdout
    if number == 0:
        assert len((tmp_path / "users.jsonl").read_text().splitlines()) == 2

"""The OpenAPI document is one, tells of every route, and a node keeps what it promises: schemathesis makes requests from it, good and bad,
from a printed seed; no answer may be a 500 or of a shape that the document does not have."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from conftest import SEED
from rig.node import ROOT, Node, environment
from test_http import Http

SOURCE = ROOT / "Sources/NexaGateway/OpenAPI/openapi.json"
EXAMPLES = os.environ.get("NEXA_SCHEMATHESIS_EXAMPLES", "8")


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A node with an administrator, so that users made at random lock nobody out; `key` is the administrator's."""
    with Node(tmp_path_factory.mktemp("openapi") / "node", "--http-port", "0", "--memory", "64MiB", "--durability", "os", "--auth", "auto") as one:
        root = {"username": "keeper-of-this-test", "password": "a long password", "role": "admin"}
        one.key = Http(one)("POST", "/users", root)[1]["api_key"]
        yield one
        assert one.alive, one.output()[-3000:]


def test_the_document_is_valid_and_the_one_that_the_node_serves(node):
    document = json.loads(SOURCE.read_text())
    validate(document, cls=OpenAPIV31SpecValidator)
    assert Http(node)("GET", "/openapi.json") == (200, document)


def test_the_document_tells_of_every_route_of_the_docs():
    paths = json.loads(SOURCE.read_text())["paths"]
    told = {(method.upper(), re.sub(r"\{\w+\}", "X", path)) for path, item in paths.items() for method in item if method != "parameters"}
    for methods, path in re.findall(r"`((?:GET|HEAD|POST|PUT|PATCH|DELETE|, |`)+) (/[^ `,?]+)", (ROOT / "docs/http.md").read_text()):
        path = re.sub(r"/(C|D|ID|NAME)(?=/|$)", "/X", path).rstrip(".")
        for method in re.findall("[A-Z]+", methods):
            if method != "HEAD" and not re.search(r"/(distinct|explain|aggregate|indexes)", path):
                assert (method, path) in told, f"{method} {path} is not in the document"


@pytest.mark.parametrize("part", ["documents", "users"])
def test_the_node_keeps_what_the_document_promises(node, tmp_path, report, part):
    seed = SEED % 2**32
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", str(SOURCE), "--url", f"http://127.0.0.1:{node.http_port}",
        "--checks", "no_internal_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        "--phases", "examples,coverage,fuzzing", "--mode", "all", "--max-examples", EXAMPLES, "--seed", str(seed), "--request-timeout", "10",
        "--max-time", "26" if part == "documents" else "20", "--no-color", "--max-failures", "20",
        # What waits for nodes or positions that there will never be is not to wait for a minute.
        "--header", "X-Nexa-Wait-Ms: 50", "--header", "X-Nexa-Wtimeout-Ms: 50",
        "--header", f"X-API-Key: {node.key}",
        # Passwords are slow by design: they have a run and a time of their own.
        "--exclude-path-regex" if part == "documents" else "--include-path-regex", "^/(users|auth)",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, env=environment({"SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("schemathesis_checks.py"))}))
    report(f"schemathesis, {part}: seed {seed}, {EXAMPLES} examples an operation: " + (re.findall(r"(?m)^=+ (.*) =+$", ran.stdout) or ["?"])[-1])
    assert "Tested: 0" not in ran.stdout and ran.returncode == 0, f"{ran.stdout[-8000:]}\n{ran.stderr[-2000:]}"

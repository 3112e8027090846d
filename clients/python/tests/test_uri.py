"""Addresses, by the cases that all clients share."""

import json
from pathlib import Path

import pytest

from nexadb import ConfigurationError, NexaClient
from nexadb.uri import parse_uri

SHARED = Path(__file__).resolve().parents[2] / "conformance" / "uris.json"
CASES = json.loads(SHARED.read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["description"] for case in CASES])
def test_an_address_means_what_the_shared_cases_say(case):
    if not case["valid"]:
        with pytest.raises(ConfigurationError) as raised:
            parse_uri(case["uri"])
        assert case["mentions"].lower() in str(raised.value).lower()
        assert "secret" not in str(raised.value)
        return
    parsed = parse_uri(case["uri"])
    assert parsed.hosts == tuple((each["host"], each["port"]) for each in case["hosts"])
    assert (parsed.username, parsed.password, parsed.database) == (case["username"], case["password"], case["database"])
    assert parsed.options == case["options"]
    assert {name: type(value) for name, value in parsed.options.items()} == {n: type(v) for n, v in case["options"].items()}
    assert (parsed.tls, len(parsed.warnings)) == (case["tls"], case["warnings"])


def test_what_is_given_beside_an_address_wins():
    client = NexaClient("nexadb://h1/a?timeoutMS=5", timeout_ms=7, database="b")
    assert (client.options.timeout_ms, client.options.database, client.options.hosts) == (7, "b", (("h1", 6970),))


def test_a_password_is_in_no_text_of_the_options():
    client = NexaClient("nexadb://anna:s3cret@h1")
    assert "s3cret" not in repr(client) + repr(client.options)


@pytest.mark.parametrize("bad", [{"timeout_ms": -1}, {"pool_size": 0}, {"w": 0}, {"tls": "yes"}, {"hosts": ()}, {"frobnicate": 1}])
def test_a_bad_argument_is_refused(bad):
    with pytest.raises((ConfigurationError, TypeError)):
        NexaClient(**bad)

"""The clients that people have already: PyPI `nexaclient` 3.0.0 (called Three here) and `nexadb` 1.1.0 (One), unmodified, and what their tests share.

`@covers` notes which methods a test exercises; `test_existing_clients.py` reads the classes and fails for any method that no test has covered.
The fixtures are imported by each test file, which so gets a node of its own.
"""
import datetime
import time

import pytest
from nexaclient import NexaClient as Three
from nexadb import NexaClient as One

COVERED = set()
BOTH = pytest.mark.parametrize("db", [Three, One], indirect=True, ids=["nexaclient-3.0.0", "nexadb-1.1.0"])


def covers(*methods):
    def mark(test):
        COVERED.update(methods)
        return test
    return mark


@pytest.fixture
def db(node, request):
    with getattr(request, "param", Three)(host="127.0.0.1", port=node.port, timeout=15) as client:
        yield client


@pytest.fixture
def things(db, name):
    """A collection's name; the same test with the other client gets another one."""
    return f"{name}_{type(db).__module__.split('.')[0]}"


def stored(document: dict) -> dict:
    """A document without what the node adds."""
    return {k: v for k, v in document.items() if k not in ("_created_at", "_updated_at", "_id")}


def moment(text: str) -> datetime.datetime:
    assert isinstance(text, str) and "." in text, f"not a time with microseconds: {text!r}"
    time = datetime.datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)


PEOPLE = [{"_id": f"p{n:02}", "n": n, "half": n / 2, "even": n % 2 == 0, "name": f"name-{n % 5}", "deep": {"mod": n % 3},
           "tags": [f"t{n % 4}", "all"]} for n in range(40)]


@pytest.fixture(scope="module")
def people(node):
    with Three(host="127.0.0.1", port=node.port) as db:
        db.batch_write("people", PEOPLE)
    return "people"

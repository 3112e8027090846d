"""Nothing forgotten: every method of the existing clients has a test in one of the files that this one reads."""
import pytest

import test_clients_catalog  # noqa: F401
import test_clients_documents  # noqa: F401
import test_clients_queries  # noqa: F401
from rig.existing_clients import COVERED, One, Three


@pytest.mark.parametrize("client", [Three, One])
def test_every_method_of_the_client_has_a_test(client):
    offered = {member for n, member in vars(client).items()
               if callable(member) and (not n.startswith("_") or n in ("__init__", "__enter__", "__exit__", "__repr__"))}
    assert len(offered) > 12
    assert {m.__qualname__ for m in offered - COVERED} == set()

"""Users over HTTP: changed whole or not at all, and nobody goes on with a password that is gone."""
import base64
import socket

import pytest

from rig.node import Node
from test_http import Http


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Node(tmp_path_factory.mktemp("users") / "node", "--http-port", "0", "--memory", "64MiB", "--durability", "os", "--auth", "auto",
              "--frame-timeout", "5s") as one:
        assert Http(one)("POST", "/users", {"username": "root", "password": "root-secret", "role": "admin"})[0] == 201
        yield one
        assert one.alive, one.output()[-3000:]


@pytest.fixture
def root(node):
    return Http(node, Authorization=basic("root", "root-secret"))


@pytest.fixture
def ann(node, root, name):
    """A user of the test's own: her name, and requests with a password on connections of their own, so that every event loop has its turn."""
    assert root("POST", "/users", {"username": name, "password": "first", "role": "read"})[0] == 201

    def ask(password, method="GET", path="/collections", body=None):
        return {Http(node, Authorization=basic(name, password))(method, path, body)[0] for _ in range(4)}

    return name, ask


def role(root, name):
    return root("GET", "/users")[1]["users"][name]["role"]


def test_a_change_is_whole_or_is_none(root, ann):
    name, ask = ann
    status, problem = root("PUT", f"/users/{name}", {"password": "second", "role": "king"})
    assert status == 400 and problem["field"] == "role"
    assert ask("first") == {200} and role(root, name) == "read", "nothing changed"
    status, changed = root("PUT", f"/users/{name}", {"password": "second", "role": "write", "new_api_key": True})
    assert status == 200 and changed["role"] == "write" and changed["api_key"]
    assert ask("first") == {401} and ask("second") == {200} and role(root, name) == "write"
    status, problem = root("PUT", f"/users/{name}", {"password": "", "role": "read"})
    assert status == 400 and problem["field"] == "new_password" and role(root, name) == "write"


def test_one_changes_one_s_own_password_and_nothing_else(root, ann):
    name, ask = ann
    assert ask("first", "PUT", f"/users/{name}", {"role": "admin"}) == {403}
    assert ask("first", "PUT", f"/users/{name}", {"password": "second", "role": "admin"}) == {403}
    assert ask("first") == {200} and role(root, name) == "read"


def test_a_password_that_was_changed_is_worth_nothing(node, ann):
    name, ask = ann
    assert ask("first") == {200}
    own = Http(node, Authorization=basic(name, "first"))
    assert own("PUT", f"/users/{name}", {"password": "second"})[0] == 200
    assert ask("first") == {401} and own("GET", "/collections")[0] == 401
    assert ask("second") == {200}


def test_who_is_deleted_sees_no_figures_any_more(root, ann):
    name, ask = ann
    assert ask("first", path="/metrics") == {200}
    assert root("DELETE", f"/users/{name}")[0] == 200
    assert ask("first", path="/metrics") == {401}


def test_strangers_send_no_body(node):
    """Nothing of it is waited for: it would never come."""
    for path, extra in (("/collections/c", ""), ("/collections/c/bulk", "Content-Type: application/x-ndjson\r\n"), ("/users", "")):
        with socket.create_connection(("127.0.0.1", node.http_port), timeout=4) as peer:
            peer.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n{extra}\r\n{{".encode())
            assert peer.recv(1 << 16).startswith(b"HTTP/1.1 401 ")
    status, problem = Http(node)("POST", "/auth/login", {"username": "root", "password": "root-secret", "more": "x" * 20_000})
    assert (status, problem["code"], problem["limit"]) == (413, "TOO_LARGE", 16_384)

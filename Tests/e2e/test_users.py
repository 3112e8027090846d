"""Users, end to end: the command that makes them, existing clients that log in, what is refused, restarts and followers."""
import os
import time

import pytest
from nexaclient import NexaClient

from rig import wire
from rig.node import Node, StartFailed, tool

ADMIN = {"username": "root", "password": "s3cret pass"}


@pytest.fixture
def secrets(tmp_path):
    """Files whose first lines are passwords: `secrets("pw")` is a path."""
    def make(text):
        path = tmp_path / f"secret-{abs(hash(text))}"
        path.write_text(text + "\n")
        return str(path)
    return make


def add(name, role, secrets, password, *more):
    return tool("user", "add", name, "--role", role, "--new-password-file", secrets(password), *more)


def as_admin(node, secrets):
    return ["--port", str(node.port), "--user", "root", "--password-file", secrets(ADMIN["password"])]


@pytest.fixture
def guarded(make_node, secrets):
    """A running node whose admin was made while it was stopped."""
    node = make_node()
    made = add("root", "admin", secrets, ADMIN["password"], "--data-dir", str(node.data))
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("nxdb_") and len(made.stdout.strip()) == 48
    return node.start()


def refused(client_type=NexaClient, **options):
    try:
        with client_type(**options) as client:
            client.create("c", {"n": 1})
    except Exception as error:  # The clients raise types of their own.
        return str(error)
    return None


def test_existing_clients_log_in(guarded, secrets):
    with NexaClient(host="127.0.0.1", port=guarded.port, **ADMIN) as client:
        made = client.create("users", {"name": "Ann"})
        assert client.get("users", made["document_id"])["name"] == "Ann"
    message = refused(host="127.0.0.1", port=guarded.port, username="root", password="nexadb123")
    assert "Invalid username or password" in message
    # What existing clients send by themselves is no way in.
    assert "Invalid username or password" in refused(host="127.0.0.1", port=guarded.port)
    assert "log-in failed" in guarded.output() and "nexadb123" not in guarded.output()


def test_the_messages_of_existing_clients(guarded):
    with guarded.wire() as link:
        link.connect(**ADMIN)
        made = link.ask(wire.CREATE_USER, {"username": "bob", "password": "pw", "role": "write"}).value
        assert made["message"] == "User 'bob' created successfully" and made["password"] == "pw" and made["role"] == "write"
        listed = link.ask(wire.LIST_USERS, {}).value
        assert listed["count"] == 2 and set(listed["users"]) == {"root", "bob"}
        assert listed["users"]["bob"]["api_key_prefix"] == made["api_key"][:15] + "..."
        assert set(listed["users"]["bob"]) == {"role", "database_permissions", "api_key_prefix", "created_at", "last_login",
                                               "password_changed_at"}
        assert link.ask(wire.CHANGE_PASSWORD, {"username": "bob", "new_password": "pw2"}).value == {
            "message": "Password changed successfully for user 'bob'"}
        assert link.ask(wire.DELETE_USER, {"username": "bob"}).value == {"message": "User 'bob' deleted successfully"}


def test_an_open_session_loses_its_rights_with_the_next_request(guarded, secrets):
    assert add("app", "write", secrets, "app", *as_admin(guarded, secrets)).returncode == 0
    with NexaClient(host="127.0.0.1", port=guarded.port, username="app", password="app") as client:
        client.create("c", {"n": 1})
        assert tool("user", "role", "app", "read", *as_admin(guarded, secrets)).returncode == 0
        with pytest.raises(Exception, match="Permission denied"):
            client.create("c", {"n": 2})
        assert len(client.query("c", {})) == 1
        assert tool("user", "remove", "app", *as_admin(guarded, secrets)).returncode == 0
        with pytest.raises(Exception, match="Not authenticated"):
            client.query("c", {})


def test_users_outlive_a_crash_and_the_stopped_node_can_be_mended(guarded, secrets):
    assert add("app", "read", secrets, "app", *as_admin(guarded, secrets)).returncode == 0
    busy = tool("user", "passwd", "root", "--new-password-file", secrets("x"), "--data-dir", str(guarded.data))
    assert busy.returncode == 1 and "lock" in busy.stderr.lower(), busy.stderr
    guarded.kill()
    mended = tool("user", "passwd", "root", "--new-password-file", secrets("other"), "--data-dir", str(guarded.data))
    assert mended.returncode == 0, mended.stderr
    guarded.start()
    with guarded.wire() as link:
        assert link.connect(username="app", password="app")["role"] == "read"
        assert link.ask(wire.CONNECT, ADMIN).code == "UNAUTHENTICATED"
        assert link.connect(username="root", password="other")["role"] == "admin"


def test_failures_are_slowed_and_counted(guarded):
    start = time.monotonic()
    with guarded.wire() as link:
        for _ in range(7):
            assert link.ask(wire.CONNECT, {"username": "root", "password": "guess"}).code == "UNAUTHENTICATED"
    # After the 4th, 5th and 6th failure: 100, 200 and 400 ms.
    assert time.monotonic() - start >= 0.65
    metrics = guarded.http("/metrics")[1]
    assert 'nexadb_logins_total{result="failed"} 7' in metrics
    assert "guess" not in guarded.output()


def test_the_tools_log_in(guarded, secrets):
    me = as_admin(guarded, secrets)
    assert tool("ping", *me).returncode == 0
    assert tool("status", *me).returncode == 0
    assert tool("status", "--port", str(guarded.port)).returncode == 1
    environment = {"NEXADB_PASSWORD": ADMIN["password"], "NEXADB_USER": "root"}
    shown = tool("shell", "--port", str(guarded.port), "-e", "db.c.insert({n: 1})", env=environment)
    assert shown.returncode == 0, shown.stderr
    listed = tool("user", "list", *me)
    assert listed.returncode == 0 and listed.stdout.split()[:2] == ["root", "admin"]
    key = tool("user", "key", "root", *me).stdout.strip()
    with guarded.wire() as link:
        assert link.connect(api_key=key)["username"] == "root"
    taken = add("root", "admin", secrets, "x", *me)
    assert taken.returncode == 4 and "already exists" in taken.stderr
    assert tool("user", "remove", "nobody", *me).returncode == 3


def test_beyond_loopback_a_node_needs_users_or_a_word(make_node, secrets):
    node = make_node("outside", "--host", "0.0.0.0")
    with pytest.raises(StartFailed) as failure:
        node.start()
    assert "nexadb user add" in failure.value.output and "insecure" in failure.value.output
    assert add("root", "admin", secrets, ADMIN["password"], "--data-dir", str(node.data)).returncode == 0
    node.spawn()
    try:
        wait_for(lambda: "listening on 0.0.0.0" in node.output())
    finally:
        node.kill()


def wait_for(condition, within=20):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


@pytest.fixture
def guarded_cluster(cluster, secrets):
    """Nodes that log in to each other as "node", with the users root and node."""
    def make(count, **settings):
        group = cluster(count, "--replication-user", "node", "--replication-password-file", secrets("node pw"), **settings)
        with group[0].wire() as link:
            made = link.ask(wire.CREATE_USER, {**ADMIN, "role": "admin"})
            assert made.type == wire.SUCCESS, made.value
            link.connect(**ADMIN)
            assert link.ask(wire.CREATE_USER, {"username": "node", "password": "node pw", "role": "replication"}).type == wire.SUCCESS
        return group
    return make


def as_user(node, user=ADMIN["username"], password=ADMIN["password"]):
    link = node.wire()
    link.connect(username=user, password=password)
    return link


def follows(node, lsn_of):
    with as_user(lsn_of) as leader, as_user(node) as follower:
        return (follower.ask(wire.STATUS, {}).value["engine"]["visible_lsn"]
                >= leader.ask(wire.STATUS, {}).value["engine"]["visible_lsn"])


def knows(node, user, password):
    with node.wire() as link:
        return link.ask(wire.CONNECT, {"username": user, "password": password}).value.get("authenticated") is True


def test_a_follower_knows_the_users_and_forgets_them_with_its_leader(guarded_cluster):
    leader, follower = guarded_cluster(2, with_members=False).nodes
    with as_user(leader) as link:
        assert link.ask(wire.CREATE_USER, {"username": "eye", "password": "eye", "role": "read"}).type == wire.SUCCESS
        wait_for(lambda: knows(follower, "eye", "eye"))
        with as_user(follower, "eye", "eye") as other:
            assert other.ask(wire.QUERY, {"collection": "c"}).type == wire.SUCCESS
            assert link.ask(wire.DELETE_USER, {"username": "eye"}).type == wire.SUCCESS
            wait_for(lambda: other.ask(wire.QUERY, {"collection": "c"}).code == "UNAUTHENTICATED")
        with as_user(follower) as other:
            assert other.ask(wire.CREATE_USER, {"username": "x", "password": "x"}).code == "NOT_LEADER"


def test_nodes_log_in_to_each_other_and_change_roles(guarded_cluster, secrets):
    group = guarded_cluster(3)
    leader, second, third = group.nodes
    admin = {"NEXADB_USER": "root", "NEXADB_PASSWORD": ADMIN["password"]}
    with as_user(leader) as link:
        assert link.ask(wire.CREATE, {"collection": "c", "data": {"_id": "a"}, "w": 3}).type == wire.SUCCESS
    # A restart makes new connections, in both directions.
    third.stop()
    third.start()
    wait_for(lambda: follows(third, leader))
    refused = tool("promote", second.address, env={"NEXADB_USER": "root", "NEXADB_PASSWORD": "wrong"})
    assert refused.returncode == 1 and "Invalid username or password" in refused.stderr
    leader.kill()
    promoted = tool("promote", second.address, env=admin)
    assert promoted.returncode == 0, promoted.stderr
    with as_user(second) as link:
        assert link.ask(wire.CREATE, {"collection": "c", "data": {"_id": "b"}, "w": "majority"}).type == wire.SUCCESS
    leader.start()
    wait_for(lambda: follows(leader, second))
    verified = tool("cluster", "verify", *[node.address for node in group.nodes], env=admin)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_node_whose_user_is_gone_does_not_follow_any_more(guarded_cluster):
    leader, follower = guarded_cluster(2, with_members=False).nodes
    with as_user(leader) as link:
        wait_for(lambda: follows(follower, leader))
        assert link.ask(wire.DELETE_USER, {"username": "node"}).type == wire.SUCCESS
        wait_for(lambda: "refuses replication" in follower.output() or "may not replicate" in follower.output())
        assert link.ask(wire.CREATE, {"collection": "c", "data": {"_id": "late"}}).type == wire.SUCCESS
        with as_user(follower) as other:
            assert other.ask(wire.READ, {"collection": "c", "key": "late"}).type == wire.NOT_FOUND
        assert link.ask(wire.CREATE_USER, {"username": "node", "password": "node pw", "role": "replication"}).type == wire.SUCCESS
        wait_for(lambda: follows(follower, leader), within=40)

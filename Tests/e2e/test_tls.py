"""TLS on the NEXA port with Python's ssl, which shares no code with the node: what is served, what is refused, and how."""
import os
import signal
import socket
import ssl
import time

import pytest

from rig import wire
from rig.certificates import Authority
from rig.node import StartFailed, tool

NAME = "127.0.0.1"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def identity(authority):
    return authority.sign("node")


def options(identity, *more):
    return ["--tls-cert", str(identity[0]), "--tls-key", str(identity[1]), *more]


@pytest.fixture
def secured(make_node, identity):
    return make_node("node", *options(identity)).start()


def wait_for(condition, within=20):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def handshake(port, context, name=NAME, timeout=15):
    return context.wrap_socket(socket.create_connection((NAME, port), timeout=timeout), server_hostname=name)


def test_requests_and_large_answers(secured, authority):
    with wire.Wire(secured.port, tls=authority.context()) as link:
        assert link.socket.version() == "TLSv1.3"
        link.connect(dialect="plain")
        text = "x" * 1_000_000
        assert link.ask(wire.CREATE, {"collection": "c", "data": {"_id": "large", "text": text}}).type == wire.SUCCESS
        assert link.ask(wire.READ, {"collection": "c", "key": "large"}).value["text"] == text
        # Many requests in one record and one request in many: frames and records do not line up.
        link.raw(b"".join(wire.request(wire.READ, {"collection": "c", "key": "large"}) for _ in range(20)))
        for _ in range(20):
            assert link.recv().value["text"] == text
        for byte in wire.request(wire.PING, {}):
            link.raw(bytes([byte]))
        assert link.recv().type == wire.PONG
        assert link.ask(wire.DISCONNECT, {}).value["status"] == "goodbye"
        assert link.at_end()
    assert 'nexadb_tls_handshakes_total 1' in secured.http("/metrics")[1]


def test_by_name_as_well_as_by_address(secured, authority):
    with handshake(secured.port, authority.context(), name="localhost") as link:
        assert link.version() == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(secured.port, authority.context(), name="example.org")


def test_an_older_version_is_refused(secured, authority):
    context = authority.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(secured.port, context)
    wait_for(lambda: "TLS handshake failed" in secured.output())
    assert secured.alive


def test_a_client_that_trusts_somebody_else_is_not_served(secured, tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(secured.port, Authority(tmp_path, "other").context())
    wait_for(lambda: "TLS handshake failed" in secured.output())


def test_half_a_handshake_is_ended_in_time(make_node, identity, authority):
    node = make_node("node", *options(identity), "--handshake-timeout", "1s").start()
    for beginning in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"):
        with socket.create_connection((NAME, node.port), timeout=15) as link:
            link.sendall(beginning)
            start = time.monotonic()
            assert link.recv(100) == b"", beginning
            assert 0.5 < time.monotonic() - start < 10
    wait_for(lambda: "\nnexadb_connections 0\n" in node.http("/metrics")[1])


def test_plaintext_is_told_so_and_closed(secured):
    with secured.wire() as link:
        answer = link.ask(wire.PING, {})
        assert answer.type == wire.ERROR and "TLS" in answer.value["error"] and "nexadbs://" in answer.value["error"]
        assert link.at_end()
    assert "plaintext on the TLS port" in secured.output()
    for noise in (b"GET / HTTP/1.0\r\n\r\n", b"\x00" * 100, b"\xff"):
        with socket.create_connection((NAME, secured.port), timeout=15) as link:
            link.sendall(noise)
            assert link.recv(4) == b"NEXA"


def test_tls_to_a_plain_port_fails_at_once(make_node, authority):
    node = make_node().start()
    with pytest.raises(ssl.SSLError):
        handshake(node.port, authority.context())
    with socket.create_connection((NAME, node.port), timeout=15) as link:
        link.sendall(b"\x16\x03\x01\x02\x00" + b"\x01" * 100)
        assert b"does not speak TLS" in link.recv(1000)


def test_certificates_of_clients(make_node, authority, identity, tmp_path):
    node = make_node("node", *options(identity, "--tls-ca", str(authority.ca))).start()
    with wire.Wire(node.port, tls=authority.context(authority.sign("client"))) as link:
        assert link.ask(wire.PING, {}).type == wire.PONG
    stranger = Authority(tmp_path, "other").sign("client")
    for own in (None, stranger):
        # In TLS 1.3 a client hears of it after its own handshake is done.
        with pytest.raises((ssl.SSLError, OSError, wire.Closed)):
            with wire.Wire(node.port, tls=authority.context(own)) as link:
                link.ask(wire.PING, {})


def test_a_thousand_connections(secured, authority):
    context = authority.context()
    links = [wire.Wire(secured.port, tls=context, timeout=30) for _ in range(1_000)]
    try:
        for link in links:
            link.send(wire.PING, {})
        assert all(link.recv().type == wire.PONG for link in links)
        assert "\nnexadb_connections 1000\n" in secured.http("/metrics")[1]
        assert secured.resident_bytes() < 400 << 20
    finally:
        for link in links:
            link.close()
    wait_for(lambda: "\nnexadb_connections 0\n" in secured.http("/metrics")[1])


def test_a_new_certificate_is_taken_at_a_hang_up(make_node, authority, tmp_path):
    first, other = authority.sign("renewed"), Authority(tmp_path, "other")
    node = make_node("node", *options(first)).start()
    old = wire.Wire(node.port, tls=authority.context())
    assert old.ask(wire.PING, {}).type == wire.PONG
    for target, source in zip(first, other.sign("renewed")):
        target.write_bytes(source.read_bytes())
    os.kill(node.pid, signal.SIGHUP)
    wait_for(lambda: "certificate read again" in node.output())
    with wire.Wire(node.port, tls=other.context()) as link:
        assert link.ask(wire.PING, {}).type == wire.PONG
    assert old.ask(wire.PING, {}).type == wire.PONG, "an open connection goes on"
    first[0].write_text("damaged")
    os.kill(node.pid, signal.SIGHUP)
    wait_for(lambda: "stays as it is" in node.output())
    with wire.Wire(node.port, tls=other.context()) as link:
        assert link.ask(wire.PING, {}).type == wire.PONG
    old.close()


def test_files_that_make_no_sense_are_named_at_the_start(make_node, authority, identity, tmp_path):
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    certificate, key = map(str, identity)
    other_key = str(authority.sign("another")[1])
    cases = {
        ("--tls-cert", certificate): "tls-cert and tls-key",
        ("--tls-cert", str(tmp_path / "none.pem"), "--tls-key", key): "none.pem",
        ("--tls-cert", str(garbage), "--tls-key", key): "garbage.pem",
        ("--tls-cert", certificate, "--tls-key", str(garbage)): "garbage.pem",
        ("--tls-cert", certificate, "--tls-key", other_key): "do not fit together",
        ("--tls-cert", certificate, "--tls-key", key, "--tls-ca", str(garbage)): "tls-ca",
    }
    for number, (arguments, words) in enumerate(cases.items()):
        with pytest.raises(StartFailed) as failure:
            make_node(f"node{number}", *arguments).start()
        assert words in failure.value.output, failure.value.output


def test_the_tools_speak_tls(secured, authority):
    port = ["--port", str(secured.port)]
    trusting = [*port, "--tls", "--tls-ca", str(authority.ca)]
    assert tool("ping", *trusting).returncode == 0
    text = "y" * 100_000
    made = tool("shell", *trusting, "-e", f'db.c.insert({{_id: "k", text: "{text}"}})', "-e", 'db.c.get("k")')
    assert made.returncode == 0 and text in made.stdout, made.stderr
    assert tool("status", *port, env={"NEXADB_TLS": "1", "NEXADB_TLS_AUTHORITY": str(authority.ca)}).returncode == 0
    untrusted = tool("ping", *port, "--tls")
    assert untrusted.returncode == 5 and "TLS" in untrusted.stderr, untrusted.stderr
    assert tool("ping", *port, "--tls", "--tls-insecure").returncode == 0
    assert tool("ping", *port).returncode == 1


def test_nodes_of_a_cluster_speak_tls(cluster, authority, identity):
    from rig.cluster import ClusterNode

    group = None
    secure = options(identity, "--replication-tls", "--replication-tls-ca", str(authority.ca))
    plain_wire = ClusterNode.wire
    ClusterNode.wire = lambda node, **settings: wire.Wire(node.port, tls=authority.context(), **settings)
    try:
        group = cluster(3, *secure)
        leader, second, third = group.nodes
        with leader.wire() as link:
            documents = [{"_id": f"d{n}", "text": "z" * 1000} for n in range(2_000)]
            for start in range(0, len(documents), 200):
                assert link.ask(wire.BATCH_WRITE, {"collection": "c", "documents": documents[start:start + 200], "w": 3}
                                ).type == wire.SUCCESS
        environment = {"NEXADB_TLS": "1", "NEXADB_TLS_AUTHORITY": str(authority.ca)}
        leader.kill()
        promoted = tool("promote", second.address, env=environment)
        assert promoted.returncode == 0, promoted.stderr
        with second.wire() as link:
            assert link.ask(wire.CREATE, {"collection": "c", "data": {"_id": "b"}, "w": "majority"}).type == wire.SUCCESS
        leader.start()
        wait_for(lambda: leader.replication().get("role") == "follower", within=30)
        verified = tool("cluster", "verify", *[node.address for node in group.nodes], env=environment)
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        ClusterNode.wire = plain_wire

"""TLS, of a node and of a door in front of one that can misbehave: 1.3 only, certificates verified by default."""

import asyncio
import ssl
import threading

import pytest
import trustme
from faces import FLAVOURS, client

from nexadb import ServerSelectionError


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


class Door:
    """Takes TLS and passes the bytes on to a node."""

    def __init__(self, port, authority, newest=ssl.TLSVersion.TLSv1_3, host="127.0.0.1", asks_for_certificate=False):
        self.behind, self.accepted = port, 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.maximum_version = newest
        authority.issue_cert(host).configure_cert(self.context)
        if asks_for_certificate:
            authority.configure_trust(self.context)
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    async def open(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        return self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        self.accepted += 1
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.behind)

        async def carry(source, target):
            try:
                while data := await source.read(1 << 16):
                    target.write(data)
                    await target.drain()
            except (OSError, ssl.SSLError):
                pass
            finally:
                target.close()

        await asyncio.gather(carry(reader, inner_writer), carry(inner_reader, writer))

    def __enter__(self):
        self.thread.start()
        self.loop.set_exception_handler(lambda *_: None)
        self.port = asyncio.run_coroutine_threadsafe(self.open(), self.loop).result(10)
        return self

    def __exit__(self, *_):
        async def stop():
            self.server.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            [task.cancel() for task in tasks]
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


#: How long a client looks for a node where none lets it in: time for an attempt, whoever else uses the machine.
REFUSED_MS = 1500


def play(flavour, uri, name, selection_ms=15_000, **options):
    async def run():
        async with client(flavour, uri, server_selection_timeout_ms=selection_ms, **options) as db:
            await db.create(name, {"_id": "k", "text": "x" * 300_000})
            documents = [{"n": n, "text": "y" * 5_000} for n in range(200)]
            await db.batch_write(name, documents)
            assert len((await db.get(name, "k"))["text"]) == 300_000
            assert len(await db.query(name)) == 201
            async with db.find(name, batch_size=10) as cursor:
                assert len(await cursor.to_list(50)) == 50

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_everything_works_over_tls(node, name, authority, ca_file, flavour):
    with Door(node.port, authority) as door:
        play(flavour, f"nexadbs://127.0.0.1:{door.port}/?tlsCAFile={ca_file.replace('/', '%2F')}", name)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_many_reads_of_one_thread_take_one_connection(node, name, authority, ca_file, flavour):
    async def run(port):
        async with client(flavour, host="127.0.0.1", port=port, tls=True, tls_ca_file=ca_file) as db:
            await db.create(name, {"_id": "k"})
            for _ in range(20):
                assert (await db.get(name, "k"))["_id"] == "k"

    with Door(node.port, authority) as door:
        asyncio.run(run(door.port))
        assert door.accepted == 1


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_certificate_that_nobody_vouches_for_is_refused_and_said(node, name, authority, flavour):
    with Door(node.port, authority) as door, pytest.raises(ServerSelectionError, match=r"(?i)certificate"):
        play(flavour, f"nexadbs://127.0.0.1:{door.port}", name, REFUSED_MS)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_certificate_for_another_host_is_refused(node, name, authority, ca_file, flavour):
    with Door(node.port, authority, host="db.example.com") as door, pytest.raises(ServerSelectionError, match=r"(?i)certificate"):
        play(flavour, f"nexadbs://127.0.0.1:{door.port}", name, REFUSED_MS, tls_ca_file=ca_file)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_verification_can_be_switched_off_by_name(node, name, authority, flavour):
    with Door(node.port, authority, host="db.example.com") as door:
        play(flavour, f"nexadbs://127.0.0.1:{door.port}/?tlsInsecure=true", name)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_older_tls_is_refused(node, name, authority, ca_file, flavour):
    with Door(node.port, authority, newest=ssl.TLSVersion.TLSv1_2) as door, pytest.raises(ServerSelectionError):
        play(flavour, f"nexadbs://127.0.0.1:{door.port}", name, REFUSED_MS, tls_ca_file=ca_file)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_client_shows_its_certificate(node, name, authority, ca_file, flavour, tmp_path):
    own = authority.issue_cert("client@example.com")
    own.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    files = {"tls_cert_file": str(tmp_path / "cert.pem"), "tls_key_file": str(tmp_path / "key.pem")}
    with Door(node.port, authority, asks_for_certificate=True) as door:
        play(flavour, f"nexadbs://127.0.0.1:{door.port}", name, tls_ca_file=ca_file, **files)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_node_without_tls_is_no_endless_wait(node, name, flavour):
    with pytest.raises(ServerSelectionError):
        play(flavour, f"nexadbs://127.0.0.1:{node.port}/?connectTimeoutMS=1000", name, REFUSED_MS)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_node_speaks_tls_itself_and_asks_for_certificates_where_it_is_told_whose(make_node, name, authority, ca_file, flavour, tmp_path):
    files = {}
    for who in ("127.0.0.1", "client@example.com"):
        issued = authority.issue_cert(who)
        files[who] = (str(tmp_path / f"{who}.pem"), str(tmp_path / f"{who}-key.pem"))
        issued.cert_chain_pems[0].write_to_path(files[who][0])
        issued.private_key_pem.write_to_path(files[who][1])
    certificate, key = files["127.0.0.1"]
    open_node = make_node("open", "--tls-cert", certificate, "--tls-key", key).start()
    strict_node = make_node("strict", "--tls-cert", certificate, "--tls-key", key, "--tls-ca", ca_file).start()
    play(flavour, f"nexadbs://127.0.0.1:{open_node.port}", name, tls_ca_file=ca_file)
    with pytest.raises(ServerSelectionError):
        play(flavour, f"nexadbs://127.0.0.1:{strict_node.port}", name, REFUSED_MS, tls_ca_file=ca_file)
    own, own_key = files["client@example.com"]
    play(flavour, f"nexadbs://127.0.0.1:{strict_node.port}", name, tls_ca_file=ca_file, tls_cert_file=own, tls_key_file=own_key)

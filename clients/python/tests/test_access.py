"""Users: who may come in, and what they may do."""

import asyncio

import pytest
from faces import FLAVOURS, client

from nexadb import AuthenticationError, NexaClient, PermissionError


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A node that asks everybody to log in, and the API key of its user `key`."""
    from rig import node as rig_node

    one = rig_node.Node(tmp_path_factory.mktemp("guarded") / "node", "--memory", "64MiB", "--threads", "1")
    one.start()
    with NexaClient(host="127.0.0.1", port=one.port) as db:
        db.create_user("root", "r00t", "admin")
    with NexaClient(host="127.0.0.1", port=one.port, username="root", password="r00t") as db:
        db.create_user("reader", "re:ad@er/", "read")
        one.api_key = db.create_user("key", "unused", "write")["api_key"]
        db.create("shared", {"_id": "k"})
    yield one
    one.kill()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_who_logs_in_may_do_what_the_role_says(guarded, flavour):
    async def run():
        uri = f"nexadb://reader:re%3Aad%40er%2F@127.0.0.1:{guarded.port}/"
        async with client(flavour, uri) as db:
            assert await db.get("shared", "k") is not None
            with pytest.raises(PermissionError, match="Permission denied"):
                await db.create("shared", {})
            with pytest.raises(PermissionError):
                await db.list_users()
            assert await db.count("shared") == 1

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(
    "given", [{"username": "reader", "password": "wrong"}, {"username": "nobody", "password": "x"}, {"api_key": "nxdb_no"}]
)
def test_a_refused_log_in_is_said_at_once_and_without_the_password(guarded, flavour, given):
    async def run():
        async with client(flavour, host="127.0.0.1", port=guarded.port, **given) as db:
            with pytest.raises(AuthenticationError) as raised:
                await db.ping()
            assert raised.value.code == "UNAUTHENTICATED"
            assert "wrong" not in str(raised.value)

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_nobody_comes_in_without_credentials_and_none_are_made_up(guarded, flavour):
    async def run():
        async with client(flavour, host="127.0.0.1", port=guarded.port) as db:
            with pytest.raises(AuthenticationError):
                await db.get("shared", "k")

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_api_key_stands_for_user_and_password(guarded, flavour):
    async def run():
        async with client(flavour, host="127.0.0.1", port=guarded.port, api_key=guarded.api_key) as db:
            await db.create("shared", {})

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_admin_keeps_the_users(guarded, flavour):
    async def run():
        async with client(flavour, host="127.0.0.1", port=guarded.port, username="root", password="r00t") as db:
            name = f"new_{flavour}"
            await db.create_user(name, "one", "read", databases={"shop": "read"})
            assert (await db.list_users())[name]["role"] == "read"
            await db.change_password(name, "two")
            await db.alter_user(name, role="write")
            async with client(flavour, host="127.0.0.1", port=guarded.port, username=name, password="two", database="shop") as other:
                await other.ping()
            answer = await db.alter_user(name, role="read", databases={}, new_password="three", new_api_key=True)
            for known in ({"username": name, "password": "three"}, {"api_key": answer["api_key"]}):
                async with client(flavour, host="127.0.0.1", port=guarded.port, **known) as other:
                    await other.get("shared", "k")
                    with pytest.raises(PermissionError):
                        await other.create("shared", {})
            async with client(flavour, host="127.0.0.1", port=guarded.port, username=name, password="two") as other:
                with pytest.raises(AuthenticationError):
                    await other.ping()
            await db.delete_user(name)
            assert name not in await db.list_users()

    asyncio.run(run())

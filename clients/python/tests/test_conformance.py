"""The cases that all clients answer alike, with both clients of this package."""

import asyncio
import itertools
import json
from pathlib import Path

import pytest
from faces import FLAVOURS, client
from shared_values import holds, value_of

from nexadb import NexaError

SHARED = Path(__file__).resolve().parents[2] / "conformance"
CASES = json.loads((SHARED / "cases.json").read_text())
numbers = itertools.count(1)
NAMES = {"batchSize": "batch_size", "ifMatch": "if_match"}


class Runner:
    def __init__(self, db):
        self.db, self.saved, self.number = db, {}, next(numbers)

    def collection(self, written):
        return f"case_{self.number}_{written[1:]}" if written.startswith("$") else written

    async def do(self, step):
        step = dict(step)
        op = step.pop("op")
        expected = {key: step.pop(key) for key in ("expect", "error", "save", "path") if key in step}
        if op == "repeat":
            for _ in range(step["times"]):
                for each in step["steps"]:
                    await self.do(each)
            return
        try:
            result = await self.perform(op, step)
        except NexaError as error:
            assert "error" in expected, f"{op} failed: {error!r}"
            self.judge(error, expected["error"])
            return
        assert "error" not in expected, f"{op} succeeded with {result!r:.200}"
        if "expect" in expected:
            wanted = self.names(expected["expect"])
            assert holds(wanted, result, self.saved), f"{op}: {result!r:.500} is not {wanted!r:.500}"
        if "save" in expected:
            self.saved[expected["save"]] = result[expected["path"]] if "path" in expected else result

    def names(self, expected):
        """Names of collections in an expectation."""
        if isinstance(expected, dict):
            return {name: self.names(each) for name, each in expected.items()}
        if isinstance(expected, list):
            return [self.names(each) for each in expected]
        return self.collection(expected) if expected in ("$c", "$d") else expected

    def judge(self, error, wanted):
        assert type(error).__name__ == wanted["kind"] + "Error", repr(error)
        assert wanted.get("code") in (None, error.code)
        assert wanted.get("mentions", "") in str(error)

    async def perform(self, op, step):
        db = self.db
        step = {NAMES.get(name, name): value_of(each, self.saved) for name, each in step.items()}
        if "collection" in step:
            collection = self.collection(step.pop("collection"))
        if op == "ping":
            return await db.ping()
        if op == "create":
            return await db.create(collection, step["data"])
        if op == "get":
            return await db.get(collection, step["key"])
        if op == "update":
            return await db.update(collection, step.pop("key"), step.pop("updates"), **step)
        if op == "delete":
            return await db.delete(collection, step["key"])
        if op == "query":
            return await db.query(collection, **step)
        if op == "find":
            take = step.pop("take", None)
            async with db.find(collection, **step) as cursor:
                return await cursor.to_list(take)
        if op == "count":
            return await db.count(collection, **step)
        if op == "batch":
            return await db.batch_write(collection, **step)
        if op == "bulk":
            async with db.collection(collection).bulk_writer(batch_size=500) as writer:
                for each in step["documents"]:
                    await writer.insert(each)
                return (await writer.flush()).count
        if op == "vectorSearch":
            return await db.vector_search(collection, step.pop("vector"), **step)
        if op == "listCollections":
            return await db.list_collections()
        if op == "dropCollection":
            return await db.drop_collection(collection)
        raise AssertionError(f"no such op: {op}")


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case, flavour, node):
    async def run():
        async with client(flavour, host="127.0.0.1", port=node.port) as db:
            runner = Runner(db)
            for step in case["steps"]:
                await runner.do(step)

    asyncio.run(run())

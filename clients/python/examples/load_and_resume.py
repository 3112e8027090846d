"""Loading many documents with the asyncio client, so that an interrupted load goes on where it stood and writes nothing twice."""

import asyncio
from collections.abc import Iterator
from typing import Any

from nexadb import AsyncNexaClient, NexaError


def documents(start: int) -> Iterator[dict[str, Any]]:
    for number in range(start, 20_000):
        yield {"_id": f"d{number:06}", "number": number}


async def main() -> None:
    async with AsyncNexaClient("nexadb://localhost") as db:
        target, done = db.collection("example_load"), 0
        while True:
            writer = target.bulk_writer(ordered=False, batch_size=2_000)
            try:
                async with writer:
                    for document in documents(done):
                        await writer.insert(document)
                break
            except NexaError as error:
                done += writer.acknowledged
                print(f"{error}: going on at {done}")
        total = 0
        async for document in target.find({"number": {"$gte": 10_000}}, batch_size=1_000):
            total += document["number"]
        print(await target.count(), "documents; the numbers of the second half add up to", total)
        await target.drop()


if __name__ == "__main__":
    asyncio.run(main())

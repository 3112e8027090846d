"""Results that come in pieces, and what became of the request that asked for them."""

import asyncio

import pytest
from faces import FLAVOURS, client
from test_alone import Scripted, answer

from nexadb import NexaClient
from nexadb._core.frames import ERROR, STREAM_CHUNK, STREAM_END, STREAM_START, SUCCESS, Request
from nexadb._core.retry import NotSent
from nexadb._core.stream import INITIAL_CREDIT

CHUNK_COUNT = 8


def refusing_once(code):
    """A node that refuses the first query, and answers the second by a stream, as fast as that is credited."""
    asked = []

    def others(send, kind, request_id):
        if kind == Request.QUERY:
            asked.append(request_id)
            if len(asked) == 1:
                send(answer(request_id, {"code": code, "error": "not now"}, ERROR))
            elif len(asked) == 2:
                asked.append(0)
                send(answer(request_id, {"stream": 7}, STREAM_START))
                [chunk(send) for _ in range(INITIAL_CREDIT)]
        elif kind == Request.CURSOR_CREDIT:
            chunk(send)

    def chunk(send):
        _, request_id, count = asked
        if count < CHUNK_COUNT:
            send(answer(request_id, {"stream": 7, "documents": [{"_id": str(count)}]}, STREAM_CHUNK))
        elif count == CHUNK_COUNT:
            send(answer(request_id, {"stream": 7}, STREAM_END))
        asked[2] += 1

    return others


@pytest.mark.parametrize("code", ["OVERLOADED", "SHUTTING_DOWN"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_list_in_many_pieces_comes_whole_though_the_first_attempt_was_refused(flavour, code):
    async def run():
        with Scripted(None, refusing_once(code)) as node:
            async with client(flavour, host="127.0.0.1", port=node.port, timeout_ms=20_000) as db:
                assert [document["_id"] for document in await db.query("c")] == [str(n) for n in range(CHUNK_COUNT)]

    asyncio.run(run())


@pytest.mark.parametrize("method", ["query", "find"])
def test_a_result_is_asked_for_again_where_the_connection_turns_out_to_be_lost(method):
    def others(send, kind, request_id):
        if kind == Request.QUERY:
            send(answer(request_id, [{"_id": "k"}], SUCCESS))

    with Scripted(None, others) as node, NexaClient(host="127.0.0.1", port=node.port) as db:
        db.connect()
        connection = db._runner.pool.current

        def lost(*_):
            connection.close()
            raise NotSent("the connection was lost before the request left")

        connection._submit = lost
        assert list(getattr(db, method)("c")) == [{"_id": "k"}]

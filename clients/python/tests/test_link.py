"""One connection without its socket: which answer goes to whom."""

import struct

import pytest

from nexadb import ClientOptions, ConnectionError, ProtocolError
from nexadb._core.calls import Call
from nexadb._core.codec import decode, encode
from nexadb._core.frames import ERROR, HEADER, STREAM_CHUNK, SUCCESS, Framer, Request
from nexadb._core.link import Link

FEATURES = ["request_id", "token", "stream", "compact", "duplicate", "op_id"]


def frame(kind, value, request_id=None, position=None):
    flags, prefix = 0, b""
    if request_id is not None:
        flags, prefix = 1, struct.pack(">I", request_id)
    if position is not None:
        flags, prefix = flags | 2, prefix + struct.pack(">QQ", *position)
    body = prefix + encode(value)
    return HEADER.pack(b"NEXA", 1, kind, flags, len(body)) + body


def linked(features=FEATURES, **more) -> Link[str]:
    link: Link[str] = Link(ClientOptions(**more))
    assert link.greeted(frame(SUCCESS, {"features": features, "max_frame": 1 << 20, "role_in_cluster": "leader"})) is not None
    return link


def read(key="k", collection="c") -> Call:
    return Call(Request.READ, None, collection, (encode(key),))


def create(data, options=None) -> Call:
    call = Call(Request.CREATE, None, "c", (encode(data),))
    call.is_write = call.wants_position = True
    if options:
        call.set_options(options)
    return call


def sent(data: bytes) -> list[tuple[int, int, object]]:
    """(type, id, payload) of the requests in what is to be sent."""
    found = []
    while data:
        _, _, kind, flags, length = HEADER.unpack_from(data)
        body, data = data[12 : 12 + length], data[12 + length :]
        request_id = struct.unpack_from(">I", body)[0] if flags & 1 else 0
        found.append((kind, request_id, decode(body[4:] if flags & 1 else body)))
    return found


def test_answers_find_their_requests_in_any_order():
    link = linked()
    ids = [link.submit(read(), name, 0, None, None)[1] for name in "abc"]
    data = b"".join(frame(SUCCESS, {"n": name}, request_id) for name, request_id in zip("cab", [ids[2], ids[0], ids[1]], strict=True))
    assert [(waiter, decode(reply[2])["n"]) for waiter, reply in link.receive(data)] == [("c", "c"), ("a", "a"), ("b", "b")]


@pytest.mark.parametrize("size", [1, 5, 11, 12, 13, 40])
def test_frames_may_come_in_any_pieces(size):
    link = linked()
    ids = [link.submit(read(), str(n), 0, None, None)[1] for n in range(20)]
    data = b"".join(frame(SUCCESS, {"n": n, "text": "x" * n * 7}, request_id) for n, request_id in enumerate(ids))
    heard = [pair for start in range(0, len(data), size) for pair in link.receive(data[start : start + size])]
    assert [(waiter, decode(reply[2])["n"]) for waiter, reply in heard] == [(str(n), n) for n in range(20)]


def test_a_request_that_was_given_up_shifts_no_answer_and_its_id_stays_taken():
    link = linked()
    _, first = link.submit(read(), "first", 0, None, None)
    cancel = sent(link.abandon(first))
    assert cancel[0][0] == Request.CANCEL
    assert cancel[0][2] == {"request_id": first}
    link.next_id = first
    _, second = link.submit(read(), "second", 0, None, None)
    assert second != first
    late = frame(SUCCESS, {"n": 1}, first) + frame(SUCCESS, {"n": 2}, second)
    assert [(waiter, decode(reply[2])["n"]) for waiter, reply in link.receive(late)] == [("second", 2)]
    list(link.receive(frame(SUCCESS, {}, cancel[0][1])))
    assert not [each for each in link.pending if each in (first, second)]


def test_without_ids_a_request_that_was_given_up_shifts_no_answer():
    link = linked(features=[])
    _, first = link.submit(read(), "first", 0, None, None)
    link.submit(read(), "second", 0, None, None)
    assert link.abandon(first) == b""
    assert [waiter for waiter, _ in link.receive(frame(SUCCESS, {"n": 1}))] == []
    assert [waiter for waiter, _ in link.receive(frame(SUCCESS, {"n": 2}))] == ["second"]


def test_an_answer_twice_or_to_nobody_is_dropped():
    link = linked()
    _, request_id = link.submit(read(), "a", 0, None, None)
    assert len(list(link.receive(frame(SUCCESS, {}, request_id) * 2 + frame(SUCCESS, {}, 77)))) == 1


def test_a_stream_keeps_its_request_until_the_end():
    link = linked()
    _, request_id = link.submit(Call(Request.QUERY, None, "c", (encode({}),)), "s", 0, None, None)
    data = frame(STREAM_CHUNK, {"documents": []}, request_id) * 3 + frame(ERROR, {"code": "CANCELLED"}, request_id)
    assert [reply[0] for _, reply in link.receive(data)] == [STREAM_CHUNK] * 3 + [ERROR]
    assert request_id not in link.pending


def test_a_node_that_goes_on_with_a_cancelled_stream_loses_the_connection():
    link = linked()
    _, request_id = link.submit(Call(Request.QUERY, None, "c", (encode({}),)), "s", 0, None, None)
    link.abandon(request_id)
    with pytest.raises(ConnectionError, match="cancelled"):
        list(link.receive(frame(STREAM_CHUNK, {"documents": []}, request_id) * 100))


def test_a_collection_is_bound_once_and_then_goes_by_its_handle():
    link = linked()
    first, _ = link.submit(read(), "a", 0, None, None)
    (bind, bind_id, asked), (kind, _, payload) = sent(first)
    assert (bind, asked, kind, payload) == (Request.BIND, {"collection": "c"}, Request.READ, ["c", "k"])
    list(link.receive(frame(SUCCESS, 7, bind_id)))
    ((kind, _, payload),) = sent(link.submit(read(), "b", 0, None, None)[0])
    assert payload == [7, "k"]


def test_a_collection_of_another_database_goes_by_names_until_it_has_a_handle():
    link = linked()
    call = Call(Request.READ, "d", "c", (encode("k"),))
    (_, bind_id, asked), (_, _, payload) = sent(link.submit(call, "a", 0, None, None)[0])
    assert asked == {"database": "d", "collection": "c"}
    assert payload == {"database": "d", "collection": "c", "key": "k"}
    assert len(sent(link.submit(call, "b", 0, None, None)[0])) == 1
    list(link.receive(frame(SUCCESS, 3, bind_id)))
    assert sent(link.submit(call, "c", 0, None, None)[0])[0][2] == [3, "k"]


def test_what_a_call_carries_beside_its_values():
    link = linked()
    call = create({"n": 1}, {"w": "majority"})
    data = link.submit(call, "a", 1500, b"i" * 24, None)[0]
    assert sent(data)[-1][2] == ["c", {"n": 1}, {"w": "majority", "timeout_ms": 1500, "op_id": b"i" * 24}]
    data = link.submit(read(), "b", 0, None, (3, 1 << 40))[0]
    assert sent(data)[-1][2] == ["c", "k", {"after": [3, 1 << 40]}]


def test_an_op_id_is_sent_only_where_the_node_keeps_it():
    link = linked(features=["request_id", "compact"])
    call = create({})
    assert sent(link.submit(call, "a", 0, b"i" * 24, None)[0])[-1][2] == ["c", {}]


def test_the_position_of_a_write_comes_with_its_answer():
    link = linked()
    call = create({})
    _, request_id = link.submit(call, "a", 0, None, None)
    ((_, reply),) = link.receive(frame(SUCCESS, {}, request_id, (4, 99)))
    assert reply[3] == (4, 99)


def test_a_frame_above_the_limit_is_refused_before_its_bytes_come():
    framer = Framer(1000)
    with pytest.raises(ProtocolError, match="1,001"):
        framer.feed(HEADER.pack(b"NEXA", 1, SUCCESS, 0, 1001))


def test_an_error_without_an_id_ends_the_connection_and_says_why():
    link = linked()
    with pytest.raises(ConnectionError, match="stopping"):
        list(link.receive(frame(ERROR, {"code": "SHUTTING_DOWN", "error": "the node is stopping"})))


def test_answers_that_came_before_the_last_words_of_a_node_are_given():
    link = linked()
    _, first = link.submit(read(), "first", 0, None, None)
    link.submit(read(), "second", 0, None, None)
    heard = []
    with pytest.raises(ConnectionError, match="stopping"):
        for waiter, _ in link.receive(frame(SUCCESS, {}, first) + frame(ERROR, {"code": "SHUTTING_DOWN", "error": "the node is stopping"})):
            heard.append(waiter)
    assert heard == ["first"]
    assert link.waiters() == ["second"]

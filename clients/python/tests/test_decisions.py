"""What the core decides, without a socket or a clock: nodes, retries, pace, batches."""

import random

import pytest

from nexadb import (
    BulkResult,
    ClientOptions,
    ConnectionError,
    NotLeaderError,
    ProtocolError,
    ServerError,
    ServerSelectionError,
    UnknownOutcomeError,
)
from nexadb._core.batching import Batcher
from nexadb._core.calls import Call
from nexadb._core.codec import encode
from nexadb._core.engine import Engine
from nexadb._core.frames import Request
from nexadb._core.link import Link, ServerInfo
from nexadb._core.pace import Pace
from nexadb._core.retry import NotSent, Sent, after_failure, after_unsuccessful_selection
from nexadb._core.topology import Topology
from nexadb.errors import OverloadedError

HOSTS = (("a", 1), ("b", 2), ("c", 3))


def info(role, epoch=1, node_id="", leader=None):
    return ServerInfo("1", node_id, role, leader, epoch, frozenset(), 1 << 20, 600)


def topology(*roles, trips=(0.001, 0.001, 0.001), **options):
    made = Topology(ClientOptions(hosts=HOSTS[: len(roles)], **options), random.Random(5))
    for host, role, trip in zip(HOSTS, roles, trips, strict=False):
        if role:
            made.greeted(made.servers[host], info(role, node_id=host[0]), trip, 10.0)
    return made


def address(server):
    return server and server.address[0]


@pytest.mark.parametrize(
    ("preference", "roles", "chosen"),
    [
        ("primary", ("follower", "leader", "follower"), {"b"}),
        ("primary", ("follower", None, "follower"), {None}),
        ("primary", ("single",), {"a"}),
        ("primaryPreferred", ("follower", "leader", "follower"), {"b"}),
        ("primaryPreferred", ("follower", None, "follower"), {"a", "c"}),
        ("secondary", ("follower", "leader", "follower"), {"a", "c"}),
        ("secondary", (None, "leader", None), {None}),
        ("secondary", ("single",), {"a"}),
        ("secondaryPreferred", ("follower", "leader", "follower"), {"a", "c"}),
        ("secondaryPreferred", (None, "leader", None), {"b"}),
        ("nearest", ("follower", "leader", "follower"), {"a", "b", "c"}),
    ],
)
def test_who_serves(preference, roles, chosen):
    made = topology(*roles)
    assert {address(made.choose(preference)) for _ in range(60)} == chosen


def test_only_nodes_within_the_window_of_the_fastest_serve():
    made = topology("follower", "leader", "follower", trips=(0.001, 0.002, 0.030))
    assert {address(made.choose("nearest")) for _ in range(60)} == {"a", "b"}


def test_of_two_nodes_the_one_with_less_to_do_serves():
    made = topology("follower", "leader", "follower")
    made.servers[HOSTS[0]].in_flight = 9
    assert {address(made.choose("secondary")) for _ in range(60)} == {"c"}


def test_of_two_leaders_the_one_of_the_newer_epoch_is_it():
    made = topology("leader", "leader")
    made.greeted(made.servers[HOSTS[1]], info("leader", epoch=2, node_id="b"), 0.001, 11.0)
    assert address(made.choose("primary")) == "b"


def test_the_distance_of_a_node_is_an_average_that_moves_a_fifth_at_a_time():
    made = topology("leader", trips=(0.010,))
    made.greeted(made.servers[HOSTS[0]], info("leader"), 0.020, 11.0)
    assert made.servers[HOSTS[0]].round_trip == pytest.approx(0.012)


def test_a_node_that_cannot_be_reached_waits_longer_each_time_and_half_a_second_at_most():
    made = topology(None)
    server, waits = made.servers[HOSTS[0]], []
    for _ in range(12):
        made.failed(server, OSError("no"), 100.0)
        waits.append(server.retry_at - 100.0)
    assert waits[0] < 0.05
    assert max(waits) <= 0.5
    assert min(waits[6:]) >= 0.25
    assert not made.to_look_at(100.0, True)
    assert made.to_look_at(100.6, True) == [server]


def test_a_refusal_makes_the_leader_known():
    made = topology("leader")
    made.refused(made.servers[HOSTS[0]], ("d", 4), 10.0)
    assert made.choose("primary") is None
    assert ("d", 4) in {each.address for each in made.to_look_at(10.0, True)}


def test_while_nobody_leads_the_roles_of_nodes_are_asked_for_again():
    made = topology("follower")
    assert not made.to_look_at(10.05, True)
    assert made.to_look_at(10.2, True)
    assert not made.to_look_at(10.2, False)


def test_two_addresses_of_one_node_are_one_node():
    made = topology("leader")
    made.discovered(("localhost", 1))
    other = made.servers["localhost", 1]
    made.greeted(other, info("leader", node_id="a"), 0.001, 11.0)
    assert list(made.servers) == [HOSTS[0]]
    made.discovered(("localhost", 1))
    assert list(made.servers) == [HOSTS[0]]


def test_what_is_said_when_nobody_serves_names_everyone():
    made = topology("follower", None)
    made.failed(made.servers[HOSTS[1]], OSError("no route"), 10.0)
    error = made.explain("primary", 5.0)
    assert error.hosts == {"a:1": "ready as follower", "b:2": "OSError: no route"}
    assert "no route" in str(error)


# Retries


def lost(cause=None):
    error = Sent("gone")
    error.__cause__ = cause
    return error


def call(is_write=False, attempts=1, op_id=None):
    made = Call(2 if is_write else 3, None, "c", ())
    made.is_write, made.attempts, made.op_id, made.first_sent_at = is_write, attempts, op_id, 100.0
    return made


def decide(made, error, has_op_id=True, now=101.0, **options):
    return after_failure(made, error, ClientOptions(**options), has_op_id, 600.0, now, random.Random(1))


def test_a_read_is_tried_once_more():
    assert decide(call(), lost()) == 0.0
    with pytest.raises(ConnectionError):
        decide(call(attempts=2), lost())
    with pytest.raises(ConnectionError):
        decide(call(), lost(), retry_reads=False)


def test_a_write_is_sent_again_only_where_its_repetition_is_recognised():
    assert decide(call(True, op_id=b"x"), lost()) == 0.0
    for case in [
        lambda: decide(call(True), lost()),
        lambda: decide(call(True, op_id=b"x"), lost(), has_op_id=False),
        lambda: decide(call(True, op_id=b"x"), lost(), retry_writes=False),
        lambda: decide(call(True, op_id=b"x"), lost(), now=100.0 + 301),
        lambda: decide(call(True, op_id=b"x", attempts=4), lost()),
    ]:
        with pytest.raises(UnknownOutcomeError):
            case()


def test_a_refusal_after_a_lost_attempt_leaves_the_outcome_unknown():
    engine = Engine(ClientOptions())
    selection = ServerSelectionError("nobody leads", {})
    for refusal in (NotLeaderError("NOT_LEADER", "not me"), OverloadedError("OVERLOADED", "busy"), ServerError("SHUTTING_DOWN", "bye")):
        made = engine.call(Request.CREATE, "c", (encode({}),))
        made.attempts, made.first_sent_at, made.deadline = 1, 100.0, 130.0
        engine.failed(made, None, refusal, True, 100.0)
        assert after_unsuccessful_selection(made, selection) is selection, "nothing was done"
        made.attempts, made.first_sent_at = 2, 100.1
        engine.failed(made, None, lost(), True, 100.1)
        made.attempts = 3
        engine.failed(made, None, refusal, True, 100.2)
        assert isinstance(after_unsuccessful_selection(made, selection), UnknownOutcomeError)
        made.attempts = 41
        with pytest.raises(UnknownOutcomeError):
            engine.failed(made, None, refusal, True, 100.3)
        made.attempts = 3
        with pytest.raises(UnknownOutcomeError):
            engine.failed(made, None, refusal, True, made.deadline)


@pytest.mark.parametrize(("features", "seconds"), [([], 1), (["op_id"], 301)])
def test_a_lost_write_is_not_sent_to_a_node_that_would_take_it_for_another(features, seconds):
    engine, link = Engine(ClientOptions()), Link(ClientOptions())
    link.told(info("leader"))
    link.has_op_ids = "op_id" in features
    made = engine.call(Request.CREATE, "c", (encode({}),))
    made.attempts, made.first_sent_at, made.deadline = 1, 100.0, 1000.0
    engine.failed(made, None, lost(), True, 100.0)
    with pytest.raises(UnknownOutcomeError):
        engine.submit(link, made, None, 100.0 + seconds)
    assert not link.pending


def test_what_never_left_is_sent_again():
    assert decide(call(True), NotSent("gone")) == 0.0


def test_a_node_that_speaks_nonsense_is_not_asked_again():
    with pytest.raises(ProtocolError):
        decide(call(), lost(ProtocolError("nonsense")))


def test_an_overloaded_node_is_asked_again_later_and_not_for_ever():
    error = OverloadedError("OVERLOADED", "busy")
    waits = [decide(call(attempts=attempt), error) for attempt in (1, 2, 3)]
    assert 0.02 < waits[0] < waits[1] < waits[2] < 0.3
    with pytest.raises(OverloadedError):
        decide(call(attempts=4), error)
    assert 3.0 <= decide(call(), OverloadedError("OVERLOADED", "busy", {"retry_after_ms": 6000})) <= 6.0


def test_a_node_that_looks_at_no_log_in_for_a_while_is_left_alone_so_long():
    made = topology(None)
    made.failed(made.servers[HOSTS[0]], OverloadedError("OVERLOADED", "too many failures", {"retry_after_ms": 3000}), 100.0)
    assert not made.to_look_at(102.9, True)
    assert made.to_look_at(103.6, True)


def test_an_error_that_says_what_is_wrong_is_not_tried_again():
    with pytest.raises(ServerError):
        decide(call(), ServerError("BAD_FILTER", "no"))


# Pace


def test_writes_slow_down_while_they_are_asked_to_and_recover():
    pace, now, pauses = Pace(), 0.0, []
    for _ in range(12):
        now += 1.0
        pace.observe(True, now)
        pauses.append(pace.pause)
    assert pauses[:4] == [0.001, 0.002, 0.004, 0.008]
    assert max(pauses) == 0.25
    for _ in range(12):
        now += 1.0
        pace.observe(False, now)
    assert pace.pause == 0.0


def test_many_answers_at_once_slow_down_once():
    pace = Pace()
    for _ in range(50):
        pace.observe(True, 1.0)
    assert pace.pause == 0.001


# Batches


def test_a_batch_closes_by_number_by_size_and_by_age():
    batcher = Batcher(3, 100, 0.05)
    assert batcher.add(b"a", 0.0) is None
    assert batcher.add(b"b", 0.0) is None
    assert batcher.add(b"c", 0.0) == [b"a", b"b", b"c"]
    assert batcher.add(b"x" * 60, 1.0) is None
    assert batcher.add(b"y" * 60, 1.0) == [b"x" * 60]
    assert batcher.due_in(1.04) > 0
    assert batcher.due_in(1.06) <= 0
    assert batcher.close() == [b"y" * 60]
    assert batcher.due_in(9.0) is None


def test_an_item_above_the_size_is_a_batch_of_its_own():
    batcher = Batcher(10, 100, 1)
    assert batcher.add(b"x" * 500, 0.0) == [b"x" * 500]


def test_results_of_batches_are_numbered_throughout():
    result = BulkResult()
    result.take(3, {"ids": ["a", "b", "c"], "count": 3}, False)
    result.take(3, {"ids": ["d", "f"], "count": 2, "errors": [{"index": 1, "code": "DUPLICATE", "error": "there"}]}, False)
    assert result.ids == ["a", "b", "c", "d", None, "f"]
    assert [(error.index, error.code) for error in result.errors] == [(4, "DUPLICATE")]
    assert (result.acknowledged, result.count) == (6, 5)


def test_an_ordered_batch_is_settled_up_to_its_failure():
    result = BulkResult()
    result.take(5, {"ids": ["a"], "errors": [{"index": 1, "code": "DUPLICATE", "error": "there"}]}, True)
    assert (result.ids, result.acknowledged) == (["a", None], 2)


@pytest.mark.parametrize("answer", [None, 5, {}, {"ids": 5}, {"ids": [], "errors": [{"index": 9}]}, {"ids": [], "errors": [5]}])
def test_a_batch_that_is_answered_with_nonsense_is_a_protocol_error(answer):
    with pytest.raises(ProtocolError):
        BulkResult().take(3, answer, False)

"""Values on the wire: both libraries give the same bytes and the same values."""

import datetime
import math

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexadb import ProtocolError, ValidationError, Vector
from nexadb._core import codec

ENCODERS = {"ormsgpack": codec._ormsgpack_encode, "msgpack": codec._msgpack_encode}
DECODERS = {"ormsgpack": codec._ormsgpack_decode, "msgpack": codec._msgpack_decode}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.datetimes(timezones=st.just(datetime.timezone.utc)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=20,
)


def same(one, other):
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    return type(one) is type(other) and one == other


@settings(max_examples=150, deadline=None)
@given(values)
def test_every_value_comes_back_and_both_libraries_agree(value):
    packed = {name: encode(value) for name, encode in ENCODERS.items()}
    assert packed["msgpack"] == packed["ormsgpack"]
    for decode in DECODERS.values():
        assert same(decode(packed["msgpack"]), value)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_protocol_error(data):
    try:
        codec.decode(data)
    except ProtocolError:
        pass


@pytest.mark.parametrize("library", list(DECODERS))
def test_moments_keep_their_microseconds_and_those_that_python_has_not_come_as_timestamps(library):
    moment = datetime.datetime(1960, 2, 29, 23, 59, 59, 999_999, datetime.timezone.utc)
    far = msgpack.Timestamp(10**13, 5)
    packed = ENCODERS[library]({"a": moment, "b": far, "c": msgpack.ExtType(7, b"x")})
    assert DECODERS[library](packed) == {"a": moment, "b": far, "c": msgpack.ExtType(7, b"x")}


def test_a_moment_without_a_time_zone_is_refused():
    with pytest.raises(ValidationError, match="time zone"):
        codec.encode({"at": datetime.datetime(2026, 1, 1)})  # noqa: DTZ001


def test_a_vector_is_float32_and_refuses_what_is_none():
    assert bytes(Vector([1, -2])) == b"\x00\x00\x80\x3f\x00\x00\x00\xc0"
    assert Vector([1, -2]).tolist() == [1.0, -2.0]
    assert len(Vector(b"\0" * 12)) == 3
    for bad in ([1e300], b"\0\0\0", [[1.0]], "text"):
        with pytest.raises((ValueError, TypeError)):
            Vector(bad)

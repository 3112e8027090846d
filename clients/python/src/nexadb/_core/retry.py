"""What to do when a call failed: again, after how long, or to give up with which error. Pure.

Reads are tried once more. Writes are tried again only where they certainly did nothing (never sent, or refused as a whole), or where the node
keeps their `op_id` and so answers a repetition with the first result. Everything stays within the operation's time.
"""

from __future__ import annotations

import random

from ..errors import (
    ClosedError,
    ConnectionError,
    NexaError,
    OverloadedError,
    ProtocolError,
    ServerError,
    ServerSelectionError,
    UnknownOutcomeError,
)
from ..options import ClientOptions
from .calls import Call

#: How often a refusal of each kind is answered by another try.
REFUSED_MAX = {"OVERLOADED": 3, "SHUTTING_DOWN": 40, "NOT_LEADER": 40, "STALE_READ": 1}
WRITE_ATTEMPTS_MAX = 4
_OVERLOAD_BASE, _OVERLOAD_MAX = 0.05, 2.0
_LEADERLESS_BASE, _LEADERLESS_MAX = 0.01, 0.25


class Sent(ConnectionError):
    """The connection was lost after the call left. It never reaches the caller."""


class NotSent(ConnectionError):
    """The connection was lost before the call left. It never reaches the caller."""


def after_failure(
    call: Call, error: NexaError, options: ClientOptions, has_op_id: bool, window: float, now: float, rng: random.Random
) -> float:
    """Seconds to wait before the next attempt. Raises when there is none."""
    if isinstance(error, NotSent):
        return _backoff(call.attempts, _LEADERLESS_BASE, _LEADERLESS_MAX, rng) if call.attempts > 1 else 0.0
    if isinstance(error, Sent):
        return _after_loss(call, error, options, has_op_id, window, now, rng)
    if isinstance(error, ServerError) and (most := REFUSED_MAX.get(error.code)) and call.attempts <= most:
        if isinstance(error, OverloadedError):
            base = error.retry_after_seconds or _OVERLOAD_BASE
            return _backoff(call.attempts, base, max(_OVERLOAD_MAX, base), rng)
        return _backoff(call.attempts, _LEADERLESS_BASE, _LEADERLESS_MAX, rng)
    raise refused(call, error)


def refused(call: Call, error: NexaError) -> NexaError:
    """What the caller hears of an error that is the last. A refusal says nothing of an earlier attempt that was lost."""
    if call.is_in_doubt and isinstance(error, ServerError) and error.is_retryable:
        return _still_unknown(error)
    return error


def _after_loss(call: Call, error: Sent, options: ClientOptions, has_op_id: bool, window: float, now: float, rng: random.Random) -> float:
    cause = error.__cause__
    if isinstance(cause, ProtocolError):
        raise cause
    if not call.is_write:
        if options.retry_reads and call.attempts < 2:
            return 0.0
        raise ConnectionError(str(error)) from cause
    is_safe = has_op_id and options.retry_writes and call.op_id is not None
    if is_safe and _is_remembered(call, window, now) and call.attempts < WRITE_ATTEMPTS_MAX:
        return _backoff(call.attempts, _LEADERLESS_BASE, _LEADERLESS_MAX, rng) if call.attempts > 1 else 0.0
    raise UnknownOutcomeError(f"a write was sent and its answer never came: {error}") from cause


def _is_remembered(call: Call, window: float, now: float) -> bool:
    """Whether nodes still recognise a write. Clocks that jump shorten their memory, so that half of it is counted on."""
    return window <= 0 or now - call.first_sent_at < window / 2


def check_repetition(call: Call, has_op_ids: bool, window: float, now: float) -> None:
    """Raises where the node would take the repetition of a write that was lost for another write."""
    if not has_op_ids or not _is_remembered(call, window, now):
        raise UnknownOutcomeError("a write was sent, its answer never came, and the node would take its repetition for another write")


def midway(error: Sent) -> NexaError:
    """What the reader of a result hears when the connection was lost after a part of it."""
    cause = error.__cause__
    return cause if isinstance(cause, ProtocolError) else ConnectionError(f"the rest of a result was lost: {error}")


def after_unsuccessful_selection(call: Call, error: ServerSelectionError) -> NexaError:
    """A write that was sent before and now finds no node has an unknown outcome."""
    return _still_unknown(error) if call.is_write and call.first_sent_at else error


def closed(call: Call) -> NexaError:
    """What the caller hears when the client was closed before the answer came."""
    error = ClosedError("this client was closed")
    return _still_unknown(error) if call.is_write and call.first_sent_at else error


def _still_unknown(error: NexaError) -> UnknownOutcomeError:
    unknown = UnknownOutcomeError(f"a write was sent, its answer never came, and {error}")
    unknown.__cause__ = error
    return unknown


def _backoff(attempt: int, base: float, ceiling: float, rng: random.Random) -> float:
    """Exponential, with full jitter above half of it."""
    most: float = min(ceiling, base * 2 ** min(attempt - 1, 16))
    return rng.uniform(most / 2, most)

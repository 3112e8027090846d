"""What must be true after a crash, as pure functions over what was sent, what was acknowledged and what was found.

Each writer has a collection of its own and one connection, answered strictly in order. So the state of its collection after a crash
must be the state after some prefix of what it sent, no shorter than what was acknowledged: nothing acknowledged lost, no hole,
no half batch, nothing invented. The oracle knows nothing of the product; it folds operations over dictionaries.
"""
import random

Operation = tuple  # ("create", key, fields) | ("update", key, fields) | ("delete", key) | ("batch", [(key, fields), ...])


def apply(state: dict, operation: Operation) -> dict:
    """The state after one operation; a create of an existing key and an update or delete of a missing one change nothing."""
    kind = operation[0]
    if kind == "batch":
        if any(key in state for key, _ in operation[1]):
            return state
        return {**state, **dict(operation[1])}
    key = operation[1]
    if kind == "create":
        return state if key in state else {**state, key: operation[2]}
    if kind == "update":
        return {**state, key: {**state[key], **operation[2]}} if key in state else state
    if kind == "delete":
        return {k: v for k, v in state.items() if k != key}
    raise ValueError(kind)


def surviving_prefix(base: dict, sent: list[Operation], acknowledged: int, found: dict) -> int:
    """How many of the operations sent since `base` are in `found`.

    Raises AssertionError, naming the difference, unless `found` is the state after a prefix that holds everything acknowledged.
    """
    state = base
    for operation in sent[:acknowledged]:
        state = apply(state, operation)
    least = state
    for count in range(acknowledged, len(sent) + 1):
        if state == found:
            return count
        if count < len(sent):
            state = apply(state, sent[count])
    lost = {k: v for k, v in least.items() if found.get(k) != v}
    extra = {k: v for k, v in found.items() if least.get(k) != v}
    raise AssertionError(f"no prefix of {acknowledged} acknowledged to {len(sent)} sent operations gives what was found: "
                         f"of the acknowledged state {len(lost)} differ, e.g. {sorted(lost.items())[:2]}; "
                         f"found besides {len(extra)}, e.g. {sorted(extra.items())[:2]}; "
                         f"in flight {sent[acknowledged:acknowledged + 3]}")


def workload(rng: random.Random, round_number: int):
    """An endless mix of operations on few keys, so that most are overwritten, and batches of new ones."""
    serial = 0
    while True:
        serial += 1
        stamp = {"round": round_number, "serial": serial}
        key = f"k{rng.randrange(40):02}"
        kind = rng.choices(["create", "update", "delete", "batch"], [4, 6, 2, 1])[0]
        if kind == "create":
            yield ("create", key, {**stamp, "pad": "c" * rng.choice([0, 20, 300, 3000])})
        elif kind == "update":
            yield ("update", key, {**stamp, rng.choice("abc"): serial})
        elif kind == "delete":
            yield ("delete", key)
        else:
            yield ("batch", [(f"b{round_number}-{serial}-{n}", {**stamp, "n": n, "pad": "b" * rng.choice([0, 100])})
                             for n in range(rng.randrange(1, 60))])


def batches_in_part(batches: list[list[str]], found: set[str]) -> list[list[str]]:
    """The batches of which some keys but not all were found."""
    return [keys for keys in batches if 0 < len(found.intersection(keys)) < len(set(keys))]

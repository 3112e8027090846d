"""What a filter means, by a plain walk over Python values: the oracle for QUERY. Rules as MongoDB's, for the operators that the node knows.

A dotted path leads to leaves: through maps by name, through arrays by index and through the maps in them. Where a map lacks the name, or
a scalar stands in the way, the leaf is missing, which counts as null; scalars within arrays are passed over. A leaf that is an array also offers its elements, unless the
path's last step took it out of an array by its index.
"""
MISSING = object()


def leaves(value, parts, by_index=False):
    """Every leaf that the path leads to, MISSING among them, each with whether an index was the last step."""
    if not parts:
        yield value, by_index
    elif isinstance(value, dict):
        if parts[0] in value:
            yield from leaves(value[parts[0]], parts[1:])
        else:
            yield MISSING, False
    elif isinstance(value, list):
        head = parts[0]
        if head.isdigit() and (head == "0" or head[0] != "0") and int(head) < len(value):
            if len(parts) == 1 or isinstance(value[int(head)], (dict, list)):
                yield from leaves(value[int(head)], parts[1:], True)
        for element in value:
            if isinstance(element, dict):
                yield from leaves(element, parts)
    else:
        yield MISSING, False


def offered(document, path):
    for leaf, by_index in leaves(document, path.split(".")):
        yield leaf
        if isinstance(leaf, list) and not by_index:
            yield from leaf


def kind(value):
    if value is None or value is MISSING:
        return "null"
    return "bool" if isinstance(value, bool) else "number" if isinstance(value, (int, float)) else type(value).__name__


def equal(a, b):
    if kind(a) != kind(b):
        return False
    if kind(a) == "null":
        return True
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict):
        return [*a] == [*b] and all(equal(a[k], b[k]) for k in a)
    return a == b


ORDER = {"$gt": lambda a, b: a > b, "$gte": lambda a, b: a >= b, "$lt": lambda a, b: a < b, "$lte": lambda a, b: a <= b}


def holds(document, path, operator, operand):
    if operator == "$eq":
        return any(equal(v, operand) for v in offered(document, path))
    if operator in ORDER:
        return any(kind(v) == kind(operand) and ORDER[operator](v, operand) for v in offered(document, path))
    if operator == "$in":
        return any(holds(document, path, "$eq", o) for o in operand)
    if operator == "$exists":
        return bool(operand) == any(leaf is not MISSING for leaf, _ in leaves(document, path.split(".")))
    if operator == "$not":
        return not all(holds(document, path, o, v) for o, v in operand.items())
    return not holds(document, path, {"$ne": "$eq", "$nin": "$in"}[operator], operand)


def matches(document, filters) -> bool:
    for key, condition in filters.items():
        if key in ("$and", "$or", "$nor"):
            results = [matches(document, f) for f in condition]
            if not {"$and": all, "$or": any, "$nor": lambda r: not any(r)}[key](results):
                return False
        elif isinstance(condition, dict) and condition and next(iter(condition)).startswith("$"):
            if not all(holds(document, key, o, v) for o, v in condition.items()):
                return False
        elif not holds(document, key, "$eq", condition):
            return False
    return True


def random_value(rng, depth=0):
    """Values from a small set, so that filters often hit."""
    draw = rng.random()
    if depth < 2 and draw < 0.18:
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if depth < 2 and draw < 0.36:
        return {k: random_value(rng, depth + 1) for k in rng.sample("bcd", rng.randrange(3))}
    return rng.choice([None, True, False, 0, 1, 1.0, 2, 2.5, -1, 2**53, "", "a", "b", "ab", "é", 7, -0.5])


def random_document(rng):
    return {k: random_value(rng) for k in rng.sample("abcd", rng.randrange(2, 5))}


def random_filter(rng, depth=0):
    if depth < 2 and rng.random() < 0.35:
        return {rng.choice(["$and", "$or", "$nor"]): [random_filter(rng, depth + 1) for _ in range(rng.randrange(1, 4))]}
    paths = ["a", "b", "c", "d", "a", "b", "c", "d", "a.b", "b.c", "c.d", "a.0", "d.b.c", "e", "b.1.c"]
    return {path: random_condition(rng) for path in rng.sample(paths, rng.choice([1, 1, 1, 2]))}


def random_condition(rng):
    if rng.random() < 0.2:
        value = random_value(rng)
        return value if value != {} else {"b": 1}
    return {operator: random_operand(rng, operator) for operator in rng.sample(
        ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$not"], rng.choice([1, 1, 2]))}


def random_operand(rng, operator):
    if operator in ORDER:
        return rng.choice([0, 1, 2, 2.5, -1, "a", "b", "", True, False])
    if operator in ("$in", "$nin"):
        return [random_value(rng) for _ in range(rng.randrange(7))]
    if operator == "$exists":
        return rng.choice([True, False, 1, 0])
    if operator == "$not":
        return {o: random_operand(rng, o) for o in rng.sample(["$eq", "$gt", "$lte", "$in", "$exists"], 1)}
    return random_value(rng)

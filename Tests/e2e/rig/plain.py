"""The client that the project's original plan prints for Python users, in our own words: no CONNECT, and the payload of SUCCESS is the result."""
from . import wire


class Refused(Exception):
    """ERROR or DUPLICATE, with the whole answer."""

    def __init__(self, answer: wire.Answer):
        super().__init__(f"{answer}: {answer.value.get('error')}")
        self.answer, self.code = answer, answer.code


class PlainClient:
    def __init__(self, port: int, **connect):
        self.wire = wire.Wire(port)
        if connect:
            self.wire.connect(dialect="plain", **connect)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.close()

    def call(self, message_type, value):
        """The result; None for NOT_FOUND."""
        answer = self.wire.ask(message_type, value)
        if answer.type in (wire.SUCCESS, wire.PONG):
            return answer.value
        if answer.type == wire.NOT_FOUND:
            return None
        raise Refused(answer)

    def create(self, collection, data, **more):
        return self.call(wire.CREATE, {"collection": collection, "data": data, **more})

    def get(self, collection, key, **more):
        return self.call(wire.READ, {"collection": collection, "key": key, **more})

    def update(self, collection, key, updates, **more):
        return self.call(wire.UPDATE, {"collection": collection, "key": key, "updates": updates, **more})

    def delete(self, collection, key, **more):
        return self.call(wire.DELETE, {"collection": collection, "key": key, **more})

    def query(self, collection, filters=None, **more):
        return self.call(wire.QUERY, {"collection": collection, "filters": filters or {}, **more})

    def batch(self, collection=None, **more):
        return self.call(wire.BATCH_WRITE, {**({"collection": collection} if collection else {}), **more})

"""Both clients behind one face of coroutines, so that a test is written once. A call of `NexaClient` simply blocks."""

from nexadb import AsyncNexaClient, NexaClient

FLAVOURS = ["sync", "async"]


class Blocking:
    """Makes coroutines of an object's methods."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        attribute = getattr(self.inner, name)
        if not callable(attribute):
            return attribute
        if name in ("find", "collection", "bulk_writer", "watch", "with_options", "add_listener"):
            return lambda *arguments, **options: Blocking(attribute(*arguments, **options))

        async def call(*arguments, **options):
            return attribute(*arguments, **options)

        return call

    async def __aenter__(self):
        return Blocking(self.inner.__enter__())

    async def __aexit__(self, *reason):
        self.inner.__exit__(*reason)

    def __aiter__(self):
        return self

    async def __anext__(self):
        for each in self.inner:
            return each
        raise StopAsyncIteration


def client(flavour, *arguments, **options):
    if flavour == "async":
        return AsyncNexaClient(*arguments, **options)
    return Blocking(NexaClient(*arguments, **options))

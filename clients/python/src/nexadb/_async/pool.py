"""The connections of an `AsyncNexaClient`: which exist, who makes them, what is known of their nodes. Confined to one event loop."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable
from typing import Any

from .._core import tls
from .._core.calls import Call
from .._core.engine import Engine, clock
from .._core.frames import Request
from .._core.link import ServerInfo
from .._core.retry import after_unsuccessful_selection, closed
from .._core.topology import GROW_AT, PREFERENCE_SECONDS, Server
from ..errors import AuthenticationError, ClosedError, NexaError
from ..events import ConnectionEvent
from ..options import text_of
from .connection import Connection

log = logging.getLogger("nexadb")


class Pool:
    def __init__(self, engine: Engine):
        self.engine = engine
        self.topology = engine.topology
        self.is_closed = False
        self._connections: dict[Server, list[Connection]] = {}
        #: All that were made and may still be open, such as those of change streams.
        self._made: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._tls = tls.context(engine.options)
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Future[None]] = set()
        self._refusal: tuple[float, AuthenticationError] | None = None
        #: The one connection to the leader, while nothing changes.
        self.current: Connection | None = None

    def ready(self, preference: str) -> Connection | None:
        """A connection that serves now, if there is one."""
        current = self.current
        if current is not None and preference == "primary" and not current.is_full:
            return current
        server = self.topology.choose(preference)
        if server is None:
            return None
        usable = self._connections.get(server)
        if not usable:
            return None
        connection = usable[0] if len(usable) == 1 else min(usable, key=lambda each: len(each.link.pending))
        options = self.engine.options
        if len(usable) < options.pool_size and len(connection.link.pending) >= GROW_AT and not server.is_connecting:
            server.is_connecting = True
            self._spawn(self._grow(server))
        if connection.is_full:
            return None
        if preference == "primary" and options.pool_size == 1:
            self.current = connection
        return connection

    async def select(self, call: Call, started: float) -> Connection:
        """Waits for a node that serves the call, and makes connections as needed."""
        seconds = self.engine.options.server_selection_timeout_ms / 1000
        limit = min(call.deadline, clock() + seconds)
        while True:
            if self.is_closed:
                raise closed(call)
            now = clock()
            for server in self.topology.to_refresh(now):
                self._look(server)
            connection = self.ready(call.preference)
            waits_for_better = now - started < PREFERENCE_SECONDS and self.topology.is_preferred_missing(call.preference)
            if connection is not None and not waits_for_better:
                return connection
            for server in self.topology.to_look_at(now, connection is None):
                self._look(server)
            if self._refusal is not None and self._refusal[0] >= started:
                raise self._refusal[1]
            if now >= limit:
                raise after_unsuccessful_selection(call, self.topology.explain(call.preference, now - started))
            full = self._full(call.preference)
            if full is not None:
                await full.drained(call.deadline)
                continue
            pause = min(limit - now, max(0.005, self.topology.next_attempt(now)))
            await self._change(min(pause, PREFERENCE_SECONDS) if waits_for_better else pause)

    def _full(self, preference: str) -> Connection | None:
        """A connection that would serve if its node took what is sent."""
        server = self.topology.choose(preference)
        usable = self._connections.get(server) if server is not None else None
        return usable[0] if usable and usable[0].is_full else None

    async def _change(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await asyncio.wait({future}, timeout=seconds)
        finally:
            self._waiting.discard(future)

    def changed(self, change: Callable[[], float]) -> float:
        """Runs what changes the topology."""
        try:
            return change()
        finally:
            self._notify()

    def _forget_current(self) -> None:
        self.current = None

    def _notify(self) -> None:
        self.current = None
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    # Nodes

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _look(self, server: Server) -> None:
        """Asks a node who it is."""
        self.topology.connecting(server)
        self._spawn(self._ask(server))

    async def _ask(self, server: Server) -> None:
        started = clock()
        try:
            info = await self._add(server)
            self.topology.greeted(server, info, clock() - started, clock())
        except NexaError as error:
            self._refused(server, error)
            return
        finally:
            server.is_connecting = False
            self._notify()
        if server.address not in self.topology.servers:
            self._retire(server)
        elif info.role != "single":
            await self._members(server)

    def _retire(self, server: Server) -> None:
        """Another address leads to the same node."""
        for connection in self._connections.pop(server, []):
            connection.retire()

    async def _members(self, server: Server) -> None:
        """Learns of the other nodes of a cluster: reads may go there, and one of them leads when this one is gone."""
        call = Call(Request.STATUS, None, None)
        now = clock()
        call.deadline = now + (self.engine.options.connect_timeout_ms / 1000 or 10.0)
        try:
            connection = self._connections[server][0]
            reply = await connection.submit(call, now)[0]
            self.topology.learned(self.engine.result(reply))
        except (NexaError, LookupError) as error:
            log.debug("%s does not tell its members: %s", text_of(server.address), error)
        self._notify()

    async def _grow(self, server: Server) -> None:
        try:
            await self._add(server, is_further=True)
        except NexaError as error:
            log.debug("no further connection to %s: %s", text_of(server.address), error)
        finally:
            server.is_connecting = False
            self._notify()

    async def _add(self, server: Server, is_further: bool = False) -> ServerInfo:
        """Greets a node over a new connection. It is kept where there is none yet, or a further one is wanted."""
        connection = await self.open(server)
        assert connection.link.info is not None
        usable = self._connections.setdefault(server, [])
        if usable and not is_further:
            for each in usable:
                each.link.told(connection.link.info)
            connection.close()
        else:
            connection.on_lost, connection.on_full = self._lost, self._forget_current
            usable.append(connection)
        return connection.link.info

    async def open(self, server: Server) -> Connection:
        """A new connection, which ends with the pool at the latest."""
        try:
            connection = await Connection.open(self.engine, server, self._tls)
        except NexaError as error:
            self.engine.tell(ConnectionEvent(server.address, False, error))
            raise
        if self.is_closed:
            connection.close()
            raise ClosedError("this client was closed")
        self._made.add(connection)
        log.info("connected to %s", text_of(server.address))
        self.engine.tell(ConnectionEvent(server.address, True, None))
        return connection

    def _refused(self, server: Server, error: NexaError) -> None:
        now = clock()
        log.warning("no connection to %s: %s", text_of(server.address), error)
        self.topology.failed(server, error, now)
        if isinstance(error, AuthenticationError):
            self._refusal = (now, error)

    def _lost(self, connection: Connection, error: NexaError) -> None:
        server = connection.server
        left = self._connections.get(server, [])
        if connection in left:
            left.remove(connection)
        if not left:
            self._connections.pop(server, None)
            self.topology.lost(server, error)
        if not self.is_closed and not connection.is_retiring:
            log.warning("lost the connection to %s: %s", text_of(server.address), error)
            self.engine.tell(ConnectionEvent(server.address, False, error))
        self._notify()

    def forget(self) -> None:
        """The event loop and its transports belong to another process."""
        self.is_closed = True
        self._connections.clear()

    async def close(self) -> None:
        self.is_closed = True
        self._notify()
        for task in list(self._tasks):
            task.cancel()
        connections = list(self._made)
        for connection in connections:
            connection.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)
        for connection in connections:
            await connection.wait_closed()
        self._connections.clear()

"""The connections of a `NexaClient`: which exist, who makes them, what is known of their nodes. Safe to use from several threads.

Everything here and in the topology is guarded by one lock, which is never held while something is sent or waited for. A client of one node
makes its connections in the calling thread; one of several nodes looks at them side by side, each in a thread that ends with that.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable

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
        self._changed = threading.Condition(threading.RLock())
        self._refusal: tuple[float, AuthenticationError] | None = None
        #: The one connection to the leader, while nothing changes.
        self.current: Connection | None = None

    def ready(self, preference: str) -> Connection | None:
        """A connection that serves now, if there is one."""
        current = self.current
        if current is not None and preference == "primary" and current.is_usable:
            return current
        with self._changed:
            server = self.topology.choose(preference)
            usable = self._connections.get(server) if server is not None else None
            if server is None or not usable:
                return None
            connection = usable[0] if len(usable) == 1 else min(usable, key=lambda each: len(each.link.pending))
            pool_size = self.engine.options.pool_size
            if len(usable) < pool_size and len(connection.link.pending) >= GROW_AT and not server.is_connecting:
                server.is_connecting = True
                self._spawn(self._grow, server)
            if preference == "primary" and pool_size == 1:
                self.current = connection
            return connection

    def select(self, call: Call, started: float) -> Connection:
        """Waits for a node that serves the call, and makes connections as needed."""
        seconds = self.engine.options.server_selection_timeout_ms / 1000
        limit = min(call.deadline, clock() + seconds)
        while True:
            to_look_at: list[Server] = []
            with self._changed:
                if self.is_closed:
                    raise closed(call)
                now = clock()
                for server in self.topology.to_refresh(now):
                    server.is_connecting = True
                    self._spawn(self._look, server)
                connection = self.ready(call.preference)
                waits_for_better = now - started < PREFERENCE_SECONDS and self.topology.is_preferred_missing(call.preference)
                if connection is not None and not waits_for_better:
                    return connection
                to_look_at = self.topology.to_look_at(now, connection is None)
                if self._refusal is not None and self._refusal[0] >= started:
                    raise self._refusal[1]
                if now >= limit:
                    raise after_unsuccessful_selection(call, self.topology.explain(call.preference, now - started))
                for server in to_look_at:
                    server.is_connecting = True
                is_alone = len(self.topology.servers) == 1 and bool(to_look_at)
                if not is_alone:
                    for server in to_look_at:
                        self._spawn(self._look, server)
                    pause = min(limit - now, max(0.005, self.topology.next_attempt(now)))
                    self._changed.wait(min(pause, PREFERENCE_SECONDS) if waits_for_better else pause)
            if is_alone:
                self._look(to_look_at[0])

    def _spawn(self, work: Callable[[Server], None], server: Server) -> None:
        threading.Thread(target=work, args=(server,), name="nexadb-look", daemon=True).start()

    # Nodes

    def _look(self, server: Server) -> None:
        """Asks a node who it is."""
        started = clock()
        try:
            info = self._add(server)
        except NexaError as error:
            self._refused(server, error)
            return
        finally:
            with self._changed:
                server.is_connecting = False
        with self._changed:
            self.topology.greeted(server, info, clock() - started, clock())
            is_alias = server.address not in self.topology.servers
            aliases = self._connections.pop(server, []) if is_alias else []
            self._notify()
        for connection in aliases:
            connection.retire()
        if not is_alias and info.role != "single":
            self._spawn(self._members, server)

    def _members(self, server: Server) -> None:
        """Learns of the other nodes of a cluster: reads may go there, and one of them leads when this one is gone."""
        call = Call(Request.STATUS, None, None)
        now = clock()
        call.deadline = now + (self.engine.options.connect_timeout_ms / 1000 or 10.0)
        try:
            with self._changed:
                connection = self._connections[server][0]
            status = self.engine.result(connection.exchange(call, now))
            with self._changed:
                self.topology.learned(status)
                self._notify()
        except (NexaError, LookupError) as error:
            log.debug("%s does not tell its members: %s", text_of(server.address), error)

    def _grow(self, server: Server) -> None:
        try:
            self._add(server, is_further=True)
        except NexaError as error:
            log.debug("no further connection to %s: %s", text_of(server.address), error)
        finally:
            with self._changed:
                server.is_connecting = False
                self._notify()

    def _add(self, server: Server, is_further: bool = False) -> ServerInfo:
        """Greets a node over a new connection. It is kept where there is none yet, or a further one is wanted."""
        connection = self.open(server)
        info = connection.link.info
        assert info is not None
        with self._changed:
            usable = self._connections.setdefault(server, [])
            is_kept = is_further or not usable
            if is_kept:
                connection.on_lost = self._lost
                usable.append(connection)
            for each in usable:
                each.link.told(info)
        if not is_kept:
            connection.close()
        return info

    def open(self, server: Server) -> Connection:
        """A new connection, which ends with the pool at the latest."""
        try:
            connection = Connection.open(self.engine, server, self._tls)
        except NexaError as error:
            self.engine.tell(ConnectionEvent(server.address, False, error))
            raise
        with self._changed:
            is_closed = self.is_closed
            if not is_closed:
                self._made.add(connection)
        if is_closed:
            connection.close()
            raise ClosedError("this client was closed")
        log.info("connected to %s", text_of(server.address))
        self.engine.tell(ConnectionEvent(server.address, True, None))
        return connection

    def _refused(self, server: Server, error: NexaError) -> None:
        log.warning("no connection to %s: %s", text_of(server.address), error)
        with self._changed:
            now = clock()
            self.topology.failed(server, error, now)
            if isinstance(error, AuthenticationError):
                self._refusal = (now, error)
            self._notify()

    def _lost(self, connection: Connection, error: NexaError) -> None:
        server = connection.server
        with self._changed:
            left = self._connections.get(server, [])
            was_known = connection in left
            if was_known:
                left.remove(connection)
            if not left:
                self._connections.pop(server, None)
                self.topology.lost(server, error)
            self._notify()
        if was_known and not self.is_closed:
            log.warning("lost the connection to %s: %s", text_of(server.address), error)
            self.engine.tell(ConnectionEvent(server.address, False, error))

    def changed(self, change: Callable[[], float]) -> float:
        """Runs what changes the topology, under the lock."""
        with self._changed:
            try:
                return change()
            finally:
                self._notify()

    def _notify(self) -> None:
        self.current = None
        self._changed.notify_all()

    def forget(self) -> None:
        """Closes this process's descriptors, and nothing that another process uses. Locks may be held for ever here."""
        self.is_closed = True
        for connection in list(self._made):
            connection.forget()

    def close(self) -> None:
        with self._changed:
            self.is_closed = True
            connections = list(self._made)
            self._connections.clear()
            self._notify()
        for connection in connections:
            connection.close()

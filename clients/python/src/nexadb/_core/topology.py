"""The nodes as a client knows them, and which one serves a request. Pure: time comes in, decisions go out.

A node is `ready` once it has greeted, and waits out a back-off after each failure to connect. The leader is the ready node that leads in the
newest epoch. Reads elsewhere go to the nodes within `localThresholdMS` of the fastest; of two of them, picked at random, to the one with
less in flight.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from ..errors import OverloadedError, ServerSelectionError
from ..options import Address, ClientOptions, text_of
from ..uri import parse_address
from .link import ServerInfo
from .values import list_of, map_of

LEADING = frozenset({"leader", "single"})
_EWMA_WEIGHT = 0.2
_BACKOFF_MIN, _BACKOFF_MAX = 0.02, 0.5
#: How often the role of a node is asked for while no node serves.
_STUCK_SECONDS = 0.1
#: A node's role and distance are looked at again when they are older than this.
REFRESH_SECONDS = 10.0
#: Requests in flight on every connection of a node before another one is made, as far as `poolSize` allows.
GROW_AT = 16
#: How long a read waits for a node that it would prefer and that has not been tried yet.
PREFERENCE_SECONDS = 1.0


@dataclass(eq=False)
class Server:
    address: Address
    is_seed: bool = True
    info: ServerInfo | None = None
    is_ready: bool = False
    is_connecting: bool = False
    round_trip: float = 0.0
    in_flight: int = 0
    failures: int = 0
    retry_at: float = 0.0
    looked_at: float = 0.0
    last_error: str = "not tried yet"

    @property
    def leads(self) -> bool:
        return self.is_ready and self.info is not None and self.info.role in LEADING


class Topology:
    def __init__(self, options: ClientOptions, rng: random.Random | None = None):
        self.options = options
        self.servers: dict[Address, Server] = {address: Server(address) for address in options.hosts}
        self._rng = rng or random.Random()
        self._aliases: set[Address] = set()

    # What became known

    def connecting(self, server: Server) -> None:
        server.is_connecting = True

    def greeted(self, server: Server, info: ServerInfo, round_trip: float, now: float) -> None:
        first = server.round_trip == 0.0
        server.round_trip = round_trip if first else (1 - _EWMA_WEIGHT) * server.round_trip + _EWMA_WEIGHT * round_trip
        server.info, server.is_ready, server.is_connecting = info, True, False
        server.failures, server.looked_at, server.last_error = 0, now, ""
        self._drop_aliases(server)
        leader = parse_address(info.leader) if info.leader else None
        if leader is not None and not server.leads:
            self.discovered(leader)

    def failed(self, server: Server, error: BaseException, now: float) -> None:
        """Connecting failed: wait longer each time, by chance so that many clients do not come at once."""
        server.is_ready = server.is_connecting = False
        server.failures += 1
        server.last_error = f"{type(error).__name__}: {error}"
        ceiling = min(_BACKOFF_MAX, _BACKOFF_MIN * 2 ** min(server.failures, 10))
        asked = error.retry_after_seconds if isinstance(error, OverloadedError) else 0.0
        server.retry_at = now + asked + self._rng.uniform(ceiling / 2, ceiling)
        if not server.is_seed and server.failures > 3:
            self.servers.pop(server.address, None)

    def lost(self, server: Server, error: BaseException) -> None:
        """A connection ended. It says nothing about the next attempt, which may be made at once."""
        server.is_ready = False
        server.last_error = f"{type(error).__name__}: {error}"
        server.retry_at = 0.0

    def refused(self, server: Server, leader: Address | None, now: float) -> None:
        """A node said that it does not lead; `leader` is who does, if it knows."""
        server.is_ready = False
        server.last_error = "it does not lead"
        if leader is None or leader == server.address:
            server.failures += 1
            ceiling = min(_BACKOFF_MAX, _BACKOFF_MIN * 2 ** min(server.failures, 10))
            server.retry_at = now + self._rng.uniform(ceiling / 2, ceiling)
        else:
            self.discovered(leader)

    def discovered(self, address: Address) -> None:
        """A node that another one told of."""
        known = self.servers.get(address)
        if address in self._aliases:
            return
        if known is None:
            self.servers[address] = Server(address, is_seed=False)
        elif not known.is_ready:
            known.retry_at = 0.0

    def learned(self, status: object) -> None:
        """The members of a cluster become known from the answer to STATUS of one of them."""
        for member in list_of(map_of(map_of(status).get("replication")).get("members")):
            address = parse_address(str(map_of(member).get("address", "")))
            if address is not None:
                self.discovered(address)

    def _drop_aliases(self, server: Server) -> None:
        """Two addresses may lead to one node; the one that was given stays."""
        if server.info is None or not server.info.node_id:
            return
        for other in list(self.servers.values()):
            if other is not server and other.info is not None and other.info.node_id == server.info.node_id:
                dropped = server if other.is_seed and not server.is_seed else other
                if not dropped.is_seed:
                    dropped.is_ready = False
                    self._aliases.add(dropped.address)
                    self.servers.pop(dropped.address, None)

    # Decisions

    def choose(self, preference: str) -> Server | None:
        ready = [each for each in self.servers.values() if each.is_ready]
        leader = max((each for each in ready if each.leads), key=lambda each: each.info.epoch if each.info else 0, default=None)
        if preference == "primary":
            return leader
        if preference == "primaryPreferred":
            return leader or self._nearest(ready)
        if preference == "nearest":
            return self._nearest(ready)
        followers = [each for each in ready if not each.leads]
        if leader is not None and leader.info is not None and leader.info.role == "single":
            followers.append(leader)
        return self._nearest(followers) or (leader if preference == "secondaryPreferred" else None)

    def _nearest(self, candidates: list[Server]) -> Server | None:
        if not candidates:
            return None
        limit = min(each.round_trip for each in candidates) + self.options.local_threshold_ms / 1000
        near = [each for each in candidates if each.round_trip <= limit]
        if len(near) == 1:
            return near[0]
        return min(self._rng.sample(near, 2), key=lambda each: each.in_flight)

    def to_look_at(self, now: float, nobody_serves: bool) -> list[Server]:
        """The nodes that may be asked now who they are: all that are not ready and have waited out their back-off.

        Where nobody serves, also those that are ready in another role, which may change at any time.
        """

        def is_due(server: Server) -> bool:
            if server.is_connecting:
                return False
            return nobody_serves and now - server.looked_at > _STUCK_SECONDS if server.is_ready else server.retry_at <= now

        return [each for each in self.servers.values() if is_due(each)]

    def to_refresh(self, now: float) -> list[Server]:
        if len(self.servers) < 2:
            return []
        return [s for s in self.servers.values() if s.is_ready and not s.is_connecting and now - s.looked_at > REFRESH_SECONDS]

    def next_attempt(self, now: float) -> float:
        """Seconds until another node may be looked at."""
        waiting = [_STUCK_SECONDS if each.is_ready else each.retry_at - now for each in self.servers.values() if not each.is_connecting]
        return max(0.0, min(waiting, default=_BACKOFF_MAX))

    def is_preferred_missing(self, preference: str) -> bool:
        """Whether a better choice may appear once more nodes are known."""
        if preference == "primary" or len(self.servers) < 2:
            return False
        return any(each.failures == 0 and not each.is_ready and each.info is None for each in self.servers.values())

    def explain(self, preference: str, seconds: float) -> ServerSelectionError:
        hosts = {text_of(s.address): s.last_error or f"ready as {s.info.role if s.info else '?'}" for s in self.servers.values()}
        told = "; ".join(f"{host}: {why}" for host, why in hosts.items())
        return ServerSelectionError(f"no {preference} node could be used within {seconds:.1f} s: {told}", hosts)

"""What a client can be told: each option with its default, its name in an address and the check of its value.

`ClientOptions` holds valid values only: whatever makes one checks them. The table in clients/conformance/README.md is the contract.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from .errors import ConfigurationError

ReadPreference = Literal["primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest"]
ReadConcern = Literal["local", "committed", "linearizable"]
Durability = Literal["disk", "os"]
WriteConcern = int | Literal["majority"]

DEFAULT_PORT = 6970
NUMBER_MAX = 2_147_483_647
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,119}")

Address = tuple[str, int]


def text_of(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _option(default: Any, uri_name: str, *, low: int = 0, high: int = NUMBER_MAX, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"uri": uri_name, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    hosts: tuple[Address, ...] = (("localhost", DEFAULT_PORT),)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    #: The database of requests that name none; the node's `default` when None.
    database: str | None = None

    read_preference: ReadPreference = _option("primary", "readPreference", choices=get_args(ReadPreference))
    max_staleness_seconds: int = _option(0, "maxStalenessSeconds")
    local_threshold_ms: int = _option(15, "localThresholdMS")
    timeout_ms: int = _option(30_000, "timeoutMS")
    server_selection_timeout_ms: int = _option(5_000, "serverSelectionTimeoutMS")
    connect_timeout_ms: int = _option(10_000, "connectTimeoutMS")
    pool_size: int = _option(1, "poolSize", low=1, high=1000)
    max_queue: int = _option(10_000, "maxQueue", low=1)
    retry_reads: bool = _option(True, "retryReads")
    retry_writes: bool = _option(True, "retryWrites")
    durability: Durability | None = _option(None, "durability", choices=get_args(Durability))
    w: WriteConcern | None = _option(None, "w", low=1, choices=("majority",))
    wtimeout_ms: int = _option(0, "wtimeoutMS")
    read_concern: ReadConcern = _option("local", "readConcern", choices=get_args(ReadConcern))
    compress: Literal["lz4", "none"] = _option("none", "compress", choices=("lz4", "none"))
    app_name: str | None = _option(None, "appName")
    tls: bool = _option(False, "tls")
    tls_ca_file: str | None = _option(None, "tlsCAFile")
    tls_cert_file: str | None = _option(None, "tlsCertFile")
    tls_key_file: str | None = _option(None, "tlsKeyFile")
    tls_insecure: bool = _option(False, "tlsInsecure")

    #: The largest frame that is taken, whatever a node says it may send.
    max_frame_bytes: int = 64 << 20
    #: Spans and metrics through OpenTelemetry, which has to be installed.
    telemetry: bool = False

    def __post_init__(self) -> None:
        if not self.hosts:
            raise ConfigurationError("at least one host is needed")
        for each in fields(self):
            name = each.metadata.get("uri")
            if name is not None:
                check(name, getattr(self, each.name), each)
        if self.database is not None and not NAME.fullmatch(self.database):
            raise ConfigurationError(f"'{self.database}' cannot be the name of a database")
        if self.password is not None and self.username is None:
            raise ConfigurationError("a password needs a user")
        if self.api_key is not None and self.username is not None:
            raise ConfigurationError("either a user or an api_key, not both")
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            missing = "tlsCertFile" if self.tls_cert_file is None else "tlsKeyFile"
            raise ConfigurationError(f"tlsCertFile and tlsKeyFile are given together: {missing} is missing")

    def with_(self, **changes: Any) -> ClientOptions:
        return replace(self, **changes)


#: Options by their names in an address.
BY_URI_NAME = {each.metadata["uri"]: each for each in fields(ClientOptions) if "uri" in each.metadata}


def check(name: str, value: Any, each: Any) -> None:
    """Refuses a value that the option `name` cannot have."""
    choices, default = each.metadata["choices"], each.default
    if value is default or (value is None and default is None):
        return
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigurationError(f"{name} is true or false, not {value!r}")
    elif choices and value in choices:
        return
    elif isinstance(value, int) and not isinstance(value, bool) and (isinstance(default, int) or name == "w"):
        low, high = each.metadata["low"], each.metadata["high"]
        if not low <= value <= high:
            raise ConfigurationError(f"{name} is a whole number from {low} to {high}, not {value}")
    elif choices:
        more = " or a number" if name == "w" else ""
        raise ConfigurationError(f"{name} is {', '.join(choices)}{more}, not {value!r}")
    elif isinstance(default, int):
        raise ConfigurationError(f"{name} is a whole number, not {value!r}")
    elif not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name} is a text and not empty")

"""Addresses: `nexadb://[user[:password]@]host[:port][,...][/database][?option=value[&...]]`, `nexadbs://` for TLS.

A parser of its own, because those of the standard library do not know several hosts. It refuses with one ConfigurationError that names
what is wrong and never holds the password. `clients/conformance/uris.json` has the cases that all clients share.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from .errors import ConfigurationError
from .options import BY_URI_NAME, DEFAULT_PORT, NAME, Address, ClientOptions, check

_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
_PORT = re.compile(r"[0-9]{1,5}")
_WHOLE = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class ConnectionString:
    """An address, taken apart. `options` holds what was said, by its name in addresses; `warnings` what was passed over."""

    hosts: tuple[Address, ...]
    tls: bool
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    warnings: tuple[str, ...] = ()

    def to_options(self, **overrides: Any) -> ClientOptions:
        """The options of a client; `overrides` win over the address."""
        values: dict[str, Any] = {BY_URI_NAME[name].name: value for name, value in self.options.items()}
        values |= {"hosts": self.hosts, "tls": self.tls, "username": self.username, "password": self.password}
        values["database"] = self.database
        return ClientOptions(**values | overrides)


def parse_uri(uri: str) -> ConnectionString:
    scheme, separator, rest = uri.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in ("nexadb", "nexadbs"):
        raise ConfigurationError("an address begins with the scheme nexadb:// or nexadbs://")
    if "#" in rest:
        raise ConfigurationError("an address has no '#'; write %23 where one belongs to a name or password")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    username, password, host_list = _credentials(authority)
    hosts = _hosts(host_list)
    database = _database(path)
    options, warnings = _options(query)
    if scheme == "nexadbs" and options.get("tls") is False:
        raise ConfigurationError("nexadbs:// and tls=false contradict each other")
    if ("tlsCertFile" in options) != ("tlsKeyFile" in options):
        missing = "tlsKeyFile" if "tlsCertFile" in options else "tlsCertFile"
        raise ConfigurationError(f"tlsCertFile and tlsKeyFile are given together: {missing} is missing")
    if options.get("tlsInsecure"):
        warnings.append("tlsInsecure: the certificates of nodes are not verified")
    tls = scheme == "nexadbs" or options.get("tls") is True
    return ConnectionString(hosts, tls, username, password, database, options, tuple(warnings))


def _credentials(authority: str) -> tuple[str | None, str | None, str]:
    before, at, host_list = authority.rpartition("@")
    if not at:
        return None, None, host_list
    username, colon, password = before.partition(":")
    if not username:
        raise ConfigurationError("there is an '@' or a password, but no user in front of it")
    if "@" in before:
        raise ConfigurationError("a bare '@' in the user or password: write %40")
    if ":" in password:
        raise ConfigurationError("a bare ':' in the password: write %3A")
    return _unescaped(username, "the user"), _unescaped(password, "the password") if colon else None, host_list


def _hosts(host_list: str) -> tuple[Address, ...]:
    found: dict[Address, None] = {}
    for item in host_list.split(","):
        found[_host(item)] = None
    return tuple(found)


def _host(item: str) -> Address:
    if item.startswith("["):
        host, bracket, behind = item[1:].partition("]")
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            bracket = ""
        if not bracket or (behind and not behind.startswith(":")):
            raise ConfigurationError(f"the host {item!r} is no IPv6 address in brackets")
        return host.lower(), _port(behind[1:], item) if behind else DEFAULT_PORT
    host, colon, port = item.partition(":")
    if not _HOST.fullmatch(host) or ":" in port:
        raise ConfigurationError(f"the host {item!r} is no name, IPv4 address or IPv6 address in brackets")
    return host.lower(), _port(port, item) if colon else DEFAULT_PORT


def _port(text: str, item: str) -> int:
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= 65_535:
        raise ConfigurationError(f"the port of {item!r} is no number from 1 to 65535")
    return int(text)


def parse_address(text: str) -> Address | None:
    """`host:port` as a node tells it, or None."""
    try:
        return _host(text)
    except ConfigurationError:
        return None


def _database(path: str) -> str | None:
    if not path:
        return None
    name = _unescaped(path, "the database")
    if not NAME.fullmatch(name):
        raise ConfigurationError(f"{path!r} cannot be the name of a database")
    return name


def _options(query: str) -> tuple[dict[str, Any], list[str]]:
    options: dict[str, Any] = {}
    warnings: list[str] = []
    for pair in query.split("&"):
        if not pair:
            continue
        name, equals, text = pair.partition("=")
        if not name:
            raise ConfigurationError("an option without a name")
        known = BY_URI_NAME.get(name)
        if known is None:
            warnings.append(f"the option {name!r} is not known")
            continue
        if name in options:
            raise ConfigurationError(f"{name} stands twice")
        if not equals or not text:
            raise ConfigurationError(f"{name} has no value")
        options[name] = value = _value(name, _unescaped(text, name), known.default)
        check(name, value, known)
    return options, warnings


def _value(name: str, text: str, default: object) -> Any:
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(text, text)
    if (isinstance(default, int) or name == "w") and _WHOLE.fullmatch(text):
        return int(text)
    return text


def _unescaped(text: str, what: str) -> str:
    if _ESCAPE.search(text):
        raise ConfigurationError(f"an escape in {what} is not % and two hexadecimal digits")
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"the escapes of {what} are not UTF-8") from None

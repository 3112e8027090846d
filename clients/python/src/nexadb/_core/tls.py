"""The TLS context of a client: 1.3 only, certificates verified unless the options say otherwise."""

from __future__ import annotations

import ssl
import threading

from ..errors import ConfigurationError
from ..options import ClientOptions


def context(options: ClientOptions) -> ssl.SSLContext | None:
    if not options.tls:
        return None
    try:
        made = ssl.create_default_context(cafile=options.tls_ca_file)
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        if options.tls_insecure:
            made.check_hostname = False
            made.verify_mode = ssl.CERT_NONE
        if options.tls_cert_file is not None:
            made.load_cert_chain(options.tls_cert_file, options.tls_key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"a certificate or key cannot be used: {error}") from error
    return made


class TlsStream:
    """TLS over bytes that someone else carries, so that one thread may read while another writes. Safe to use from several threads."""

    def __init__(self, made: ssl.SSLContext, host: str):
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._stream = made.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._lock = threading.Lock()

    def shake_hands(self, data: bytes) -> tuple[bool, bytes]:
        """Takes what came; whether the handshake is over, and what is to be sent."""
        self._incoming.write(data)
        try:
            self._stream.do_handshake()
        except ssl.SSLWantReadError:
            return False, self._outgoing.read()
        return True, self._outgoing.read()

    def encrypted(self, data: bytes) -> bytes:
        with self._lock:
            self._stream.write(data)
            return self._outgoing.read()

    def decrypted(self, data: bytes) -> bytes:
        """What `data` brings in plain, which may be nothing yet."""
        with self._lock:
            self._incoming.write(data)
            parts: list[bytes] = []
            while True:
                try:
                    part = self._stream.read(1 << 18)
                except ssl.SSLWantReadError:
                    break
                if not part:
                    break
                parts.append(part)
            return parts[0] if len(parts) == 1 else b"".join(parts)

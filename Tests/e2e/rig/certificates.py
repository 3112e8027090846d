"""Certificates for one test run, made with the openssl command; none is ever kept."""
import ssl
import subprocess
from pathlib import Path

EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(*arguments: str):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


class Authority:
    """Signs certificates: `ca` is its own, a PEM file."""

    def __init__(self, directory: Path, name: str = "ca"):
        self.directory, self.name = Path(directory), name
        self.ca, self.key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        openssl("req", "-x509", *EC, "-keyout", str(self.key), "-out", str(self.ca), "-days", "2", "-subj", f"/CN={name}",
                "-addext", "basicConstraints=critical,CA:TRUE")

    def sign(self, name: str, names: str = "IP:127.0.0.1,DNS:localhost") -> tuple[Path, Path]:
        """A certificate for these names, and its key."""
        certificate, key = self.directory / f"{self.name}-{name}.pem", self.directory / f"{self.name}-{name}.key"
        request, extensions = certificate.with_suffix(".csr"), certificate.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={names}\n")
        openssl("req", *EC, "-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(self.key), "-CAcreateserial", "-out",
                str(certificate), "-days", "2", "-extfile", str(extensions))
        return certificate, key

    def context(self, identity: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """What a client that trusts this authority alone needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca)
        if identity:
            context.load_cert_chain(*identity)
        return context

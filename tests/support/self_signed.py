"""Certificates made at test time, with the `openssl` program (3.0 or newer)."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServerCertificate:
    """A certificate of `localhost` and `127.0.0.1`, its key, and the authority that signed it."""

    authority: Path
    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """Returns the TLS context of a server with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_certificate(folder: Path, *, names: str = "DNS:localhost,IP:127.0.0.1") -> ServerCertificate:
    """Makes an authority of its own and a certificate signed by it, good for one day."""
    made = ServerCertificate(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    authority_key = folder / "authority.key"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    _openssl("req", "-x509", *curve, "-subj", "/CN=Test authority", "-addext", "keyUsage=critical,keyCertSign",
             "-keyout", str(authority_key), "-out", str(made.authority))  # fmt: skip
    _openssl("req", "-x509", *curve, "-subj", "/CN=Test server", "-addext", f"subjectAltName={names}",
             "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "keyUsage=critical,digitalSignature",
             "-CA", str(made.authority), "-CAkey", str(authority_key),
             "-keyout", str(made.key), "-out", str(made.certificate))  # fmt: skip
    return made


def encrypt_key(key: Path, encrypted: Path, password: str) -> None:
    """Writes a private key under a password."""
    _openssl("pkey", "-in", str(key), "-aes128", "-passout", f"pass:{password}", "-out", str(encrypted))


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)

"""TLS of the server. Its files are checked before gRPC gets them, which would only say that it cannot listen."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from enmeshed_connector.api.errors import StartRefused


@dataclass(frozen=True)
class TlsOptions:
    """Certificates, as PEM files."""

    certificate_file: Path
    """The chain, the server's own first."""
    key_file: Path
    """The private key of the first certificate."""
    client_ca_file: Path | None = None
    """Clients must present a certificate that one of these signed; None: none is asked for."""


def server_credentials(tls: TlsOptions) -> grpc.ServerCredentials:
    """Returns what a server listens with.

    Raises:
        StartRefused: A file cannot be read, holds no PEM of its kind, or the key belongs to another certificate.
    """
    key, chain = _read(tls.key_file, "the TLS key"), _read(tls.certificate_file, "the TLS certificate")
    roots = None if tls.client_ca_file is None else _read(tls.client_ca_file, "client certificate authorities")
    _check(tls)
    return grpc.ssl_server_credentials([(key, chain)], root_certificates=roots, require_client_auth=roots is not None)


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartRefused(f"the file of {what} cannot be read: {os.strerror(error.errno or 0)}") from None


def _check(tls: TlsOptions) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password of its own, OpenSSL would ask for one at the terminal.
        context.load_cert_chain(tls.certificate_file, tls.key_file, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise StartRefused("the TLS key is not that of the first TLS certificate") from None
        raise StartRefused(
            "the files of the TLS certificate and key cannot be used: the one must hold a certificate chain, the other "
            "its private key, both as PEM"
        ) from None
    if tls.client_ca_file is not None:
        try:
            context.load_verify_locations(cafile=tls.client_ca_file)
        except ssl.SSLError:
            raise StartRefused("the file of client certificate authorities holds no PEM certificate") from None


def _no_password() -> str:
    raise StartRefused("the TLS key is encrypted: store it without a password")

"""Trust in https certificates: the system's authorities, those of a file, or any."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import certifi

from dfaas_lab.errors import ConfigError
from dfaas_lab.regular_file import read_regular
from dfaas_lab.validation import local_path

# Where distributions keep their bundle; the order is that of Go, and so of k6 (crypto/x509).
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_LARGEST_BYTES = 4 << 20
CA_FILE = "ca.pem"


@dataclass(frozen=True)
class Trust:
    """What is trusted.

    Args:
        ca: The path of a file with more authorities (PEM).
        insecure: Whether any certificate will do.

    Raises:
        ConfigError: Both are given.
    """

    ca: str | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        if self.ca is not None and self.insecure:
            raise ConfigError(
                "ca= and insecure= exclude each other", hint="Leave insecure out: ca is enough."
            )
        if self.ca is not None:
            object.__setattr__(self, "ca", str(local_path(self.ca, what="ca").absolute()))

    @property
    def k6_options(self) -> str:
        """What k6 is told."""
        return "--insecure-skip-tls-verify" if self.insecure else ""

    def files(self) -> dict[str, bytes]:
        """What k6 finds beside its script; ``launch.sh`` names it in ``SSL_CERT_FILE``.

        Go reads that file in the place of the system's bundle, but still the system's folder.
        """
        return {CA_FILE: self.pem()} if self.ca else {}

    def pem(self) -> bytes:
        """The content of ``ca``; nothing without one.

        Raises:
            ConfigError: It cannot be read.
        """
        if self.ca is None:
            return b""
        try:
            return read_regular(Path(self.ca), most_bytes=_LARGEST_BYTES)
        except OSError as error:
            raise ConfigError(
                f"ca={self.ca!r} cannot be read: {error.strerror or error}",
                hint="Give the file with the authority's certificate (PEM).",
            ) from error

    def context(self) -> ssl.SSLContext:
        """What Python's ``ssl`` trusts: ``SSL_CERT_FILE``, this system's bundle, and ``ca``.

        Raises:
            ConfigError: ``ca`` holds no certificate.
        """
        context = ssl.create_default_context()  # honours SSL_CERT_FILE and SSL_CERT_DIR
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        if not os.environ.get("SSL_CERT_FILE"):
            _load_bundle(context)
        if self.ca is not None:
            try:
                context.load_verify_locations(cadata=self.pem().decode("ascii"))
            except (ssl.SSLError, ValueError) as error:
                raise ConfigError(
                    f"ca={self.ca!r} holds no certificate",
                    hint="Give the authority's certificate as PEM (-----BEGIN CERTIFICATE-----).",
                ) from error
        return context


SYSTEM = Trust()
"""What this system trusts."""


def _load_bundle(context: ssl.SSLContext) -> None:
    """A Python that was built elsewhere looks for certificates where there are none."""
    for path in _BUNDLES:
        if os.path.exists(path):  # noqa: PTH110 (a name of the system's)
            context.load_verify_locations(path)
            return
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(certifi.where())

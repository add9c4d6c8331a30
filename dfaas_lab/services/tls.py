"""The TLS context of a service: which authorities Python trusts for https."""

from __future__ import annotations

import os
import ssl

import certifi

from dfaas_lab.certificates import Trust
from dfaas_lab.errors import ConfigError

# Where distributions keep their bundle; the order is that of Go, and so of k6 (crypto/x509).
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def ssl_context(trust: Trust) -> ssl.SSLContext:
    """Return what Python's ``ssl`` trusts: ``SSL_CERT_FILE``, this system's bundle, and ``ca``.

    Raises:
        ConfigError: ``ca`` holds no certificate.
    """
    context = ssl.create_default_context()  # honours SSL_CERT_FILE and SSL_CERT_DIR
    if trust.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if not os.environ.get("SSL_CERT_FILE"):
        _load_bundle(context)
    if trust.ca is not None:
        try:
            context.load_verify_locations(cadata=trust.pem().decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(
                f"ca={trust.ca!r} holds no certificate",
                hint="Give the authority's certificate as PEM (-----BEGIN CERTIFICATE-----).",
            ) from error
    return context


def _load_bundle(context: ssl.SSLContext) -> None:
    """A Python that was built elsewhere looks for certificates where there are none."""
    for path in _BUNDLES:
        if os.path.exists(path):  # noqa: PTH110 (a name of the system's)
            context.load_verify_locations(path)
            return
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(certifi.where())

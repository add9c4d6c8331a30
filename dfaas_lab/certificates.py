"""Trust in https certificates: the system's authorities, those of a file, or any."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dfaas_lab.errors import ConfigError
from dfaas_lab.regular_file import read_regular
from dfaas_lab.validation import local_path

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


SYSTEM = Trust()
"""What this system trusts."""

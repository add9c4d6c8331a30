"""Reads what a key file says without its passphrase: its type, and whether it has one."""

from __future__ import annotations

import base64
import binascii
import errno
from dataclasses import dataclass
from pathlib import Path

from dfaas_lab.errors import ConfigError
from dfaas_lab.regular_file import read_regular

LARGEST_BYTES = 1 << 20
_MAGIC = b"openssh-key-v1\0"


def check_readable(path: Path) -> None:
    """Make sure that reading a key's file ends; that it is there is told by whoever uses it.

    Raises:
        ConfigError: It is a FIFO or a device, or far too large for a key.
    """
    try:
        read_regular(path, most_bytes=LARGEST_BYTES)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EFBIG):
            raise ConfigError(
                f"the key {path} cannot be read: {error.strerror}",
                hint="Give the path of the private key.",
            ) from error


@dataclass(frozen=True)
class KeyFile:
    """A key's file; one that cannot be read or is of no known form counts as an ordinary key's."""

    path: Path
    encrypted: bool = False
    fido: bool = False
    public: bool = False

    @property
    def needs_agent(self) -> bool:
        """Whether the file alone opens nothing."""
        return self.encrypted or self.public

    @classmethod
    def read(cls, path: Path) -> KeyFile:
        """Look into a file; what is wrong with it is told by whoever uses it."""
        try:
            text = read_regular(path, most_bytes=LARGEST_BYTES).decode("ascii")
        except (OSError, UnicodeDecodeError):
            return cls(path)
        if text.startswith(("ssh-", "ecdsa-", "sk-")):
            return cls(path, public=True)
        if "BEGIN OPENSSH PRIVATE KEY" not in text:
            return cls(path, encrypted="ENCRYPTED" in text)
        body = "".join(line for line in text.splitlines() if not line.startswith("-----"))
        try:
            data = base64.b64decode(body)
        except binascii.Error:
            return cls(path)
        # OpenSSH's PROTOCOL.key: after the magic come the cipher's length and name; the public
        # part, with the key's type, is never encrypted.
        plain = data.startswith(_MAGIC + b"\0\0\0\x04none")
        return cls(path, encrypted=not plain, fido=b"sk-ssh-" in data or b"sk-ecdsa-" in data)

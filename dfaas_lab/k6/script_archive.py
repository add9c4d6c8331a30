"""Reads an archive of ``k6 archive`` and removes the environment from it. Pure."""

from __future__ import annotations

import io
import json
import tarfile

_METADATA = "metadata.json"


def without_env(archive: bytes) -> tuple[bytes, dict[str, str]]:
    """Return an archive without its environment, whose values may be secret; and the environment.

    What is no archive of k6 is returned as it is: k6 itself will say what is wrong with it.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as old:
            members = [(member, _content(old, member)) for member in old]
        metadata = json.loads(next(content for member, content in members if _is_metadata(member)))
        env = metadata.get("env") or {}
        if not env:
            return archive, {}
        metadata["env"] = {}
        return _packed(members, json.dumps(metadata, indent=2).encode()), _texts(env)
    except (tarfile.TarError, EOFError, ValueError, AttributeError, StopIteration):
        return archive, {}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member) if member.isreg() else None
    return b"" if file is None else file.read()


def _is_metadata(member: tarfile.TarInfo) -> bool:
    return member.name.removeprefix("./") == _METADATA


def _texts(env: dict[object, object]) -> dict[str, str]:
    return {
        name: value
        for name, value in env.items()
        if isinstance(name, str) and isinstance(value, str)
    }


def _packed(members: list[tuple[tarfile.TarInfo, bytes]], metadata: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member, old in members:
            content = metadata if _is_metadata(member) else old
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return buffer.getvalue()

"""Checks the variables of a generator that the playbooks take. No I/O.

``playbooks/group_vars/all.yml`` says what each variable means and what holds by default.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from dfaas_lab.errors import ConfigError
from dfaas_lab.redaction import masked
from dfaas_lab.validation import nearest

# As Go's modules and k6's releases have them: 1.1.0, v2.0.0-rc1.
_VERSION = re.compile(r"v?[0-9][0-9A-Za-z.+-]{0,63}", re.ASCII)
# Ansible gives the name to "echo", as words: blanks in a row become one, and marks are read.
_NO_ECHO = re.compile(r"""^ | {2}| $|[\t\n"'\\`$;&|<>()*?\[\]#!]""")
_SECONDS = re.compile("[0-9]{1,7}", re.ASCII)
K6_SOURCES = ("auto", "copy", "release", "apt", "present")

# Where provisioning puts things, beside the playbooks' own variables.
PLACES = ("install_dir", "python", "remote_tmp")
SETTABLE: dict[str, str] = {  # and the kind of value that each takes
    "k6_processors": "names",
    "k6_release_base": "text",
    "k6_release_url": "text",
    "k6_release_checksum": "text",
    "k6_apt_url": "text",
    "k6_apt_suite": "text",
    "k6_apt_components": "text",
    "k6_apt_key_url": "text",
    "k6_apt_key_checksum": "text",
    "k6_apt_key_name": "text",
    "k6_tuning": "switch",
    "task_timeout_s": "seconds",
    "apt_lock_wait_s": "seconds",
}
# A variable of this name would win over the argument, which all else goes by.
ARGUMENTS = {
    "k6_host": "host",
    "k6_user": "user",
    "k6_port": "port",
    "k6_ssh_key": "key",
    "k6_source": "k6_source",
    "k6_version": "k6_version",
    "k6_install_dir": "the variable install_dir",
    "workspace_root": "workspace_root",
    "install_monitoring": "install_monitoring of the target",
}
# What is found, computed or written down while the playbooks run.
COMPUTED = (
    "in_sh",
    "generators",
    "targets",
    "k6_one",
    "k6_local",
    "k6_local_version",
    "k6_local_machine",
    "k6_local_sum",
    "k6_places",
    "k6_processor",
    "sum_program",
    "playbook_digest",
    "run_mark",
    "apt_locked",
    "marked",
    "look",
    "look_script",
    "changes_script",
    "found",
    "privileged",
    "escalate",
    "packages_there",
    "source",
    "k6_base",
    "k6_path",
    "k6_folder",
    "k6_link",
)


def check_variable(name: str, value: Any) -> None:
    """Refuse a variable that cannot be set.

    Raises:
        ConfigError: It has an argument of its own, is computed, is unknown, or verifies nothing.
    """
    if name in ARGUMENTS:
        raise ConfigError(
            f"the variable {name!r} would contradict an argument",
            hint=f"Give it as {ARGUMENTS[name]}.",
        )
    if name in COMPUTED:
        raise ConfigError(
            f"the variable {name!r} is computed and cannot be set", hint="Leave it out."
        )
    if name not in (*PLACES, *SETTABLE):
        raise ConfigError(
            nearest(str(name), (*PLACES, *SETTABLE), "variable"),
            hint="playbooks/group_vars/all.yml lists what can be set.",
        )
    _check_kind(name, value)
    if name == "k6_release_checksum" and not str(value or "").strip():
        raise ConfigError(
            "an empty k6_release_checksum verifies nothing",
            hint="Give sha256:..., or leave it out: the release's own list is used.",
        )
    if name == "remote_tmp" and value and _NO_ECHO.search(value):
        raise ConfigError(
            f"remote_tmp={value!r} is no folder that Ansible can use",
            hint="Give one without two blanks in a row, quotes, brackets, *, ?, $ and the like.",
        )
    if name == "install_dir" and value and not str(value).startswith("/"):
        raise ConfigError(
            f"install_dir={value!r} is no absolute path",
            hint="Give a path that begins with '/'; what '~' means there is not known.",
        )


def _check_kind(name: str, value: Any) -> None:
    """Refuse a value of another kind. None of a place means that it is not named."""
    kind = SETTABLE.get(name, "text")
    fits, wanted = _KINDS[kind]
    if not fits(value) and not (value is None and (name in PLACES or kind == "text")):
        raise ConfigError(masked(f"{name}={value!r} is no {kind}"), hint=wanted)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _is_seconds(value: Any) -> bool:
    if isinstance(value, str):
        value = int(value) if _SECONDS.fullmatch(value) else 0
    return type(value) is int and 0 < value < 10_000_000


def _is_names(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, (*value, *value.values())))


_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "text": (_is_text, "Give text of one line, without control characters; it is no template."),
    "seconds": (_is_seconds, "Give a whole number of seconds, above 0."),
    "switch": (lambda value: isinstance(value, bool), "Give true or false."),
    "names": (_is_names, "Give a mapping of texts to texts."),
}


def check_version(version: object) -> None:
    """Refuse what is no version of k6; None is this machine's own, empty is any.

    >>> check_version("1.1.0")
    """
    if version is None or version == "":
        return
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise ConfigError(
            f"k6_version={version!r} is no version",
            hint="Write k6_version='1.1.0'.",
        )


def check_source(name: str | None) -> None:
    """Refuse a source of k6 that there is not; None lets the playbook choose."""
    if name is not None and name not in K6_SOURCES:
        raise ConfigError(
            nearest(str(name), K6_SOURCES, "k6_source"), hint=f"Use one of {', '.join(K6_SOURCES)}."
        )

"""What the playbooks may be told about a generator, and why the rest is refused. No I/O.

``playbooks/group_vars/all.yml`` says what each variable means and what holds by default.
"""

from __future__ import annotations

from typing import Any

from dfaas_lab.errors import ConfigError
from dfaas_lab.validation import nearest

K6_SOURCES = ("auto", "copy", "release", "apt", "present")

# Where provisioning puts things, beside the playbooks' own variables.
PLACES = ("install_dir", "python", "remote_tmp")
SETTABLE = (
    "k6_processors",
    "k6_release_base",
    "k6_release_url",
    "k6_release_checksum",
    "k6_apt_url",
    "k6_apt_suite",
    "k6_apt_components",
    "k6_apt_key_url",
    "k6_apt_key_checksum",
    "k6_apt_key_name",
    "k6_tuning",
    "task_timeout_s",
    "apt_lock_wait_s",
)
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
    if name == "k6_release_checksum" and not str(value or "").strip():
        raise ConfigError(
            "an empty k6_release_checksum verifies nothing",
            hint="Give sha256:..., or leave it out: the release's own list is used.",
        )
    if name == "install_dir" and value and not str(value).startswith("/"):
        raise ConfigError(
            f"install_dir={value!r} is no absolute path",
            hint="Give a path that begins with '/'; what '~' means there is not known.",
        )


def check_source(name: str | None) -> None:
    """Refuse a source of k6 that there is not; None lets the playbook choose."""
    if name is not None and name not in K6_SOURCES:
        raise ConfigError(
            nearest(str(name), K6_SOURCES, "k6_source"), hint=f"Use one of {', '.join(K6_SOURCES)}."
        )

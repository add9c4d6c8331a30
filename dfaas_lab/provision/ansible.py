"""One run of ansible-playbook through ansible-runner: started, watched and ended.

It knows no hosts. The only module that imports ansible_runner.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_runner.interface import init_runner
from ansible_runner.utils import get_callback_dir

from dfaas_lab.errors import ConfigError
from dfaas_lab.private_folder import PrivateFolder
from dfaas_lab.provision.spec import playbooks_folder

Event = dict[str, Any]

# Half the time of ssh's first choice for the 65 MB of k6, where the processor knows AES; only a
# preference: a host without it takes the next.
_CIPHER = "aes128-gcm@openssh.com"

# Ansible looks for results a thousand times a second by default. A hundred times is enough, and
# takes 0.3 s less of the 4 s of processor time that four hosts cost here.
_CFG = "[defaults]\ninternal_poll_interval = 0.01\n"

# A UNIX socket's path has 104 characters on some systems, and ssh adds 17 while it makes one.
_LONGEST_SOCKET_FOLDER = 60
_MOST_OUTPUT = 64 << 10

# The runner reads all that Ansible prints into memory, several times over, and a host says how much
# that is: a task is a few kB. Ansible ends when it writes more.
_MOST_PRINTED = 8 << 20
_MOST_PRINTED_BY_HOST = 1 << 20
_CUT = 153
_BOUNDED = (
    'most=$1; cut=$2; code=$3; copy=$4; shift 4; { "$@" 2>&1; echo $? >"$code"; } | '
    '"$1" -I -S -c "$copy" "$most" || exit "$cut"; exit "$(cat "$code")"'
)
# Not head: it keeps the end of what it has read until a line is whole, and with it an event.
_COPY = """
import os, sys
left = int(sys.argv[1])
while left and (read := os.read(0, min(left, 1 << 16))):
    left -= len(read)
    while read:
        read = read[os.write(1, read):]
sys.exit(bool(os.read(0, 1)))
"""


@dataclass(frozen=True)
class Play:
    """What to run.

    Args:
        playbook: A file of the playbooks' folder.
        variables: Its extra variables; they are written into a private folder: no secrets.
        forks: How many hosts at a time.
        become_password: The password for sudo on all these hosts; it goes through a terminal's
            prompt, never into a file, an argument or the environment.
    """

    playbook: str
    variables: Mapping[str, Any] = field(repr=False)
    forks: int = 5
    become_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class PlayEnd:
    """How a run ended, and the end of what Ansible printed."""

    exit_code: int
    output: str


def run_play(play: Play, *, on_event: Callable[[Event], None], cancel: threading.Event) -> PlayEnd:
    """Run a playbook to its end; nothing of it is left running here.

    Never installs a signal handler, so that it can be called from any thread, in which events are
    handled. Once ``cancel`` is set, the run is ended.
    """
    with PrivateFolder("dfaas-play-", parent=_short_folder(), clear=_end_processes) as private:
        try:
            return _run(play, private, on_event, cancel)
        finally:
            _end_processes(private)


def _end_processes(private: Path) -> None:
    """End what still runs here of a run of Ansible.

    Its workers leave its process group, and ssh's masters stay for the next task: both have the
    private folder in their arguments.
    """
    kill_by_argument(str(private))


def _run(
    play: Play, private: Path, on_event: Callable[[Event], None], cancel: threading.Event
) -> PlayEnd:
    variables = private / "variables.json"
    variables.write_text(json.dumps(as_data(play.variables)))
    (private / "no_inventory").write_text("")
    (private / "ansible.cfg").write_text(_CFG)

    def handle(event: Event) -> bool:
        on_event(event)
        return True  # what is not truthy is dropped, and the runner has no statistics then

    runner = init_runner(
        private_data_dir=str(private),
        playbook=str(playbooks_folder() / play.playbook),
        inventory=str(private / "no_inventory"),
        cmdline=shlex.join(["-e", f"@{variables}"] + ["-K"] * (play.become_password is not None)),
        passwords=_answers(play.become_password),
        forks=play.forks,
        settings={"pexpect_timeout": 0.1},  # how often the cancel callback is asked
        suppress_env_files=True,
        quiet=True,
        event_handler=handle,
        cancel_callback=cancel.is_set,  # without one, it takes SIGINT and never gives it back
    )
    # The interpreter's own Ansible, wherever PATH leads.
    most = _MOST_PRINTED + play.forks * _MOST_PRINTED_BY_HOST
    runner.config.command[:1] = [
        *("sh", "-c", _BOUNDED, "sh", str(most), str(_CUT), str(private / "exit_code"), _COPY),
        *(sys.executable, "-m", "ansible", "playbook"),
    ]
    runner.config.env = _environment(runner.config.env, private)
    try:
        runner.run()
    except Exception:
        # Once it was told to end, it may stumble over the terminal of what it killed.
        if not cancel.is_set():
            raise
    output = _end_of(Path(runner.config.artifact_dir, "stdout"))
    if runner.rc == _CUT:
        output += f"\nAnsible was ended: hosts made it print more than {most >> 20} MB"
    return PlayEnd(int(runner.rc if runner.rc is not None else -1), output)


def _end_of(path: Path) -> str:
    """The end of a file: hosts and their modules say how much is in it."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _MOST_OUTPUT, 0))
        return file.read(_MOST_OUTPUT).decode(errors="replace")


def as_data(value: Any) -> Any:
    """Return a value as Ansible's JSON has it where no text in it may be a template.

    Ansible takes each text of its extra variables for a template, and a template can run commands
    on this machine. A value of a lab file or of a constructor is data.

    Raises:
        ConfigError: It holds what Ansible's JSON cannot.

    >>> as_data({"a": ["{{ 1 }}", 2]})
    {'a': [{'__ansible_unsafe': '{{ 1 }}'}, 2]}
    """
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, Mapping):
        return {_key(key): as_data(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_data(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    raise ConfigError(
        f"a {type(value).__name__} cannot be given to Ansible",
        hint="Give text, numbers, true or false, lists and mappings.",
    )


def _key(key: object) -> str:
    """Return the key of a mapping; Ansible's JSON takes some for its own types."""
    if not isinstance(key, str) or key.startswith("__ansible") or "{" in key:
        raise ConfigError(
            f"the key {key!r} cannot be given to Ansible", hint="Give a plain name as the key."
        )
    return key


def _answers(password: str | None) -> dict[str, str]:
    return {} if password is None else {r"BECOME password.*:\s*?$": password}


def _environment(env: Mapping[str, str], private: Path) -> dict[str, str]:
    """Return the environment without the user's own settings of Ansible, and with ours."""
    others = ("ANSIBLE_", "ORIGINAL_STDOUT_CALLBACK")
    kept = {name: value for name, value in env.items() if not name.startswith(others)}
    events = {
        "ANSIBLE_CALLBACK_PLUGINS": get_callback_dir(),
        "ANSIBLE_STDOUT_CALLBACK": "awx_display",
    }
    return {**kept, **events, **_settings(private)}


def _settings(private: Path) -> dict[str, str]:
    path = str(Path(sys.executable).parent) + os.pathsep + os.environ.get("PATH", os.defpath)
    return {
        "ANSIBLE_CONFIG": str(private / "ansible.cfg"),
        "ANSIBLE_HOME": str(private / "home"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(private / "cp"),
        "ANSIBLE_SSH_ARGS": f"-o ControlMaster=auto -o ControlPersist=60s -o Ciphers=^{_CIPHER}",
        "ANSIBLE_HOST_KEY_CHECKING": "True",  # the runner's own default is to check nothing
        "ANSIBLE_SSH_RETRIES": "0",
        "ANSIBLE_GATHERING": "explicit",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8",
        "PATH": path,
    }


def _short_folder() -> str | None:
    """Return a folder for sockets: the usual temporary one, where its name is short enough."""
    usual = tempfile.gettempdir()
    return usual if len(usual) + 25 < _LONGEST_SOCKET_FOLDER else "/tmp"  # noqa: S108 (mkdtemp)


def kill_by_argument(mark: str, *, timeout_s: float = 2.0) -> None:
    """Kill every process with this mark in its arguments, which no other has, and wait for it."""
    deadline = time.monotonic() + timeout_s
    while pids := [pid for pid, line in _processes() if mark in line and pid != os.getpid()]:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _processes() -> Iterator[tuple[int, str]]:
    """Yield each process with its arguments; a zombie has none."""
    if Path("/proc/self/cmdline").exists():
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                yield int(folder.name), line.decode(errors="replace")
        return
    listing = subprocess.run(
        ["ps", "-axww", "-o", "pid=,args="],  # noqa: S607 (where the system has it)
        capture_output=True,
        text=True,
        check=False,
    )
    for entry in listing.stdout.splitlines():
        pid, _, arguments = entry.strip().partition(" ")
        yield int(pid), arguments

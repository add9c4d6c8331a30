"""The user's ssh configuration means to us what it means to OpenSSH, or it is refused."""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dfaas_lab.config import Host
from dfaas_lab.errors import ConfigError
from dfaas_lab.remote.openssh import ssh_arguments
from dfaas_lab.remote.ssh_config import ResolvedHost, resolve

SSH = shutil.which("ssh")
needs_ssh = pytest.mark.skipif(SSH is None, reason="the OpenSSH client is not installed")


def resolved(folder: Path, text: str, host: Host | str = "lab") -> ResolvedHost:
    file = folder / "config"
    file.write_text(dedent(text))
    return resolve(Host(host) if isinstance(host, str) else host, config_path=file)


def refusal(folder: Path, text: str, host: Host | str = "lab") -> str:
    with pytest.raises(ConfigError) as caught:
        resolved(folder, text, host)
    return str(caught.value)


def ssh_says(*arguments: str) -> dict[str, list[str]]:
    """Ask the real ssh what it would do."""
    assert SSH
    answer = subprocess.run([SSH, "-G", *arguments], capture_output=True, text=True, check=True)
    said: dict[str, list[str]] = defaultdict(list)
    for line in answer.stdout.splitlines():
        key, _, value = line.partition(" ")
        said[key].append(value)
    return said


FULL = """\
    IdentityFile ~/none
    Host lab other # the node
        HostName 10.0.0.50
        User=ubuntu
        Port 2222
        IdentityFile "{key}"
        UserKnownHostsFile "{folder}/my hosts" ~/.ssh/known_hosts2
        StrictHostKeyChecking accept-new
        ConnectTimeout 3
        IdentitiesOnly yes
        ProxyJump me@bastion:2200
    Host bastion
        HostName bastion.example.org
        ProxyJump outer
    Host *
        User nobody
        Port 22
"""


def test_everything_that_is_supported(tmp_path: Path) -> None:
    key = tmp_path / "a key"
    key.write_text("no real key")
    host = resolved(tmp_path, FULL.format(key=key, folder=tmp_path))
    assert (host.address, host.user, host.port) == ("10.0.0.50", "ubuntu", 2222)
    assert (host.keys, host.usual_keys, host.agent) == ((key,), False, False)
    assert host.known_hosts == (tmp_path / "my hosts", Path("~/.ssh/known_hosts2").expanduser())
    assert (host.host_keys, host.connect_timeout) == ("accept-new", 3.0)
    assert host.jump is not None
    assert (host.jump.address, host.jump.user, host.jump.port) == (
        "bastion.example.org",
        "me",
        2200,
    )
    assert host.jump.jump is not None
    assert (host.jump.jump.address, host.jump.jump.user) == ("outer", "nobody")


def test_the_host_itself_has_the_last_word(tmp_path: Path) -> None:
    mine = Host(
        "lab",
        user="root",
        port=2022,
        key=tmp_path / "mine",
        jump=Host("10.0.0.1", key=tmp_path / "mine", host_keys="accept-new"),
        known_hosts=tmp_path / "hosts",
        host_keys="accept-new",
        connect_timeout=1.5,
    )
    text = FULL.replace("accept-new", "no").replace(
        "ProxyJump me@bastion:2200", "ProxyCommand nc %h"
    )
    host = resolved(tmp_path, text.format(key="x", folder=tmp_path) + "    CertificateFile x", mine)
    assert (host.address, host.user, host.port) == ("10.0.0.50", "root", 2022)
    assert (host.keys, host.usual_keys, host.agent) == ((tmp_path / "mine",), False, False)
    assert host.jump is not None
    assert host.jump.address == "10.0.0.1"
    assert host.known_hosts == (tmp_path / "hosts",)
    assert (host.host_keys, host.connect_timeout) == ("accept-new", 1.5)


def test_without_a_configuration(tmp_path: Path) -> None:
    host = resolve(Host("10.0.0.9", user="u"), config_path=tmp_path / "none")
    assert (host.address, host.user, host.port, host.jump) == ("10.0.0.9", "u", 22, None)
    assert (host.keys, host.usual_keys, host.agent) == ((), True, True)
    assert (host.host_keys, host.connect_timeout) == ("strict", 10.0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Include ~/other", "include: other files are not read"),
        ("CertificateFile ~/.ssh/cert.pub", "certificatefile: certificates"),
        ("PKCS11Provider /lib/p11.so", "pkcs11provider: PKCS#11"),
        ("ProxyCommand nc %h %p", "proxycommand: not supported"),
        ("HostKeyAlias other", "hostkeyalias"),
        ("CanonicalizeHostname yes", "host names are not made canonical"),
        ("IdentityAgent ~/agent", "another agent"),
        ("StrictHostKeyChecking no", "host keys are always checked"),
        ("UserKnownHostsFile /dev/null", "host keys are always checked"),
        ("IdentityFile ~/.ssh/%C", "placeholder"),
        ("IdentityFile ~root/.ssh/id", "your own home"),
        ("IdentityFile ${HOME}/id", "placeholder"),
        ("User a\\ b", "cannot be read"),
        ('User "a', "cannot be read"),
        ("Port ssh", "no whole number"),
        ("ConnectTimeout 1m", "no whole number"),
        ("Match exec true\n  Port 1", "Match exec is not supported"),
        ("Match final\n  Port 1", "Match final is not supported"),
        ("Match host la* address 10.*\n  Port 1", "Match address is not supported"),
    ],
)
def test_what_is_not_supported_is_refused_with_its_line_where_it_matters(
    tmp_path: Path, line: str, said: str
) -> None:
    refused = refusal(tmp_path, f"# a comment\nHost lab\n  {line}\n")
    assert refused.startswith(f"{tmp_path / 'config'}:3: ")
    assert said in refused
    if not line.startswith("Match"):
        resolved(tmp_path, f"Host elsewhere\n  {line}\nHost lab\n  Port 2\n")


def test_a_match_that_cannot_apply_does_no_harm(tmp_path: Path) -> None:
    assert resolved(tmp_path, "Match host elsewhere exec true\n Port 1\nHost *\n Port 2").port == 2


def test_a_value_that_is_not_in_force_does_no_harm(tmp_path: Path) -> None:
    text = "Host lab\n StrictHostKeyChecking accept-new\nHost *\n StrictHostKeyChecking no\n"
    assert resolved(tmp_path, text).host_keys == "accept-new"


def test_several_hops_go_from_here_to_there(tmp_path: Path) -> None:
    host = resolved(tmp_path, "Host lab\n ProxyJump a,b:22,u@[::1]:2\n")
    hops = []
    while host.jump is not None:
        host = host.jump
        hops.append((host.address, host.port))
    assert hops == [("::1", 2), ("b", 22), ("a", 22)]


def test_jump_hosts_in_a_circle(tmp_path: Path) -> None:
    said = refusal(tmp_path, "Host lab\n ProxyJump a\nHost a\n ProxyJump lab\n")
    assert "lab -> a -> lab" in said


def keygen(path: Path, passphrase: str) -> Path:
    assert SSH
    tool = str(Path(SSH).with_name("ssh-keygen"))
    subprocess.run([tool, "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)], check=True)
    return path


@needs_ssh
@pytest.mark.parametrize(("passphrase", "agent"), [("", False), ("secret", True)])
def test_an_encrypted_key_is_used_through_the_agent(
    tmp_path: Path, passphrase: str, agent: bool
) -> None:
    key = keygen(tmp_path / "key", passphrase)
    host = resolve(Host("lab", key=key), config_path=tmp_path / "none")
    assert (host.keys, host.agent) == ((key,), agent)


def test_a_named_key_that_is_not_there_is_passed_over(tmp_path: Path) -> None:
    host = resolved(tmp_path, "IdentityFile /none/key\n")
    assert (host.keys, host.usual_keys) == ((), True)
    assert not resolved(tmp_path, "IdentityFile none\n").usual_keys


# What is generated here stays inside what is supported; names meet each other often.
names = st.sampled_from(["lab", "lab1", "node", "10.0.0.5"])
patterns = st.sampled_from(["lab", "l*", "*", "lab?", "!lab1", "no*", "10.0.*", "[l]ab"])
users = st.sampled_from(["ann", "bob"])
values = st.one_of(
    st.tuples(st.just("HostName"), st.sampled_from(["10.1.1.1", "%h.lab", '"node"'])),
    st.tuples(st.just("User"), users),
    st.tuples(st.just("Port"), st.sampled_from(["22", "2222", "2200 # old"])),
    st.tuples(
        st.just("IdentityFile"),
        st.sampled_from(["/k/a", "/k/b", "~/.ssh/%h-%r", '"/k/with blank"', "/k/%u"]),
    ),
    st.tuples(st.just("ProxyJump"), st.sampled_from(["none", "gate", "me@gate:2201"])),
    st.tuples(st.just("UserKnownHostsFile"), st.sampled_from(["/h/a", '"/h/b c" /h/d'])),
    st.tuples(st.just("StrictHostKeyChecking"), st.sampled_from(["yes", "accept-new", "ask"])),
    st.tuples(st.just("ConnectTimeout"), st.sampled_from(["3", "30"])),
    st.tuples(st.just("identitiesonly"), st.sampled_from(["yes", "no"])),
    st.tuples(st.just("SendEnv"), st.just("LANG LC_*")),
)
settings_lines = st.tuples(values, st.sampled_from([" ", "=", " = "])).map(
    lambda line: f"  {line[0][0]}{line[1]}{line[0][1]}"
)
host_lines = st.lists(patterns, min_size=1, max_size=3).map(lambda p: "Host " + " ".join(p))
criteria = st.one_of(
    st.lists(patterns, min_size=1, max_size=2).map(lambda p: "host " + ",".join(p)),
    st.lists(patterns, min_size=1, max_size=2).map(lambda p: "originalhost " + ",".join(p)),
    users.map(lambda user: f"user {user}"),
    users.map(lambda user: f"!user {user}"),
)
match_lines = st.lists(criteria, min_size=1, max_size=2).map(lambda c: "Match " + " ".join(c))
lines = st.one_of(settings_lines, settings_lines, settings_lines, host_lines, match_lines)


@needs_ssh
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines, max_size=14), names, st.none() | users)
@example(["Match all", "  Port 2222"], "lab", None)
@example(["Host lab", "  HostName node", "Match host node", "  User ann"], "lab", None)
def test_it_means_what_it_means_to_ssh(
    tmp_path: Path, config: list[str], name: str, user: str | None
) -> None:
    file = tmp_path / "config"
    file.write_text("\n".join(config) + "\n")
    ours = resolve(Host(name, user=user), config_path=file)
    theirs = ssh_says("-F", str(file), *(["-l", user] if user else []), name)
    assert ours.address == theirs["hostname"][0]
    assert ours.user == theirs["user"][0]
    assert str(ours.port) == theirs["port"][0]
    known = " ".join(map(str, ours.known_hosts))
    if "userknownhostsfile" in "".join(config).lower():
        default = str(Path("~/.ssh/known_hosts").expanduser())
        assert known == theirs["userknownhostsfile"][0] or known == default
    assert (ours.host_keys == "accept-new") == (theirs["stricthostkeychecking"][0] == "accept-new")
    timeout = theirs["connecttimeout"][0]
    assert ours.connect_timeout == (10.0 if timeout == "none" else float(timeout))
    assert ours.agent == (theirs["identitiesonly"][0] == "no")
    jump = theirs.get("proxyjump", [None])[0]
    if ours.jump is None:
        assert jump is None
    else:
        assert jump == ("me@gate:2201" if ours.jump.port == 2201 else "gate")


@needs_ssh
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines, max_size=10), names)
def test_keys_are_tried_in_the_order_of_ssh(tmp_path: Path, config: list[str], name: str) -> None:
    keys = tmp_path / "k"
    keys.mkdir(exist_ok=True)
    for key in ("a", "b", "with blank"):
        (keys / key).touch()
    file = tmp_path / "config"
    file.write_text("\n".join(config).replace("/k/", f"{keys}/") + "\n")
    theirs = [path for path in ssh_says("-F", str(file), name)["identityfile"] if str(keys) in path]
    ours = [str(path) for path in resolve(Host(name), config_path=file).keys]
    assert ours == [path for path in theirs if Path(path).exists()]


@needs_ssh
def test_the_arguments_for_ansible_say_the_same_to_ssh(tmp_path: Path) -> None:
    key = tmp_path / "a 100% key"
    key.touch()
    host = resolve(
        Host(
            "10.0.0.5",
            user="u",
            port=2222,
            key=key,
            known_hosts=tmp_path / "my hosts",
            jump=Host("gate", user="me", port=2201, jump=Host("outer", user="you")),
        ),
        config_path=tmp_path / "none",
    )
    said = ssh_says(*ssh_arguments(host), "-p", str(host.port), "-l", host.user, host.address)
    assert (said["hostname"], said["user"], said["port"]) == (["10.0.0.5"], ["u"], ["2222"])
    assert said["userknownhostsfile"] == [str(tmp_path / "my hosts")]
    assert said["identityfile"] == [str(key).replace("%", "%%")]
    assert said["stricthostkeychecking"] == ["true"]
    assert said["identitiesonly"] == ["yes"]
    (proxy,) = said["proxycommand"]
    assert proxy.endswith("-p 2201 -l me -W '[10.0.0.5]:2222' gate")
    assert "-l you -W" in proxy

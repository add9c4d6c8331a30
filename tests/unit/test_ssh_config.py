"""The user's ssh configuration means to us what it means to OpenSSH, or it is refused."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dfaas_lab.config import Host
from dfaas_lab.errors import ConfigError
from dfaas_lab.remote import ssh_query
from dfaas_lab.remote.openssh_arguments import ssh_arguments
from dfaas_lab.remote.ssh_config import ResolvedHost, resolve

SSH = shutil.which("ssh")
pytestmark = pytest.mark.skipif(SSH is None, reason="the OpenSSH client is not installed")


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
        ("CertificateFile ~/.ssh/cert.pub", "certificatefile: certificates"),
        ("PKCS11Provider /lib/p11.so", "pkcs11provider: PKCS#11"),
        ("HostKeyAlias other", "hostkeyalias"),
        ("BindAddress 127.0.0.1", "bindaddress: a local address"),
        ("CanonicalizeHostname yes", "host names are not made canonical"),
        ("IdentityAgent ~/agent", "another agent"),
        ("StrictHostKeyChecking no", "host keys are always checked"),
        ("UserKnownHostsFile /dev/null", "host keys are always checked"),
        ("UserKnownHostsFile /dev/null /dev/null", "host keys are always checked"),
        ("RevokedHostKeys ~/.ssh/revoked", "revokedhostkeys: a file of revoked"),
        ("KexAlgorithms diffie-hellman-group14-sha256", "kexalgorithms: a choice of algorithms"),
        ("AddressFamily inet6", "addressfamily: a choice of IPv4 or IPv6"),
        ("PubkeyAuthentication no", "nobody can log in without a key"),
        ("PreferredAuthentications password", "only keys are supported"),
        ("RemoteCommand tmux", "remotecommand: a command of its own"),
    ],
)
def test_what_is_not_supported_is_refused_by_its_keyword_where_it_matters(
    tmp_path: Path, line: str, said: str
) -> None:
    refused = refusal(tmp_path, f"# a comment\nHost lab\n  {line}\n")
    assert refused.startswith("lab: ")
    assert said in refused
    assert "See it by: ssh -G lab" in refused
    resolved(tmp_path, f"Host elsewhere\n  {line}\nHost lab\n  Port 2\n")


def test_what_ssh_knows_and_we_do_not_is_refused(tmp_path: Path) -> None:
    """A later OpenSSH has keywords that are in no list here."""
    ssh = tmp_path / "ssh"
    ssh.write_text(
        '#!/bin/sh\ncase "$*" in *none*) new=no;; *) new=yes;; esac\n'
        'printf "port 22\\nhostname lab\\nnewkeyword $new\\n"\n'
    )
    ssh.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        assert "newkeyword: this keyword is not supported" in refusal(tmp_path, "\n")
        assert resolve(Host("lab"), config_path=tmp_path / "none").port == 22


@pytest.mark.parametrize(
    ("line", "said"),
    [("Hostnam 1.2.3.4", "hostnam"), ("ConnectTimeout soon", "line 3"), ("Match x\n  Port 1", "3")],
)
def test_what_ssh_cannot_read_is_told_in_its_words(tmp_path: Path, line: str, said: str) -> None:
    refused = refusal(tmp_path, f"# a comment\nHost lab\n  {line}\n")
    assert f"{tmp_path / 'config'}" in refused
    assert said in refused


def test_placeholders(tmp_path: Path) -> None:
    key = tmp_path / "22-lab-100%"
    key.touch()
    named = f"IdentityFile {tmp_path}/%p-%n-100%%\nConnectTimeout 1m\n"
    assert resolved(tmp_path, named).keys == (key,)
    assert resolved(tmp_path, named).connect_timeout == 60
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEYS", str(tmp_path))
        assert resolved(tmp_path, "IdentityFile ${KEYS}/22-lab-100%%\n").keys == (key,)
    assert "identityfile: the placeholder %C" in refusal(tmp_path, "IdentityFile ~/%C\n")
    assert "proxycommand: the placeholder %C" in refusal(tmp_path, "ProxyCommand nc %C %p\n")
    assert "no such user" in refusal(tmp_path, "IdentityFile ~nobody-of-that-name/id\n")


def test_what_the_system_says_about_algorithms_is_nobodys_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "system"
    system.write_text("Ciphers aes256-ctr\nMACs hmac-sha2-512\n")
    monkeypatch.setattr(ssh_query, "_SYSTEM_CONFIG", system)
    assert resolved(tmp_path, f"Port 7\nInclude {system}\n").port == 7
    assert "macs: a choice" in refusal(tmp_path, f"MACs hmac-sha2-256\nInclude {system}\n")


def test_without_the_openssh_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt install openssh-client" in refusal(tmp_path, "Port 2\n")


def test_a_match_that_does_not_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_query, "_LONGEST_S", 0.5)
    said = refusal(tmp_path, f'Match exec "echo $$ > {tmp_path}/pid; exec sleep 100"\n Port 1\n')
    assert "no answer within 0.5 s" in said
    ended = time.monotonic() + 10
    process = Path("/proc") / (tmp_path / "pid").read_text().strip()
    while process.exists() and "Z" not in (process / "stat").read_text():
        assert time.monotonic() < ended
        time.sleep(0.02)


def test_an_interrupt_while_ssh_ends_is_still_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python waits for a child a quarter of a second after an interrupt: ssh ends in that time."""
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\nkill -INT $PPID\n/bin/sleep 0.1\n")
    ssh.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        ssh_query._printed(("localhost",))


USUAL = """\
    Include /none/ssh_config.d/*.conf
    Host *
        SendEnv LANG LC_*
        HashKnownHosts yes
        GSSAPIAuthentication yes
        # of macOS, and of what people add
        IgnoreUnknown UseKeychain,Apple*
        UseKeychain yes
        AppleMultiPath no
        AddKeysToAgent yes
        ControlMaster auto
        ControlPath ~/.ssh/%C
        ControlPersist 10m
        ServerAliveInterval 30
        ForwardAgent yes
        VisualHostKey yes
        LocalCommand echo "a\\b"
        SetEnv A="b\\c"
        AddressFamily any
        PubkeyAuthentication yes
        PreferredAuthentications publickey,password
        RevokedHostKeys none
        GlobalKnownHostsFile /dev/null
        ProxyCommand none
        Port 2222
"""


def test_what_usual_configurations_hold_does_no_harm(tmp_path: Path) -> None:
    host = resolved(tmp_path, USUAL)
    assert (host.port, host.jump, host.proxy_command, host.agent) == (2222, None, "", True)
    assert host.known_hosts[0] == Path("~/.ssh/known_hosts").expanduser()


def test_ignored_is_only_what_ssh_does_not_know(tmp_path: Path) -> None:
    ignored = "IgnoreUnknown *\nHostnam x\nCiphers aes128-ctr\n"
    assert "ciphers" in refusal(tmp_path, ignored)
    assert "hostnam" in refusal(tmp_path, "Hostnam x\nIgnoreUnknown *\n")


def test_other_files_are_read_where_they_are_included(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/1.conf").write_text("Host lab\n User ann\n Port 1\nHost other\n")
    (tmp_path / "d/2.conf").write_text("Port 3\nUser bob\n")
    (tmp_path / "bad").write_text("\nHost other\n Port 9\nHost *\n Hostnam x\n")
    include = f"Host lab*\n Include {tmp_path}/d/*.conf {tmp_path}/none\n Port 4\n"
    # What is included ends where its file ends: the block around it goes on.
    host = resolved(tmp_path, include)
    assert (host.user, host.port) == ("ann", 1)
    host = resolved(tmp_path, include, "lab2")
    assert (host.user, host.port) == ("bob", 3)
    assert resolved(tmp_path, include, "elsewhere").port == 22
    refused = refusal(tmp_path, f"Host lab\n Include {tmp_path}/bad\n")
    assert f"{tmp_path / 'bad'}" in refused
    assert "hostnam" in refused


def test_the_file_in_home_is_read_also_where_home_is_not_the_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".orbstack/ssh").mkdir(parents=True)
    (tmp_path / ".orbstack/ssh/config").write_text("Host lab\n  Port 32222\n")
    (tmp_path / ".ssh/more").mkdir(parents=True)
    (tmp_path / ".ssh/more/b").write_text("Host lab\n  User default\n")
    includes = f"Include {tmp_path}/.orbstack/ssh/config\nInclude {tmp_path}/.ssh/more/*\n"
    (tmp_path / ".ssh/config").write_text(includes)
    host = resolve(Host("lab"))
    assert (host.port, host.user) == (32222, "default")


def test_files_that_include_each_other(tmp_path: Path) -> None:
    assert "nclude" in refusal(tmp_path, f"Include {tmp_path}/config\n")  # "Too many ... includes"


def test_a_host_given_in_full_needs_nothing_of_the_configuration(tmp_path: Path) -> None:
    text = f"Include {tmp_path}/more\n"
    (tmp_path / "more").write_text("Host *\n Include none\n StrictHostKeyChecking no\n")
    known = tmp_path / "known"
    host = Host("lab", user="u", port=1, key="k", known_hosts=known, host_keys="accept-new")
    assert resolved(tmp_path, text, host).port == 1


def test_a_proxy_command_is_filled_in(tmp_path: Path) -> None:
    text = "Host lab\n HostName node\n User ann\n ProxyCommand  ssh -W '%h:%p' %r@gate # %n %%h\n"
    host = resolved(tmp_path, text)
    assert host.proxy_command == "ssh -W 'node:22' ann@gate # lab %h"
    assert resolved(tmp_path, text, Host("lab", jump=Host("j"))).proxy_command == ""
    assert resolved(tmp_path, f"ProxyJump j\n{text}").proxy_command == ""
    assert resolved(tmp_path, f"ProxyCommand none\n{text}ProxyJump j").jump is None


def test_what_a_shell_would_take_for_more_does_not_go_into_a_command(tmp_path: Path) -> None:
    evil = Host("lab", user="x;touch /tmp/y")
    assert "must not go" in refusal(tmp_path, "ProxyCommand nc %r %h\n", evil)
    assert "must not go" in refusal(tmp_path, "Match exec 'test %r'\n", evil)


def test_a_match_that_cannot_apply_does_no_harm(tmp_path: Path) -> None:
    assert resolved(tmp_path, "Match host elsewhere exec %C\n Port 1\nHost *\n Port 2").port == 2


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
    st.tuples(st.just("ProxyCommand"), st.sampled_from(["none", "nc '%h' %p # %r@%n 100%%"])),
    st.tuples(st.just("Include"), st.sampled_from(["/inc/a", "/inc/*", "/inc/none"])),
)
INCLUDED = {
    "a": "  User cat\nHost lab*\n  Port 2022\n",
    "b": "Match host 10.1.1.1\n  IdentityFile /k/c\nHost node\n  HostName far\n",
}
settings_lines = st.tuples(values, st.sampled_from([" ", "=", " = "])).map(
    lambda line: f"  {line[0][0]}{line[1]}{line[0][1]}"
)
host_lines = st.lists(patterns, min_size=1, max_size=3).map(lambda p: "Host " + " ".join(p))
criteria = st.one_of(
    st.lists(patterns, min_size=1, max_size=2).map(lambda p: "host " + ",".join(p)),
    st.lists(patterns, min_size=1, max_size=2).map(lambda p: "originalhost " + ",".join(p)),
    users.map(lambda user: f"user {user}"),
    users.map(lambda user: f"!user {user}"),
    st.sampled_from(["exec true", '!exec "test %h = node"', 'exec "test %p%r = 22ann"', "final"]),
)
match_lines = st.lists(criteria, min_size=1, max_size=2).map(lambda c: "Match " + " ".join(c))
lines = st.one_of(settings_lines, settings_lines, settings_lines, host_lines, match_lines)


def written(folder: Path, config: list[str]) -> Path:
    """Write a configuration and what it includes."""
    (folder / "inc").mkdir(exist_ok=True)
    for name, text in INCLUDED.items():
        (folder / "inc" / name).write_text(text)
    file = folder / "config"
    file.write_text("\n".join(config).replace("/inc/", f"{folder}/inc/") + "\n")
    return file


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines, max_size=14), names, st.none() | users)
@example(["Match all", "  Port 2222"], "lab", None)
@example(["Host lab", "  HostName node", "Host node", "  User ann", "Match final"], "lab", None)
@example(["Match final", "  HostName node"], "lab", None)
@example(["ProxyJump none", "ProxyCommand nc %h"], "lab", None)
@example(["Host node", "  Include /inc/*", "Host *", "  Port 2222"], "lab", "bob")
@example(["Host lab", "  HostName node", "Match host node", "  User ann"], "lab", None)
def test_it_means_what_it_means_to_ssh(
    tmp_path: Path, config: list[str], name: str, user: str | None
) -> None:
    file = written(tmp_path, config)
    ours = resolve(Host(name, user=user), config_path=file)
    theirs = ssh_says("-F", str(file), *(["-l", user] if user else []), name)
    assert ours.address == theirs["hostname"][0]
    assert ours.user == theirs["user"][0]
    assert str(ours.port) == theirs["port"][0]
    known = " ".join(map(str, ours.known_hosts))  # behind them those of the system that are there
    default = str(Path("~/.ssh/known_hosts").expanduser())
    assert known.startswith((theirs["userknownhostsfile"][0], default))
    assert (ours.host_keys == "accept-new") == (theirs["stricthostkeychecking"][0] == "accept-new")
    timeout = theirs["connecttimeout"][0]
    assert ours.connect_timeout == (10.0 if timeout == "none" else float(timeout))
    assert ours.agent == (theirs["identitiesonly"][0] == "no")
    [command] = theirs.get("proxycommand", [""])
    filled = command.replace("%h", ours.address).replace("%p", str(ours.port)).replace("%n", name)
    assert ours.proxy_command == filled.replace("%r", ours.user).replace("%%", "%")
    jump = theirs.get("proxyjump", [None])[0]
    if ours.jump is None:
        assert jump is None
    else:
        assert jump == ("me@gate:2201" if ours.jump.port == 2201 else "gate")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines, max_size=10), names)
def test_keys_are_tried_in_the_order_of_ssh(tmp_path: Path, config: list[str], name: str) -> None:
    keys = tmp_path / "k"
    keys.mkdir(exist_ok=True)
    for key in ("a", "b", "with blank"):
        (keys / key).touch()
    file = written(tmp_path, [line.replace("/k/", f"{keys}/") for line in config])
    theirs = [path for path in ssh_says("-F", str(file), name)["identityfile"] if str(keys) in path]
    ours = [str(path) for path in resolve(Host(name), config_path=file).keys]
    assert ours == [path for path in theirs if Path(path).exists()]


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


def test_a_proxy_command_for_ansible_is_the_one_for_fabric(tmp_path: Path) -> None:
    host = resolved(tmp_path, "ProxyCommand nc '%h' \"%p\" # 100%%\n")
    said = ssh_says(*ssh_arguments(host), host.address)
    # ssh fills its own placeholders in once more.
    assert said["proxycommand"] == [host.proxy_command.replace("%", "%%")]

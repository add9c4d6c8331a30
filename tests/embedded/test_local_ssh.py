"""The embedded SSH server behaves as sshd does, to OpenSSH, paramiko, Fabric and Ansible."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import fabric
import paramiko
import psutil
import pytest

from dfaas_lab.local import LocalLab, start
from tests.embedded.conftest import Ssh, ssh_command
from tests.embedded.faults import TcpProxy


def connect(lab: LocalLab, port: int | None = None) -> fabric.Connection:
    connection = fabric.Connection(
        lab.ssh.host,
        port=port or lab.ssh.port,
        user=lab.ssh.user,
        connect_kwargs={
            "key_filename": str(lab.ssh.key),
            "look_for_keys": False,
            "allow_agent": False,
        },
    )
    connection.open()
    connection.transport.sock.setsockopt(6, 1, 1)
    return connection


@pytest.fixture
def connection(local_lab: LocalLab) -> Iterator[fabric.Connection]:
    with connect(local_lab) as connection:
        yield connection


def eventually(true: Callable[[], object], within_s: float = 10.0) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.02)
    return bool(true())


def run(transport: paramiko.Transport, command: str, data: bytes = b"") -> tuple[int, bytes]:
    channel = transport.open_session()
    channel.exec_command(command)
    channel.sendall(data)
    channel.shutdown_write()
    output = channel.makefile("rb").read()
    code = channel.recv_exit_status()
    channel.close()
    return code, output


@pytest.mark.parametrize("code", [0, 1, 3, 99, 105, 255])
def test_exit_codes_come_through(local_lab: LocalLab, ssh: Ssh, code: int) -> None:
    assert ssh(local_lab, f"exit {code}").returncode == code


def test_stdout_and_stderr_are_apart_and_exact(local_lab: LocalLab, ssh: Ssh) -> None:
    every_byte = bytes(range(256)) * 3
    done = ssh(local_lab, "tee /dev/stderr", data=every_byte)
    assert (done.stdout, done.stderr) == (every_byte, every_byte)


def test_the_command_is_passed_on_as_it_is(local_lab: LocalLab, ssh: Ssh) -> None:
    done = ssh(local_lab, "printf '%s' 'é \"x\" ${y} ; \\n' \"$((1+1))\"")
    assert done.stdout.decode() == 'é "x" ${y} ; \\n2'


def test_no_command_is_a_shell_that_reads_commands(local_lab: LocalLab) -> None:
    argv = ssh_command(local_lab, "-T")
    done = subprocess.run(argv, input=b"echo from $0\nexit 4\n", capture_output=True, timeout=30)
    assert (done.returncode, done.stdout) == (4, b"from /bin/sh\n")


def test_tens_of_megabytes_pass_both_ways(local_lab: LocalLab, ssh: Ssh) -> None:
    data = os.urandom(1 << 20) * 32
    assert ssh(local_lab, "cat", data=data).stdout == data


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_073, 2_097_153, 5_000_001])
def test_all_input_arrives_before_its_end(connection: fabric.Connection, size: int) -> None:
    data = os.urandom(size)
    expected = hashlib.sha256(data).hexdigest()
    slowly = "sleep 0.05; sha256sum"  # so that the input waits at every stage
    for command in ("sha256sum", slowly):
        _, output = run(connection.transport, command, data)
        assert output.split()[0].decode() == expected


def test_output_of_a_slow_reader_is_held_back_not_lost(connection: fabric.Connection) -> None:
    channel = connection.transport.open_session()
    channel.exec_command("head -c 20000000 /dev/zero; echo end >&2")
    time.sleep(0.5)
    assert sum(len(part) for part in iter(lambda: channel.recv(1 << 16), b"")) == 20_000_000
    assert channel.makefile_stderr("rb").read() == b"end\n"
    assert channel.recv_exit_status() == 0


def test_the_environment_is_the_same_everywhere(
    local_lab: LocalLab, ssh: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    options = "-o", "SetEnv=K6_VUS=1", "-o", "SendEnv=LC_*"
    lines = ssh(local_lab, "env", *options).stdout.decode().splitlines()
    env = dict(line.split("=", 1) for line in lines)
    home = str(local_lab.ssh.home)
    env.pop("_", None)
    assert env == {
        "DFAAS_LAB_ID": local_lab.path.name,
        "HOME": home,
        "LANG": "C.UTF-8",
        "LOGNAME": local_lab.ssh.user,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PWD": home,
        "SHELL": "/bin/sh",
        "USER": local_lab.ssh.user,
    }


def test_more_variables_can_be_set_on_the_generator(ssh: Ssh) -> None:
    with start(env={"K6_VUS": "1"}) as lab:
        assert ssh(lab, "echo $K6_VUS").stdout == b"1\n"
        lab.ssh_server.restart(env={"K6_DURATION": "2s"})
        assert ssh(lab, "echo $K6_VUS $K6_DURATION").stdout == b"2s\n"


def test_a_command_that_python_would_have_crippled(local_lab: LocalLab, ssh: Ssh) -> None:
    # An inherited "ignore SIGPIPE" would make yes write an error instead of ending.
    done = ssh(local_lab, "yes | head -n 1")
    assert (done.stdout, done.stderr, done.returncode) == (b"y\n", b"", 0)


def test_each_command_leads_a_session_of_its_own(local_lab: LocalLab, ssh: Ssh) -> None:
    pid, session, group = ssh(
        local_lab, "python3 -c 'import os; print(os.getppid(), os.getsid(0), os.getpgid(0))'; :"
    ).stdout.split()
    assert pid == session == group


def test_a_command_line_beyond_the_kernels_limit(connection: fabric.Connection) -> None:
    channel = connection.transport.open_session()
    channel.exec_command("true " + "x" * 200_000)
    assert channel.recv_exit_status() == 1
    assert b"too long" in channel.makefile_stderr("rb").read()
    assert run(connection.transport, "echo on") == (0, b"on\n")


def test_input_nobody_reads_does_no_harm(local_lab: LocalLab, ssh: Ssh) -> None:
    done = ssh(local_lab, "exec <&-; sleep 0.2; echo done", data=b"x" * 8_000_000)
    assert (done.returncode, done.stdout) == (0, b"done\n")


def test_death_by_a_signal_is_told(local_lab: LocalLab) -> None:
    async def told() -> object:
        async with await asyncssh_client(local_lab) as client:
            return (await client.run("kill -KILL $$")).exit_signal

    assert asyncio.run(told()) == ("KILL", False, "", "en-US")


def test_signals_reach_the_commands_group(local_lab: LocalLab) -> None:
    async def send() -> tuple[object, object]:
        async with await asyncssh_client(local_lab) as client:
            # The shell waits for its child: it leaves only where the child hears the signal, too.
            process = await client.create_process("trap 'echo got; exit 7' INT; echo on; sleep 99")
            line = await process.stdout.readline()
            ended = asyncio.ensure_future(process.wait())
            while not ended.done():  # one that comes before the child has begun ends only the next
                process.send_signal("INT")
                await asyncio.wait([ended], timeout=0.5)
            return line, ended.result().exit_status

    assert asyncio.run(asyncio.wait_for(send(), 30)) == ("on\n", 7)


async def asyncssh_client(lab: LocalLab) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        lab.ssh.host,
        lab.ssh.port,
        username=lab.ssh.user,
        client_keys=[str(lab.ssh.key)],
        known_hosts=str(lab.ssh.known_hosts),
        config=None,
        agent_path=None,
    )


def test_only_the_labs_key_and_user_are_let_in(
    local_lab: LocalLab, ssh: Ssh, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(other))
    other.chmod(0o600)
    argv = [
        str(other) if word == str(local_lab.ssh.key) else word for word in ssh_command(local_lab)
    ]
    stranger = subprocess.run([*argv, "true"], capture_output=True, timeout=30)
    assert (stranger.returncode, b"Permission denied (publickey)" in stranger.stderr) == (255, True)
    assert ssh(local_lab, "true", user="nobody").returncode == 255
    password = ssh(local_lab, "true", "-o", "PubkeyAuthentication=no")
    assert (password.returncode, b"(publickey)" in password.stderr) == (255, True)


def test_streams_only_to_loopback_and_no_terminal(local_lab: LocalLab, ssh: Ssh) -> None:
    gateway = local_lab.gateways[0].url.rpartition(":")[2]
    question = b"GET /healthz HTTP/1.0\r\n\r\n"
    inside = ssh(local_lab, "", "-W", f"127.0.0.1:{gateway}", data=question)
    assert inside.stdout.startswith(b"HTTP/1.1 200")
    outside = ssh(local_lab, "", "-W", f"192.0.2.1:{gateway}")
    assert b"open failed" in outside.stderr
    assert b"PTY allocation request failed" in ssh(local_lab, "true", "-tt").stderr


@pytest.mark.parametrize("pause_s", [0.0, 0.5], ids=["at once", "after the server's end"])
def test_a_stream_ends_whoever_ends_first(local_lab: LocalLab, pause_s: float) -> None:
    gateway = local_lab.gateways[0].url.rpartition(":")[2]
    argv = ssh_command(local_lab, "-W", f"127.0.0.1:{gateway}")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(argv, **pipes) as client:
        client.stdin.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        client.stdin.flush()
        if pause_s:
            assert b"200" in client.stdout.readline()  # the server answers, and closes
            time.sleep(pause_s)
        client.stdin.close()
        try:
            assert client.wait(timeout=20) == 0
        finally:
            client.kill()


def test_a_closed_channel_does_not_stop_the_command(
    connection: fabric.Connection, tmp_path: Path
) -> None:
    channel = connection.transport.open_session()
    # It sees the end of its input, and goes on.
    channel.exec_command(f"echo $$; cat >/dev/null; touch {tmp_path}/eof; exec sleep 300")
    pid = int(channel.makefile("r").readline())
    channel.close()
    assert eventually((tmp_path / "eof").exists)
    assert psutil.Process(pid).is_running()
    os.kill(pid, signal.SIGKILL)


def test_a_closed_channel_with_input_waiting_frees_its_session(
    connection: fabric.Connection,
) -> None:
    for _ in range(12):  # more than MaxSessions
        channel = connection.transport.open_session()
        channel.exec_command("echo $$; exec sleep 300")
        pid = int(channel.makefile("r").readline())
        channel.settimeout(0.2)
        with pytest.raises(TimeoutError):
            channel.sendall(b"x" * 8_000_000)  # nobody reads it
        channel.close()
        os.kill(pid, signal.SIGKILL)
    assert run(connection.transport, "echo on") == (0, b"on\n")


def test_writing_to_a_client_that_left_ends_the_command(connection: fabric.Connection) -> None:
    channel = connection.transport.open_session()
    channel.exec_command("echo $$; while sleep 0.1; do echo x; done")
    pid = int(channel.makefile("r").readline())
    channel.close()
    assert eventually(lambda: not psutil.pid_exists(pid))


def test_a_lost_connection_does_not_stop_the_command(local_lab: LocalLab) -> None:
    with TcpProxy(local_lab.ssh.port) as proxy:
        connection = connect(local_lab, proxy.port)
        channel = connection.transport.open_session()
        channel.exec_command("echo $$; exec sleep 300 >/dev/null 2>&1")
        pid = int(channel.makefile("r").readline())
        proxy.cut()
        assert eventually(lambda: not connection.transport.is_active())
        time.sleep(0.2)
        assert psutil.Process(pid).status() == psutil.STATUS_SLEEPING
        os.kill(pid, signal.SIGKILL)


def test_a_frozen_network_delays_and_loses_nothing(local_lab: LocalLab) -> None:
    with TcpProxy(local_lab.ssh.port) as proxy, connect(local_lab, proxy.port) as connection:
        channel = connection.transport.open_session()
        channel.exec_command("for i in 1 2 3 4 5; do echo $i; sleep 0.1; done")
        proxy.freeze()
        time.sleep(1.0)
        before = channel.recv(100) if channel.recv_ready() else b""
        assert b"5" not in before
        proxy.thaw()
        assert before + channel.makefile("rb").read() == b"1\n2\n3\n4\n5\n"


@pytest.mark.parametrize("sessions", [2, 10])
def test_sessions_of_one_connection_are_limited(sessions: int) -> None:
    with start(sessions=sessions) as lab, connect(lab) as connection:
        channels = [connection.transport.open_session() for _ in range(sessions)]
        with pytest.raises(paramiko.ChannelException) as refused:
            connection.transport.open_session()
        assert refused.value.code == 2  # "connect failed", as OpenSSH answers
        channels.pop().close()
        assert eventually(lambda: can_open(connection.transport))
        with connect(lab) as another:  # the limit is the connection's, not the server's
            assert run(another.transport, "echo on") == (0, b"on\n")


def can_open(transport: paramiko.Transport) -> bool:
    try:
        transport.open_session().close()
    except paramiko.ChannelException:
        return False
    return True


def test_a_small_command_does_not_wait_for_a_timer(connection: fabric.Connection) -> None:
    # Nagle's algorithm against delayed acknowledgements costs 40 ms at each command.
    def seconds() -> float:
        started = time.perf_counter()
        assert run(connection.transport, "true")[0] == 0
        return time.perf_counter() - started

    assert statistics.median(seconds() for _ in range(21)) < 0.03


def test_fabric_runs_puts_and_gets(connection: fabric.Connection, local_lab: LocalLab) -> None:
    result = connection.run("echo out; echo err >&2; exit 5", hide=True, warn=True, in_stream=False)
    assert (result.stdout, result.stderr, result.exited) == ("out\n", "err\n", 5)
    path = f"{local_lab.ssh.home}/a b ü"
    data = os.urandom(3_000_000)
    connection.put(io.BytesIO(data), path)
    fetched = io.BytesIO()
    connection.get(path, fetched)
    assert fetched.getvalue() == data


def test_sftp_does_what_files_need(connection: fabric.Connection, local_lab: LocalLab) -> None:
    sftp = connection.sftp()
    base = f"{local_lab.ssh.home}/sftp"
    sftp.mkdir(base, 0o700)
    sftp.symlink("/etc/passwd", f"{base}/link")
    with sftp.open(f"{base}/one", "wb") as file:
        file.write(b"1")
    sftp.posix_rename(f"{base}/one", f"{base}/link")  # replaces the link, not its target
    assert sftp.lstat(f"{base}/link").st_size == 1
    assert oct(sftp.stat(base).st_mode) == "0o40700"
    with pytest.raises(FileNotFoundError):
        sftp.stat(f"{base}/one")
    with pytest.raises(OSError, match=r"(?i)fail|exist"):
        sftp.mkdir(base)


def test_ansible_with_its_module_on_stdin(local_lab: LocalLab, tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    options = f"-F none -o UserKnownHostsFile={local_lab.ssh.known_hosts}"
    inventory.write_text(
        f"""all: {{hosts: {{lab: {{
            ansible_host: {local_lab.ssh.host}, ansible_user: {local_lab.ssh.user},
            ansible_port: {local_lab.ssh.port}, ansible_ssh_common_args: "{options}",
            ansible_ssh_private_key_file: {local_lab.ssh.key},
            ansible_python_interpreter: {local_lab.ssh.python},
            ansible_remote_tmp: {local_lab.ssh.remote_tmp}}}}}}}"""
    )
    ansible = str(Path(sys.executable).with_name("ansible"))
    argv = [ansible, "all", "-i", str(inventory), "-m", "copy"]
    arguments = ["-a", f"content=hello dest={local_lab.ssh.home}/from-ansible mode=0640"]
    env = {**os.environ, "ANSIBLE_PIPELINING": "1", "ANSIBLE_HOME": str(tmp_path / "ansible")}
    env = {**env, "LC_ALL": "C.UTF-8"}
    done = subprocess.run([*argv, *arguments], env=env, capture_output=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (local_lab.ssh.home / "from-ansible").read_text() == "hello"


def test_a_killed_server_leaves_what_was_started_and_comes_back(ssh: Ssh) -> None:
    with start() as lab:
        written = "echo $$ > ~/pid.new; mv ~/pid.new ~/pid; exec env -i sleep 300"
        begin = f"setsid sh -c '{written}' </dev/null >/dev/null 2>&1 &"
        assert ssh(lab, begin).returncode == 0
        assert eventually((lab.ssh.home / "pid").exists)
        detached = int((lab.ssh.home / "pid").read_text())
        lab.ssh_server.kill()
        assert ssh(lab, "true").returncode == 255
        assert psutil.Process(detached).status() == psutil.STATUS_SLEEPING
        lab.ssh_server.restart()
        # The same port and the same host key: the client's known-hosts file still fits.
        assert ssh(lab, f"kill -0 {detached}").returncode == 0
    assert not psutil.pid_exists(detached)

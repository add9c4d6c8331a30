"""No traceback that shows local variables, and no log of a library, shows a secret."""

from __future__ import annotations

import base64
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from IPython.core.ultratb import VerboseTB
from rich.traceback import Traceback

from dfaas_lab import DfaasLabError, Function, Generator, Lab, Target
from dfaas_lab.secret import sealed
from dfaas_lab.services.gateway import Gateway

# Long enough that those who show values cut it.
CANARY = "CANARY-" + "s3cr3t" * 20
SCRIPT = "export default function () {}"
ANSWER = b"HTTP/1.1 %s\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n[]"


def shown(error: BaseException) -> str:
    """An error as those show it that show local variables: Python, rich, IPython."""
    tb = error.__traceback__
    python = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    rich = [
        repr(Traceback.extract(type(error), error, tb, show_locals=True, locals_max_string=longest))
        for longest in (None, 40)
    ]
    ipython = VerboseTB(theme_name="nocolor").text(type(error), error, tb)
    return "\n".join([*python, *rich, ipython])


def forms() -> list[str]:
    user = f"admin:{CANARY}".encode()
    return [CANARY[:20], base64.b64encode(user).decode()[8:40]]


def raised_by(work: Callable[[], object]) -> str:
    with pytest.raises(DfaasLabError) as caught:
        work()
    return shown(caught.value)


def target(url: str = "http://127.0.0.1:9", **given: Any) -> Target:
    functions = [
        Function("env", image="env", headers={"Authorization": CANARY}, env={"TOKEN": CANARY},
                 path=f"?code={CANARY}")
    ]  # fmt: skip
    generator = Generator("127.0.0.1", user="nobody", port=9)
    return Target(
        "t", gateway=url, generator=generator, functions=functions, auth=("admin", CANARY), **given
    )


@contextmanager
def gateway(*answers: bytes | None) -> Iterator[str]:
    """One answer for each connection; None closes it while it is written to."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in (*answers, *[answers[-1]] * 10):
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    if answer is not None:
                        connection.recv(65536)
                        connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def env(name: str = "TOKEN", end: str = "") -> dict[str, str]:
    # IPython shows the values in a line: no lambda below may name one.
    return {name: CANARY + end}


def sides(one: Target) -> Any:
    return {"a": one, "b": (one, {"env": env()})}


@pytest.mark.parametrize(
    "answer",
    [None, b"", b"nonsense\r\n\r\n", ANSWER % b"500 No", ANSWER % b"401 No", ANSWER % b"302 No",
     b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", b"HTTP/1.1 200 OK\r\n\r\n{",
     b"HTTP/1.1 200 OK\r\n\r\n" + b'{"a":1}'],
)  # fmt: skip
def test_a_gateway_that_fails(answer: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with gateway(answer) as url:
        one = target(url)
        said = [raised_by(one.deployed), raised_by(one.deploy)]
        try:
            Gateway(one.gateway, auth=one._auth).answer(one.functions[0])
        except DfaasLabError as error:
            said.append(shown(error))
    for form in forms():
        assert not [text for text in (*said, caplog.text) if form in text]


def test_one_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    one = target()
    said = raised_by(one.deploy) + raised_by(
        lambda: Gateway(one.gateway, auth=one._auth).answer(one.functions[0])
    )
    assert not [form for form in forms() if form in said + caplog.text]


def test_the_environment_of_a_script(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "a.js").write_text(SCRIPT)
    script = str(tmp_path / "a.js")
    one = target(store=tmp_path / "store")
    lab = Lab([one], store=tmp_path / "store")
    for work in (
        lambda: one.run_k6(script=script, env=env(), progress=False),
        lambda: one.run_k6(script=script, env=env("K6_VUS"), progress=False),
        lambda: one.run_k6(script=script, env=env("a b"), progress=False),
        lambda: one.run_k6(script=script, env=env(end="\0"), progress=False),
        lambda: one.run_k6(env=env(), load=3, progress=False),
        lambda: one.run_k6(script=script, env=env(), load=3, progress=False),
        lambda: one.run_k6(script=script, env=env(), lode=3, progress=False),  # type: ignore[call-arg]
        lambda: one.start_k6(script=script, env=sealed(env()), detach=True),
        lambda: lab.run_k6(script=script, env=env(), rest="never", progress=False),
        lambda: lab.run_interleaved(sides(one), blocks=3, script=script, progress=False),
        lambda: lab.run_interleaved({"a": one, "b": one}, blocks=2, env=env(), progress=False),
    ):  # fmt: skip
        said = raised_by(work)
        assert not [form for form in forms() if form in said + caplog.text]

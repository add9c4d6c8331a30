"""Secrets are a type: no repr, no error and no frame of a traceback shows one."""

from __future__ import annotations

import copy
import pickle
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from dfaas_lab import ConfigError, DfaasLabError, Function, Generator, Target
from dfaas_lab.config import Host
from dfaas_lab.labfile import read
from dfaas_lab.provision.events import detail
from dfaas_lab.secret import Secret, SecretBytes, credentials, plain, sealed

CANARY = "CANARY-" + "s3cr3t"


def frames_of(work: Callable[[], object]) -> str:
    """The traceback of what the work raises, with the local variables of all frames but ours."""
    with pytest.raises(DfaasLabError) as caught:
        work()
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    here = Path(__file__).name
    for frame in told.stack[:]:
        if here in frame.filename:
            told.stack.remove(frame)
    return f"{caught.value!r}\n" + "".join(told.format())


def target(**given: Any) -> Target:
    login: dict[str, Any] = {"gateway": "http://127.0.0.1:1", "functions": [Function("env")]}
    return Target("t", generator=Generator("127.0.0.1"), **{**login, **given})


@pytest.mark.parametrize(
    "make",
    [
        lambda: target(auth=CANARY),
        lambda: target(auth=CANARY.encode()),
        lambda: target(auth=("admin", CANARY + "\ud800")),
        lambda: target(auth=("admin", CANARY.encode())),
        lambda: target(auth=("admin", CANARY + "\n")),
        lambda: target(auth=(f"a:{CANARY}", CANARY)),
        lambda: target(auth=("admin", CANARY, CANARY)),
        lambda: target(auth=[CANARY]),
        lambda: target(auth={"user": CANARY}),
        lambda: target(auth=("admin", CANARY), gateway="none"),
        lambda: target(auth=("admin", CANARY)).deployed(),
        lambda: Host("a b", become_password=CANARY),
        lambda: Host("a", become_password=CANARY + "\n"),
        lambda: Host("a", user="-o", become_password=CANARY),
        lambda: Function("No Name", headers={"Authorization": CANARY}),
        lambda: Function("env", headers={"Authorization": CANARY + "\n"}),
        lambda: Function("env", headers={"Authorization": CANARY}, timeout="never"),
        lambda: Function("env", headers=f"Authorization: {CANARY}"),  # type: ignore[arg-type]
        lambda: Function("env", path=f"?token={CANARY}#"),
        lambda: Function("env", path=f"?token={CANARY}", method="GRAB"),
        lambda: Function("env", path=f"?token={CANARY}", max_rate=-1),
        lambda: target(auth={"user": "admin", "password": CANARY}),
        lambda: target(gateway=f"http://admin:{CANARY}@node"),
        lambda: target(gateway=f"http://node?token={CANARY}"),
        lambda: target(prometheus=f"http://admin:{CANARY}@node"),
        lambda: target(prometheus=f"ftp://node/?sig={CANARY}"),
    ],
)
def test_no_frame_of_an_error_shows_it(make: Callable[[], object]) -> None:
    assert CANARY not in frames_of(make)


def test_a_refused_one_shows_no_password_of_a_url() -> None:
    for value in (f"https://me:{CANARY}@mirror/\n", [f"https://me:{CANARY}@mirror/"]):
        with pytest.raises(ConfigError, match="k6_release_url=") as caught:
            Generator("gen", variables={"k6_release_url": value})
        assert CANARY not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be sent") as caught:
        Function("env", headers={f"Authorization: {CANARY}": ""})
    assert CANARY not in str(caught.value)
    spec = Generator("gen", variables={"k6_release_url": f"https://me:{CANARY}@mirror"})._spec()
    assert CANARY not in repr(spec)
    assert CANARY not in detail({"msg": f"Request failed: https://me:{CANARY}@mirror/k6: 404"})


def test_what_is_no_pair_is_no_user_and_password() -> None:
    for odd in ({"user": "a", "password": "b"}, {"a", "b"}, iter("ab"), ("a",)):
        with pytest.raises(ConfigError, match="no user and password: it is no pair"):
            target(auth=odd)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lab.yml", "generators: [{{host: g, become_password: {0}, port: none}}]\ntargets: []\n"),
        ("lab.yml", "generators: [{{host: g}}]\ntargets: [{{name: t, auth: {{password: {0}}}}}]\n"),
        ("lab.yml", "generators: [{{host: g, become_password: {0}\n"),
        ("lab.json", '{{"generators": [{{"host": "g", "become_password": "{0}"}}], "a": }}'),
        ("lab.toml", 'generators = [{{host = "g", become_password = "{0}"}}]\ntargets = 1\n'),
        (
            "lab.yml",
            "targets: [{{name: t, functions: [{{name: f, headers: {{a: {0}}}}}]}}]\nx: 1\n",
        ),
        ("lab.yml", '"{0}"'),
    ],
)
def test_no_frame_of_a_refused_lab_file_shows_it(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text.format(CANARY))
    assert CANARY not in frames_of(lambda: read(tmp_path / name))


def test_a_lab_file_gives_secrets(tmp_path: Path) -> None:
    (tmp_path / "lab.yml").write_text(
        f"generators: [{{host: g, become_password: {CANARY}}}]\n"
        "targets:\n"
        "- name: t\n"
        "  gateway: http://h\n"
        "  auth: {password_env: PASSWORD}\n"
        "  functions: [{name: f, headers: {A: '${TOKEN}'}}]\n"
    )
    file = read(tmp_path / "lab.yml", env={"PASSWORD": CANARY, "TOKEN": CANARY})
    assert CANARY not in repr(file)
    assert file.targets[0].auth == ("admin", CANARY)
    assert file.targets[0].functions[0].headers == {"A": CANARY}
    host = file.generators[0].host
    assert host.become_password == CANARY
    assert CANARY not in f"{host!r} {vars(host)} {asdict(host)} {replace(host, user='u')!r}"


def test_it_is_a_text_for_who_sends_it_and_nothing_for_who_prints_it() -> None:
    secret = Secret(CANARY)
    for shown in (str(secret), repr(secret), f"{secret}", "%s" % secret, f"{secret!r:>40}"):  # noqa: UP031
        assert CANARY not in shown
    assert CANARY not in repr([secret, {secret: secret}, secret.encode()]) + str(secret.encode())
    assert secret == CANARY == plain(secret) == copy.deepcopy(secret)
    assert type(plain(secret)) is str
    assert hash(secret) == hash(CANARY)
    assert isinstance(pickle.loads(pickle.dumps(secret)), Secret)
    assert secret.encode() == CANARY.encode()


def test_what_is_sealed_keeps_its_shape() -> None:
    given = {"a": ["x", b"y", 1, None], "b": ("z", {"c": "d"})}
    assert sealed(given) == given
    assert isinstance(sealed(given)["a"][1], SecretBytes)
    assert repr(sealed(given)) == "{'a': ['***', b'***', 1, None], 'b': ('***', {'c': '***'})}"
    assert sealed(sealed(given)) == given


def test_the_gateway_gets_it_as_it_is() -> None:
    seen: list[str | None] = []

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        target(
            gateway=f"http://127.0.0.1:{server.server_port}", auth=("admin", "pw\u00e9")
        ).deployed()
        server.shutdown()
    assert seen[0] == "Basic YWRtaW46cHfDqQ=="


def test_only_a_text_of_one_line_is_a_password() -> None:
    for odd in (b"x", 7, ["x"]):
        with pytest.raises(ConfigError, match="become_password"):
            Host("a", become_password=odd)  # type: ignore[arg-type]


def test_a_secret_of_a_secret_is_the_same_secret() -> None:
    """A lab file seals what it reads, and so does the target that is made of it."""
    once = Secret("open sesame")
    assert plain(Secret(once)) == "open sesame"
    assert credentials((once, Secret(once))) == (("open sesame", "open sesame"), "")

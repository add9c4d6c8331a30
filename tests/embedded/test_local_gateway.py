"""The embedded gateway speaks OpenFaaS's API, and really executes its functions."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from dfaas_lab.errors import ConfigError
from dfaas_lab.local import LocalGateway, LocalLab, start
from dfaas_lab.local.services import Services, images

_NUMBERS = itertools.count()  # metrics stay when a function is removed: no name twice
BUILTIN = ["figlet", "env", "echo", "sha512sum", "primes"]


def eventually(true: Callable[[], object], within_s: float = 10.0) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.02)
    return bool(true())


@pytest.fixture(scope="module")
def fifo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gate") / "fifo"
    os.mkfifo(path)
    return path


@pytest.fixture(scope="module")
def lab(fifo: Path) -> Iterator[LocalLab]:
    functions = {
        "gate": ["cat", str(fifo)],  # answers when somebody writes into the fifo
        "fails": "sh -c 'echo half; echo broken >&2; exit 3'",
        "killed": ["sh", "-c", "kill -SEGV $$"],
        "slow": "sleep 30",
        "greedy": "yes",
        "ignores-input": "true",
    }
    with start(functions=functions) as lab:
        yield lab


@pytest.fixture
def gateway(lab: LocalLab) -> LocalGateway:
    return lab.gateways[0]


@pytest.fixture
def http(gateway: LocalGateway) -> Iterator[httpx.Client]:
    """A client without credentials."""
    with httpx.Client(base_url=gateway.url, timeout=30) as client:
        yield client


@pytest.fixture
def admin(gateway: LocalGateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, auth=gateway.auth, timeout=30) as client:
        yield client


@pytest.fixture
def temporary(admin: httpx.Client) -> Iterator[Callable[..., str]]:
    """Deploy functions under names of their own, removed afterwards."""
    names: list[str] = []

    def deploy(image: str, **env: str) -> str:
        name = f"temporary-{next(_NUMBERS)}"
        wanted = {"service": name, "image": image, "envVars": env}
        assert admin.post("/system/functions", json=wanted).status_code == 202
        names.append(name)
        return name

    yield deploy
    for name in names:
        admin.request("DELETE", "/system/functions", json={"functionName": name})


def metrics(gateway: LocalGateway) -> dict[tuple[str, str, str], float]:
    """Return samples by name, function and code."""
    text = httpx.get(gateway.metrics_url).text
    return {
        (
            sample.name,
            sample.labels.get("function_name", ""),
            sample.labels.get("code", sample.labels.get("le", "")),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }


# -- /function ---------------------------------------------------------------------------------


def test_the_builtin_functions_answer(http: httpx.Client) -> None:
    drawn = http.post("/function/figlet", content="DFaaS").text
    assert "#### " in drawn
    assert len(drawn.splitlines()) == 8
    assert http.post("/function/primes", content="100").text == "25\n"
    digest = hashlib.sha512(b"abc").hexdigest()
    assert http.post("/function/sha512sum", content=b"abc").text.split() == [digest, "-"]
    assert "Http_Method=GET" in http.get("/function/env").text.splitlines()
    for name in BUILTIN:  # none needs a body
        assert http.get(f"/function/{name}").status_code == 200


@given(body=st.one_of(st.binary(max_size=3000), st.text(max_size=300).map(str.encode)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_echo_returns_every_body_unchanged(http: httpx.Client, body: bytes) -> None:
    assert http.post("/function/echo", content=body).content == body


@pytest.mark.parametrize(
    "body",
    [b"", b"\0", b"'\"`${x};|\n\r\n", "é☃\u2028".encode(), os.urandom(1 << 20), b"x" * (16 << 20)],
    ids=["empty", "nul", "quotes", "unicode", "1MiB", "16MiB"],
)
def test_echo_returns_hostile_and_large_bodies(http: httpx.Client, body: bytes) -> None:
    assert http.post("/function/echo", content=body).content == body
    chunks = [body[at : at + 7000] for at in range(0, len(body), 7000)]
    assert http.post("/function/echo", content=iter(chunks)).content == body  # chunked


def test_a_body_beyond_the_limit_is_refused(http: httpx.Client) -> None:
    assert http.post("/function/sha512sum", content=b"x" * 20_000_000).status_code == 200
    assert http.post("/function/echo", content=b"x" * ((64 << 20) + 1)).status_code == 413
    assert http.post("/function/echo", content=b"on").text == "on"


def test_input_that_the_function_does_not_read_does_no_harm(http: httpx.Client) -> None:
    assert http.post("/function/ignores-input", content=b"x" * 1_000_000).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "UPDATE"])
def test_every_method_reaches_the_function(http: httpx.Client, method: str) -> None:
    answer = http.request(method, "/function/env")
    assert f"Http_Method={method}" in answer.text.splitlines()


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PURGE"])
def test_the_classic_watchdog_knows_no_other_method(http: httpx.Client, method: str) -> None:
    answer = http.request(method, "/function/env")
    assert (answer.status_code, answer.content) == (405, b"")


@pytest.mark.parametrize(
    ("path", "clean"),
    [("//function/env", "/function/env"), ("/function/env//a/", "/function/env/a/")],
)
def test_odd_paths_are_redirected(gateway: LocalGateway, path: str, clean: str) -> None:
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = link.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 301")
    assert f"location: {clean}\r\n" in answer.lower()


def test_the_request_is_in_the_environment_and_nothing_of_ours(http: httpx.Client) -> None:
    answer = http.post(
        "/function/env.openfaas-fn/a/%2Fb;c?x=1&y=%20",
        content=b"12345",
        headers={"X-Odd": "a;$(id)", "Content-Type": "a/b"},
    )
    env = dict(line.split("=", 1) for line in answer.text.splitlines())
    assert env["Http_Path"] == "/a/%2Fb;c"
    assert env["Http_Query"] == "x=1&y=%20"
    assert env["Http_Content_Length"] == env["Http_ContentLength"] == "5"
    assert env["Http_Content_Type"] == answer.headers["content-type"] == "a/b"
    assert env["Http_X_Odd"] == "a;$(id)"
    assert set(env) - {key for key in env if key.startswith("Http_")} == {
        "HOME",
        "PATH",
        "fprocess",
        "max_inflight",  # a setting of what comes deployed
    }


def test_each_request_is_a_process_of_its_own(http: httpx.Client, lab: LocalLab) -> None:
    functions = {"pid": ["sh", "-c", "echo $$ $PPID"]}
    with start(functions=functions) as own:
        url = f"{own.gateways[0].url}/function/pid"
        answers = [httpx.get(url).text.split() for _ in range(5)]
        assert len({pid for pid, _ in answers}) == 5
        (parent,) = {parent for _, parent in answers}
        assert "dfaas_lab.local.gateway" in psutil.Process(int(parent)).cmdline()
        assert psutil.Process(int(parent)).children() == []  # all are reaped


def test_headers_of_an_answer(http: httpx.Client) -> None:
    before = time.time_ns()
    answer = http.get("/function/echo")
    assert before <= int(answer.headers["X-Start-Time"]) <= time.time_ns()
    assert 0 < float(answer.headers["X-Duration-Seconds"]) <= answer.elapsed.total_seconds()
    # OpenFaaS's own header, and the one that DFaaS adds.
    assert answer.headers["X-Served-By"] == answer.headers["Dfaas-Node-Id"] == "node1"
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["X-Call-Id"])
    assert abs(parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()) < 5
    assert answer.headers.get_list("Date") == [answer.headers["Date"]]
    given = http.get("/function/echo", headers={"X-Call-Id": "mine"})
    assert given.headers["X-Call-Id"] == "mine"


def test_an_answer_does_not_wait_for_a_timer(http: httpx.Client) -> None:
    # Nagle's algorithm against delayed acknowledgements costs 40 ms at each answer.
    seconds = [http.get("/function/env").elapsed.total_seconds() for _ in range(31)]
    assert statistics.median(seconds) < 0.03


@pytest.mark.parametrize("name", ["nope", "echo.elsewhere", "", "%00", "..%2Fecho", "é"])
def test_an_unknown_function_is_not_found_and_not_counted(
    http: httpx.Client, gateway: LocalGateway, name: str
) -> None:
    assert http.get(f"/function/{name}").status_code == 404
    assert not [labels for labels in metrics(gateway) if "404" in labels]


def test_a_failing_function_is_an_error_with_its_own_words(http: httpx.Client) -> None:
    failed = http.get("/function/fails")
    assert failed.status_code == 500
    assert failed.text == "exit status 3\nhalf\nbroken\n"
    assert "X-Duration-Seconds" not in failed.headers
    assert http.get("/function/killed").text.startswith("signal: segmentation fault")


def test_a_function_beyond_its_time_is_killed(
    http: httpx.Client, temporary: Callable[..., str]
) -> None:
    name = temporary("slow", exec_timeout="300ms")
    answer = http.get(f"/function/{name}")
    assert (answer.status_code, answer.text) == (408, "Killed process.\n")
    assert "X-Duration-Seconds" not in answer.headers
    assert not running("sleep")


def test_the_gateway_itself_waits_for_so_long_and_no_longer() -> None:
    """60 s, as OpenFaaS does: then it is 502, whatever the function's own limit would be."""
    functions = {"slow": ["sleep", "60"]}
    with start(functions=functions) as own:
        (gateway,) = own.gateways
        assert Services(images(functions)).timeout_s == 60
        gateway.restart(timeout_s=0.4)
        with httpx.Client(base_url=gateway.url, auth=gateway.auth) as http:
            answer = http.get("/function/slow")
            assert (answer.status_code, answer.text) == (502, "")
            assert "X-Duration-Seconds" not in answer.headers
            assert metrics(gateway)["gateway_function_invocation_total", "slow.openfaas-fn", "502"]
            for limit, code in (("200ms", 408), ("9s", 502)):
                wanted = {"service": "slow", "image": "slow", "envVars": {"exec_timeout": limit}}
                assert http.put("/system/functions", json=wanted).status_code == 202
                assert http.get("/function/slow").status_code == code


def test_a_function_that_writes_without_end_is_stopped(http: httpx.Client) -> None:
    answer = http.get("/function/greedy")
    assert answer.status_code == 500
    assert http.get("/function/echo").status_code == 200


def running(program: str) -> list[psutil.Process]:
    me = psutil.Process()
    return [one for one in me.children(recursive=True) if one.name() == program]


def test_a_client_that_leaves_takes_its_function_along(
    gateway: LocalGateway, temporary: Callable[..., str]
) -> None:
    name = temporary("slow")
    port = int(gateway.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"GET /function/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert eventually(lambda: running("sleep"))
    assert eventually(lambda: not running("sleep"))
    labels = f"{name}.openfaas-fn", "502"
    assert eventually(lambda: metrics(gateway).get(("gateway_function_invocation_total", *labels)))


def test_half_a_request_occupies_nothing(gateway: LocalGateway, http: httpx.Client) -> None:
    port = int(gateway.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST /function/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab")
        assert http.get("/function/echo").status_code == 200
    assert http.get("/function/echo").status_code == 200


# -- limits ------------------------------------------------------------------------------------


class Held:
    """Requests that stay in flight until they are released."""

    def __init__(self, gateway: LocalGateway, name: str, fifo: Path) -> None:
        self._url = f"{gateway.url}/function/{name}"
        self._fifo = fifo
        self._gateway = gateway
        self._name = name
        self._pool = ThreadPoolExecutor(40)
        self._futures: list[object] = []

    def hold(self, count: int) -> None:
        before = len(running("cat"))
        for _ in range(count):
            self._futures.append(self._pool.submit(httpx.get, self._url, timeout=60))
        assert eventually(lambda: len(running("cat")) == before + count)

    def release(self) -> list[int]:
        released = threading.Event()

        def open_gate() -> None:
            while not released.is_set():
                with self._fifo.open("wb"):
                    time.sleep(0.05)

        opener = threading.Thread(target=open_gate, daemon=True)
        opener.start()
        codes = [future.result(30).status_code for future in self._futures]  # type: ignore[attr-defined]
        released.set()
        reader = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK)  # the opener may wait for one
        opener.join(10)
        os.close(reader)
        self._pool.shutdown()
        return codes


def test_429_exactly_above_the_limit_and_scaling_moves_it(
    gateway: LocalGateway,
    admin: httpx.Client,
    http: httpx.Client,
    temporary: Callable[..., str],
    fifo: Path,
) -> None:
    name = temporary("gate", max_inflight="2")
    held = Held(gateway, name, fifo)
    held.hold(2)
    refused = http.get(f"/function/{name}")
    assert refused.status_code == 429
    assert "X-Duration-Seconds" not in refused.headers  # it was not executed
    scaled = admin.post(f"/system/scale-function/{name}", json={"replicas": 2})
    assert scaled.status_code == 202
    held.hold(2)
    # Also with a body that is still on its way, and not as a broken connection.
    assert http.post(f"/function/{name}", content=b"x" * 8_000_000).status_code == 429
    assert http.get("/function/echo").status_code == 200  # the limit is each function's own
    assert held.release() == [200] * 4
    values = metrics(gateway)
    full_name = f"{name}.openfaas-fn"
    assert values["gateway_function_invocation_total", full_name, "200"] == 4
    assert values["gateway_function_invocation_total", full_name, "429"] == 2
    assert values["gateway_function_invocation_started", full_name, ""] == 6
    assert values["gateway_functions_seconds_count", full_name, "200"] == 4
    assert values["gateway_service_count", full_name, ""] == 2


def test_there_is_no_limit_where_none_is_set(
    gateway: LocalGateway, admin: httpx.Client, temporary: Callable[..., str], fifo: Path
) -> None:
    """What comes deployed says its own: it must not fork without end on a laptop."""
    name = temporary("gate")
    held = Held(gateway, name, fifo)
    held.hold(40)
    assert held.release() == [200] * 40
    told = {one["name"]: one.get("envVars") for one in admin.get("/system/functions").json()}
    assert (told["env"], told[name]) == ({"max_inflight": "32"}, None)


def test_it_saturates_honestly(gateway: LocalGateway) -> None:
    """Alone a request is quick; with more than the cores can do it is slower, and some fail."""

    def ask(_: int) -> tuple[int, float]:
        answer = httpx.post(f"{gateway.url}/function/primes", content="150000", timeout=60)
        return answer.status_code, float(answer.headers.get("X-Duration-Seconds", "nan"))

    alone_s = min(ask(0)[1] for _ in range(3))
    with ThreadPoolExecutor(48) as pool:
        answers = list(pool.map(ask, range(48)))
    codes = [code for code, _ in answers]
    assert set(codes) == {200, 429}
    slowest_s = max(duration_s for code, duration_s in answers if code == 200)
    assert slowest_s > 32 / (os.cpu_count() or 1) * alone_s / 4
    assert ask(0)[0] == 200  # and it recovers


# -- /system -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/system/functions"),
        ("POST", "/system/functions"),
        ("PUT", "/system/functions"),
        ("DELETE", "/system/functions"),
        ("GET", "/system/function/echo"),
        ("POST", "/system/scale-function/echo"),
        ("GET", "/system/info"),
        ("GET", "/system/nope"),
    ],
)
def test_system_needs_the_password(http: httpx.Client, method: str, path: str) -> None:
    for auth in (None, ("admin", ""), ("admin", "wrong"), ("", "")):
        answer = http.request(method, path, auth=auth)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    for value in ("Basic", "Basic ***", "Bearer x", "basic \xff"):
        odd = http.request(method, path, headers={"Authorization": value.encode("latin-1")})
        assert odd.status_code == 401


def test_each_lab_has_a_password_of_its_own(gateway: LocalGateway, local_lab: LocalLab) -> None:
    passwords = {gateway.auth[1], local_lab.gateways[0].auth[1]}
    assert len(passwords) == 2
    assert min(map(len, passwords)) >= 24


def test_the_password_is_in_no_command_line_and_no_environment(
    lab: LocalLab, gateway: LocalGateway
) -> None:
    manager = psutil.Process(lab.manager_pid)
    for process in (manager, *manager.children(recursive=True)):
        shown = " ".join(process.cmdline()) + str(process.environ())
        assert gateway.auth[1] not in shown
    assert gateway.auth[1] not in repr(lab)
    for file in lab.path.rglob("*"):
        if file.is_file():
            assert gateway.auth[1].encode() not in file.read_bytes()


def test_info_and_health(admin: httpx.Client, http: httpx.Client) -> None:
    info = admin.get("/system/info").json()
    assert info["provider"]["provider"] == "dfaas-lab"
    assert {"version", "arch"} <= info.keys()
    assert (http.get("/healthz").status_code, http.get("/healthz").text) == (200, "OK")


def test_functions_are_listed_and_described(admin: httpx.Client) -> None:
    listed = {one["name"]: one for one in admin.get("/system/functions").json()}
    assert set(BUILTIN) <= listed.keys()
    one = admin.get("/system/function/echo").json()
    expected = {"name": "echo", "namespace": "openfaas-fn", "image": "echo", "replicas": 1}
    assert expected.items() <= one.items()
    assert one["availableReplicas"] == 1
    assert admin.get("/system/function/echo.openfaas-fn").json()["name"] == "echo"
    assert admin.get("/system/function/nope").status_code == 404


def test_invocations_are_counted(admin: httpx.Client, http: httpx.Client) -> None:
    def count() -> int:
        return int(admin.get("/system/function/env").json().get("invocationCount", 0))

    before = count()
    for _ in range(3):
        http.get("/function/env")
    assert count() == before + 3


def test_deploy_update_and_delete(admin: httpx.Client, http: httpx.Client) -> None:
    wanted = {"service": "mine", "image": "echo", "labels": {"a": "b"}, "envVars": {"X": "1"}}
    assert admin.put("/system/functions", json=wanted).status_code == 404  # not there yet
    assert admin.post("/system/functions", json=wanted).status_code == 202
    assert admin.post("/system/functions", json=wanted).status_code == 500  # as on Kubernetes
    assert http.post("/function/mine", content="x").text == "x"
    assert admin.get("/system/function/mine").json()["labels"] == {"a": "b"}
    assert admin.put("/system/functions", json={**wanted, "image": "env"}).status_code == 202
    assert "X=1" in http.get("/function/mine").text.splitlines()
    bare = {"service": "mine", "image": "env"}
    assert admin.put("/system/functions", json=bare).status_code == 202
    assert not {"labels", "envVars"} & admin.get("/system/function/mine").json().keys()
    assert admin.get("/system/functions?namespace=other").status_code == 400
    gone = {"functionName": "mine"}
    assert admin.request("DELETE", "/system/functions", json=gone).status_code == 202
    assert admin.request("DELETE", "/system/functions", json=gone).status_code == 404
    assert http.get("/function/mine").status_code == 404


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"{", "Expecting"),
        (b"\xff", "decode"),
        (b'{"image": "echo"}', "'service' is missing"),
        (b'{"service": "x"}', "'image' is missing"),
        (b'{"service": "x", "image": "alpine:latest"}', "not registered"),
        (b'{"service": "x", "image": "/bin/sh"}', "not registered"),
        (b'{"service": "Not A Label", "image": "echo"}', "no function name"),
        (b'{"service": "x.y", "image": "echo"}', "without a namespace"),
        (b'{"service": "x", "image": "echo", "namespace": "other"}', "namespace 'other'"),
        (b'{"service": "x", "image": "echo", "envVars": {"A=B": "1"}}', "'envVars'"),
        (b'{"service": "x", "image": "echo", "envVars": {"A": 1}}', "'envVars'"),
        (b'{"service": "x", "image": "echo", "envVars": {"max_inflight": "0"}}', "max_inflight"),
        (b'{"service": "x", "image": "echo", "envVars": {"exec_timeout": "soon"}}', "exec_timeout"),
        (b'{"service": "x", "image": "echo", "labels": [1]}', "'labels'"),
    ],
)
def test_a_bad_deployment_is_refused_in_clear_words(
    admin: httpx.Client, body: bytes, said: str
) -> None:
    answer = admin.post("/system/functions", content=body)
    assert answer.status_code == 400
    assert said in answer.text
    assert "x" not in {one["name"] for one in admin.get("/system/functions").json()}


def test_scaling(admin: httpx.Client, http: httpx.Client, temporary: Callable[..., str]) -> None:
    name = temporary("echo")
    path = f"/system/scale-function/{name}"
    for bad in (-1, "2", None, True, 1.5):
        assert admin.post(path, json={"replicas": bad}).status_code == 400
    assert admin.post("/system/scale-function/nope", json={"replicas": 1}).status_code == 404
    assert admin.post(path, json={"serviceName": name, "replicas": 0}).status_code == 202
    assert admin.get(f"/system/function/{name}").json()["replicas"] == 1  # the least
    assert admin.post(path, json={"replicas": 9}).status_code == 202
    assert admin.get(f"/system/function/{name}").json()["replicas"] == 5  # the most
    assert http.get(f"/function/{name}").status_code == 200


def test_faasd_answers_otherwise() -> None:
    with start() as own:
        node = own.gateways[0]
        node.restart(provider="faasd")
        with httpx.Client(base_url=node.url, auth=node.auth) as admin:
            one = next(f for f in admin.get("/system/functions").json() if f["name"] == "echo")
            assert one["image"] == "docker.io/library/echo:latest"
            assert "availableReplicas" not in one
            assert admin.get("/system/function/echo").json()["availableReplicas"] == 1
            body = {"service": "echo", "image": "echo"}
            assert admin.post("/system/functions", json=body).status_code == 400
            node.restart(prometheus_down=True)
            with pytest.raises(httpx.RemoteProtocolError):
                admin.get("/system/functions")
            assert admin.get("/healthz").status_code == 200


def test_functions_that_start_slowly_or_never_or_die(
    admin: httpx.Client, http: httpx.Client
) -> None:
    for when, how in (("start", "never"), ("start", "0.5"), ("die", "0.5")):
        name = f"odd-{when}-{how.replace('.', '-')}"
        note = {f"dfaas-lab.{when}-seconds": how}
        wanted = {"service": name, "image": "echo", "annotations": note}
        assert admin.post("/system/functions", json=wanted).status_code == 202

    def shown(name: str) -> tuple[int, int]:
        told = admin.get(f"/system/function/{name}").json().get("availableReplicas", 0)
        return told, http.get(f"/function/{name}").status_code

    assert shown("odd-start-0-5") == (0, 502)
    time.sleep(0.6)
    assert shown("odd-start-0-5") == (1, 200)
    assert shown("odd-die-0-5") == (0, 502)
    assert shown("odd-start-never") == (0, 502)
    for name in ("odd-start-never", "odd-start-0-5", "odd-die-0-5"):
        admin.request("DELETE", "/system/functions", json={"functionName": name})


# -- metrics, clock, several gateways ----------------------------------------------------------


def test_metrics_are_on_a_port_of_their_own(gateway: LocalGateway, http: httpx.Client) -> None:
    http.get("/function/echo")
    names = {name for name, _, _ in metrics(gateway)}
    assert {
        "gateway_function_invocation_total",
        "gateway_function_invocation_started",
        "gateway_functions_seconds_count",
        "gateway_functions_seconds_sum",
        "gateway_service_count",
    } <= names
    assert not {name for name in names if name.endswith("_created")}
    assert http.get("/metrics").status_code == 404
    assert not gateway.metrics_url.startswith(gateway.url)


def test_time_measured_by_the_gateway_contains_that_of_the_function(
    gateway: LocalGateway, http: httpx.Client, temporary: Callable[..., str]
) -> None:
    name = temporary("primes")
    inside = float(http.get(f"/function/{name}").headers["X-Duration-Seconds"])
    assert metrics(gateway)["gateway_functions_seconds_sum", f"{name}.openfaas-fn", "200"] >= inside


def test_two_targets_are_two_gateways_of_their_own() -> None:
    with start(targets=2, clock_skew_s=90.0) as lab:
        first, second = lab.gateways
        assert (first.name, second.name) == ("node1", "node2")
        assert httpx.get(f"{second.url}/function/echo").headers["Dfaas-Node-Id"] == "node2"
        assert httpx.get(f"{first.url}/system/info", auth=second.auth).status_code == 401
        for _ in range(3):
            httpx.get(f"{first.url}/function/echo")
        started = "gateway_function_invocation_started", "echo.openfaas-fn", ""
        assert (metrics(first)[started], metrics(second)[started]) == (3, 1)

        assert 85 < clock_ahead_s(first) < 95
        first.kill()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{first.url}/healthz")
        assert httpx.get(f"{second.url}/healthz").status_code == 200
        first.restart(clock_skew_s=-30.0)
        assert -35 < clock_ahead_s(first) < -25
        assert httpx.get(f"{first.url}/system/info", auth=first.auth).status_code == 200


def clock_ahead_s(gateway: LocalGateway) -> float:
    date = httpx.get(f"{gateway.url}/function/nope").headers["Date"]
    return parsedate_to_datetime(date).timestamp() - time.time()


@pytest.mark.parametrize(
    ("functions", "said"),
    [
        ({"Bad Name": "true"}, "no function name"),
        ({"a.b": "true"}, "no namespaces"),
        ({"x": "no-such-program-here"}, "no command"),
        ({"x": []}, "no command"),
        ({"x": ""}, "no command"),
    ],
)
def test_functions_that_cannot_be_are_refused_before_anything_runs(
    functions: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        start(functions=functions)

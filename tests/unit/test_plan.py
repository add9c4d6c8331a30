"""What k6 gets follows from the load; what is stored of it holds no secret."""

from __future__ import annotations

import json
import re

import pytest

from dfaas_lab import Function, Generator, Target
from dfaas_lab.errors import ConfigError
from dfaas_lab.k6.plan import K6Plan
from dfaas_lab.load import Load, Share


def _plan(*functions: Function, load: object = 5, **more: object) -> K6Plan:
    checked = Load.of(load, duration="2s", functions=functions)  # type: ignore[arg-type]
    return K6Plan(checked, "http://10.0.0.60:8080/", **more)  # type: ignore[arg-type]


def _options(plan: K6Plan) -> dict[str, object]:
    return json.loads(plan.files()["plan.json"])["options"]


def test_a_rate_that_is_not_whole_is_scaled_by_its_time_unit() -> None:
    scenario = _options(_plan(Function("env"), load=2.5))["scenarios"]["f0"]  # type: ignore[index]
    assert scenario["timeUnit"] == "2s"
    assert {"duration": "1800000000ns", "target": 5} in scenario["stages"]


@pytest.mark.parametrize(
    ("rate", "duration_s", "planned"),
    [(5, 2, 10), (1, 8, 8), (0.5, 4, 2), (0.5, 5, 3), (1 / 3, 10, 3), (1 / 3, 11, 4),
     (1 / 49, 49, 1), (2.5, 1, 3), (1000, 1, 1000), (0, 5, 0)],
)  # fmt: skip
def test_as_many_requests_are_planned_as_the_rate_asks(
    rate: float, duration_s: float, planned: int
) -> None:
    assert Share(Function("env"), rate).planned(duration_s) == planned


def test_a_function_without_load_is_not_asked() -> None:
    plan = _plan(Function("figlet"), Function("env"), load={"figlet": 0, "env": 3})
    assert plan.functions == {"f0": "env"}


def test_every_request_ends_before_k6_stops_waiting() -> None:
    plan = _plan(Function("env"), Function("slow", timeout="45s"))
    for scenario in plan.scenarios:
        assert scenario.graceful_stop_s > scenario.share.function.timeout_s
    assert plan.time_limit_s > 2 + plan.graceful_stop_s


def test_header_values_are_not_in_what_is_stored() -> None:
    plan = _plan(Function("env", headers={"Authorization": "Bearer s3cret"}))
    assert b"s3cret" in plan.files()["plan.json"]
    assert b"s3cret" not in plan.redacted()
    assert b"Authorization" in plan.redacted()


def test_the_digest_tells_plans_apart() -> None:
    one, same = _plan(Function("env", body="a")), _plan(Function("env", body="a"))
    assert one.digest == same.digest
    assert one.digest != _plan(Function("env", body="b")).digest


@pytest.mark.parametrize("body", [b"\xff\x00", "text \u2603".encode()])
def test_bodies_travel_as_text_or_base64(body: bytes) -> None:
    (entry,) = json.loads(_plan(Function("echo", method="POST", body=body)).files()["bodies.json"])
    assert ("text" in entry) == (body != b"\xff\x00")


def test_thresholds_are_per_function() -> None:
    plan = _plan(Function("figlet"), Function("env"), thresholds={"env": "p(95)<200"})
    thresholds = _options(plan)["thresholds"]
    assert thresholds == {"http_req_duration{scenario:f1}": ["p(95)<200"]}


def test_no_metric_is_summed_up_for_nothing() -> None:
    """Each sub-metric costs k6 a tenth of what a request costs it."""
    assert _options(_plan(Function("env")))["thresholds"] == {}


@pytest.mark.parametrize(
    ("rate", "timeout", "duration", "ready", "most"),
    [
        (1, "10s", "60s", 12, 12),
        (10, "10s", "1s", 10, 10),  # no more than there are requests
        (15, "10s", "60s", 152, 152),  # all that the time limit asks for
        (36, "10s", "60s", 362, 362),
        (50, "10s", "60s", 400, 502),
        (200, "10s", "60s", 400, 2002),
        (1000, "10s", "60s", 1000, 10_002),
    ],
)
def test_vus_are_ready_where_that_is_cheap(
    rate: float, timeout: str, duration: str, ready: int, most: int
) -> None:
    load = Load.of(rate, duration=duration, functions=[Function("env", timeout=timeout)])
    (scenario,) = K6Plan(load, "http://h").scenarios
    assert (scenario.ready_vus, scenario.max_vus) == (ready, most)


def test_functions_share_what_is_cheap() -> None:
    """Those that may need few get all of them, whatever the others may need."""
    functions = [Function(f"f{n}") for n in range(20)]
    scenarios = K6Plan(Load.of(10, duration="60s", functions=functions), "http://h").scenarios
    assert {scenario.ready_vus for scenario in scenarios} == {20}
    two = [Function("slow"), Function("quick")]
    load = Load.of({"slow": 5, "quick": 300}, duration="60s", functions=two)
    assert [scenario.ready_vus for scenario in K6Plan(load, "http://h").scenarios] == [52, 500]


def test_vus_are_ready_for_twice_the_latency_that_was_seen() -> None:
    load = Load.of(100, duration="60s", functions=[Function("env", timeout="20s")])
    plan = K6Plan(load, "http://h")
    ready = [
        scenario.ready_vus
        for seen in (0.01, 1.5, 3.0, 30.0)
        for scenario in plan.expecting({"env": seen, "other": 9.0}).scenarios
    ]
    assert ready == [400, 400, 600, 2002]
    assert plan.expecting({"env": 3.0}) == plan


def test_thresholds_of_no_function_are_refused() -> None:
    with pytest.raises(ConfigError, match="no function of the load"):
        _plan(Function("env"), thresholds={"figlet": "p(95)<200"})


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        (5, "k6's form"),
        ({"env": 5}, "k6's form"),
        ({"env": [200]}, "k6's form"),
        ({"env": {"p(95)<200"}}, "k6's form"),
        ({"env": b"p(95)<200"}, "k6's form"),
        ({"env": {"http_req_duration": {"threshold": "p(95)<200"}}}, "k6's form"),
        ({"env": "foo"}, "k6 takes no 'foo'"),
        ({"env": "p(95)<200ms"}, "k6 takes no"),
        ({"env": "avg=5"}, "k6 takes no"),
        ({"env": "rate<0.1"}, "http_req_duration"),
        ({"env": {"http_req_failed": "p(95)<200"}}, "http_req_failed"),
        ({"env": {"http_req_duraton": "p(95)<200"}}, "no metric of a request"),
        ({"env": {5: "p(95)<200"}}, "no metric of a request"),
        ({"idle": "p(95)<200"}, "whose rate is 0"),
    ],
    ids=ascii,
)
def test_thresholds_that_k6_would_not_take_are_refused(thresholds: object, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        _plan(Function("env"), Function("idle"), load={"env": 5, "idle": 0}, thresholds=thresholds)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("metric", "rule"),
    [
        ("http_req_duration", "p(95)<200"),
        ("http_req_duration", " p(99.9) <= 1.5e3 "),
        ("http_req_duration", "avg===.5"),
        ("http_req_failed", "rate<0.01"),
        ("http_reqs", "count>10"),
    ],
)
def test_thresholds_that_k6_takes_are_taken(metric: str, rule: str) -> None:
    for rules in (rule, [rule], (rule,)):
        plan = _plan(Function("env"), thresholds={"env": {metric: rules}})
        assert _options(plan)["thresholds"][f"{metric}{{scenario:f0}}"] == [rule]  # type: ignore[index]
        assert json.dumps(plan.thresholds)  # a manifest holds them


def test_a_targets_own_thresholds_are_for_the_functions_that_take_load() -> None:
    target = Target(
        "mid",
        gateway="http://10.0.0.60:8080",
        generator=Generator("10.0.0.50"),
        functions=[Function("env"), Function("idle")],
        thresholds={"env": "p(95)<200", "idle": "p(95)<100"},
    )
    assert target._spec(1, load={"env": 5, "idle": 0}).thresholds == {"env": "p(95)<200"}
    assert target._spec(1, load=5).thresholds == target.thresholds

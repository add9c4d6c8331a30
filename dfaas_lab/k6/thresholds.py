"""Thresholds: checked, and converted to k6's form. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dfaas_lab.errors import ConfigError
from dfaas_lab.names import near

Thresholds = Mapping[str, "str | Sequence[str] | Mapping[str, str | Sequence[str]]"]

Rules = dict[str, list[str]]

_DEFAULT_METRIC = "http_req_duration"
# k6's metrics that a request has, and what can be asked of each kind
# (grafana.com/docs/k6: "Thresholds", "Built-in metrics").
_TREND = r"avg|min|max|med|p\(\d+(?:\.\d+)?\)"
_COUNTER, _RATE = "count|rate", "rate"
_ASKED_OF = {
    **{
        f"http_req_{phase}": _TREND
        for phase in (
            "duration",
            "blocked",
            "connecting",
            "tls_handshaking",
            "sending",
            "waiting",
            "receiving",
        )
    },
    **dict.fromkeys(("iteration_duration", "dfaas_function_ms", "dfaas_date_lead_ms"), _TREND),
    **dict.fromkeys(
        (
            "http_reqs",
            "iterations",
            "dropped_iterations",
            "data_sent",
            "data_received",
            "dfaas_started",
            "dfaas_answered",
        ),
        _COUNTER,
    ),
    "http_req_failed": _RATE,
}
_EXPRESSION = r"\s*(?:{asked})\s*(?:===?|!=|[<>]=?)\s*{number}\s*"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_HINT = "Give k6's expressions by function: {'env': 'p(95)<200'} or a list of them."


def rules_of(thresholds: Thresholds | None, rates: Mapping[str, float]) -> dict[str, Rules]:
    """Check thresholds and return them by function and metric.

    Args:
        thresholds: By function, k6's expressions on ``http_req_duration``, or by metric.
        rates: The load: requests per second by function.

    Raises:
        ConfigError: A function without load, an unknown metric, or no expression that k6 takes.
    """
    if thresholds is None:
        return {}
    if not isinstance(thresholds, Mapping):
        raise ConfigError(f"thresholds={thresholds!r} is not k6's form", hint=_HINT)
    for name in thresholds:
        _check_function(name, rates)
    return {
        name: {
            metric: _expressions(name, metric, rules)
            for metric, rules in (
                asked.items() if isinstance(asked, Mapping) else [(_DEFAULT_METRIC, asked)]
            )
        }
        for name, asked in thresholds.items()
    }


def _check_function(name: str, rates: Mapping[str, float]) -> None:
    if name not in rates:
        raise ConfigError(
            f"thresholds name {name!r}, which is no function of the load{near(name, rates)}",
            hint=f"The load's functions are: {', '.join(rates)}.",
        )
    if not rates[name]:
        raise ConfigError(
            f"thresholds name {name!r}, whose rate is 0: there is nothing to judge",
            hint="Give it a rate, or leave its threshold out.",
        )


def _expressions(function: str, metric: object, rules: object) -> list[str]:
    asked = _ASKED_OF.get(metric) if isinstance(metric, str) else None
    if asked is None:
        raise ConfigError(
            f"thresholds of {function}: {metric!r} is no metric of a request",
            hint=f"Give one of: {', '.join(_ASKED_OF)}.",
        )
    listed = [rules] if isinstance(rules, str) else rules
    if not isinstance(listed, list | tuple) or not all(isinstance(rule, str) for rule in listed):
        raise ConfigError(
            f"thresholds of {function}: {rules!r} is not k6's form",
            hint=_HINT,
        )
    for rule in listed:
        if not re.fullmatch(_EXPRESSION.format(asked=asked, number=_NUMBER), rule):
            ways = asked.replace("\\", "").replace("d+(?:.d+)?", "95").replace("|", ", ")
            raise ConfigError(
                f"thresholds of {function}: k6 takes no {rule!r} for {metric}",
                hint=f"Write what is asked (one of {ways}), a comparison and a number: "
                f"'{ways.rpartition(', ')[2]}<200'.",
            )
    return list(listed)

"""Sample files as k6 writes them, made from plain requests; and a slow, obvious reader of them."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass, field
from urllib.parse import quote

_V1 = """
metric_name timestamp metric_value error_code expected_response method scenario status
extra_tags metadata
"""
_V1_ALL = """
metric_name timestamp metric_value check error error_code expected_response group method name
proto scenario service status subproto tls_version url extra_tags metadata
"""
# Any order, and VU and iteration as columns of their own: what another version may do.
_SHUFFLED = """
timestamp metric_name vu iter scenario status expected_response metric_value error_code extra_tags
"""
V1, V1_ALL, SHUFFLED = _V1.split(), _V1_ALL.split(), _SHUFFLED.split()
HEADERS = (V1, V1_ALL, SHUFFLED)

PHASES = ("blocked", "connecting", "tls_handshaking", "sending", "waiting", "receiving")
T0 = 1_795_426_470_000_000_000


@dataclass(frozen=True)
class Request:
    """One HTTP request as k6 saw it; times in nanoseconds."""

    end_ns: int = T0
    blocked: int = 50_000
    connecting: int = 0
    tls_handshaking: int = 0
    sending: int = 100_000
    waiting: int = 5_000_000
    receiving: int = 200_000
    scenario: str = "f0"
    vu: int = 1
    iter: int = 0
    status: int = 200
    error_code: int | None = None
    failed: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    function_ns: int | None = None
    served_by: str | None = None

    @property
    def duration(self) -> int:
        return self.sending + self.waiting + self.receiving


def rows_of(request: Request, shuffle: random.Random) -> list[dict[str, str]]:
    """The nine rows of a request, and that of our script where the answer said something."""
    values = {"http_reqs": 1.0, "http_req_duration": request.duration / 1e6}
    values |= {f"http_req_{name}": getattr(request, name) / 1e6 for name in PHASES}
    values["http_req_failed"] = float(request.failed)
    shared = {
        "scenario": request.scenario,
        "status": str(request.status),
        "error_code": "" if request.error_code is None else str(request.error_code),
        "expected_response": str(not request.failed).lower(),
        "method": "GET",
    }
    rows = [
        _row(name, request.end_ns, value, request, shuffle) | shared
        for name, value in values.items()
    ]
    if request.function_ns is not None:
        value = request.function_ns / 1e6
        rows.append(_row("dfaas_function_ms", request.end_ns + 9, value, request, shuffle))
    elif request.served_by is not None:
        rows.append(_row("dfaas_answered", request.end_ns + 9, 1.0, request, shuffle))
    if request.served_by is not None:
        rows[-1]["metadata"] += f"&served_by={quote(request.served_by, safe='')}"
    return rows


def mark(metric: str, at_ns: int, scenario: str, value: float = 1.0) -> dict[str, str]:
    """A row that belongs to no request."""
    return {
        "metric_name": metric,
        "timestamp": str(at_ns),
        "metric_value": f"{value:f}",
        "scenario": scenario,
    }


def _row(
    metric: str, at_ns: int, value: float, request: Request, shuffle: random.Random
) -> dict[str, str]:
    keys = [f"vu={request.vu}", f"iter={request.iter}"]
    tags = list(request.tags.items())
    shuffle.shuffle(keys)
    shuffle.shuffle(tags)
    return mark(metric, at_ns, request.scenario, value) | {
        "vu": str(request.vu),
        "iter": str(request.iter),
        "extra_tags": "&".join(f"{name}={value}" for name, value in tags),
        "metadata": "&".join(keys),
    }


def text_of(rows: list[dict[str, str]], header: list[str]) -> str:
    """The rows as CSV."""
    lines = [header, *([row.get(name, "") for name in header] for row in rows)]
    return "".join(",".join(map(_field, line)) + "\n" for line in lines)


def _field(value: str) -> str:
    """Quoted where Go's encoding/csv quotes (fieldNeedsQuotes); Python's leaves out some."""
    if value and (value[0].isspace() or any(sign in value for sign in ',"\r\n')):
        return '"' + value.replace('"', '""') + '"'
    return value


def read_slowly(text: str) -> list[dict[str, object]]:
    """Group neighbouring rows: a request begins where the key changes or a metric repeats."""
    requests: list[dict[str, object]] = []
    key, values = None, {}
    for row in csv.DictReader(io.StringIO(text, newline="")):
        metric = row["metric_name"]
        if not metric.startswith("http_req"):
            continue
        metadata = dict(pair.split("=") for pair in (row.get("metadata") or "").split("&") if pair)
        vu, iteration = (row.get(name) or metadata.get(name) for name in ("vu", "iter"))
        mine = (row["scenario"], vu, iteration, row["timestamp"])
        if mine != key or metric in values:
            key, values = mine, {}
            requests.append({"row": row, "vu": vu, "iter": iteration, "values": values})
        values[metric] = float(row["metric_value"])
    return requests

"""Checks a target: its gateway, its clock, its functions, its Prometheus."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dfaas_lab.checks.finding import Finding, attempt
from dfaas_lab.errors import GatewayError
from dfaas_lab.services.endpoint import REDIRECT_HINT
from dfaas_lab.services.gateway import Gateway
from dfaas_lab.services.ssh_transport import through

if TYPE_CHECKING:
    from dfaas_lab.clock import Skew
    from dfaas_lab.load import Function
    from dfaas_lab.remote.remote import Remote
    from dfaas_lab.services.prometheus import Prometheus

# The verdict of a run doubts what is measured with clocks further apart.
_MAX_SKEW_S = 1.0
_MAX_SCRAPE_INTERVAL_S = 15.0
_PROBE_TIMEOUT_S = 5
# Where sshd lets no stream through, something there must ask for us.
_PROBE = """u=%s
if command -v curl >/dev/null; then exec curl -fsS --noproxy '*' -o /dev/null -m %d "$u" 2>&1; fi
command -v python3 >/dev/null || { echo "neither curl nor python3 is there to ask"; exit 1; }
said=$(python3 -c 'import sys, urllib.request as r
r.build_opener(r.ProxyHandler({})).open(sys.argv[1], timeout=%d)' "$u" 2>&1) && exit 0
printf '%%s\\n' "$said" | tail -n 1; exit 1"""


def check_target(
    gateway: Gateway,
    functions: Sequence[Function],
    prometheus: Prometheus | None = None,
    *,
    generator: Remote | None = None,
    generator_skew: Skew | None = None,
) -> list[Finding]:
    """Look at a target.

    Args:
        gateway: The gateway, by the way in which the target's calls go.
        functions: The target's functions.
        prometheus: The target's Prometheus, where it has one.
        generator: The generator, which is who must reach the gateway; None leaves that out.
        generator_skew: How far the generator's clock is ahead of ours; None leaves clocks out.
    """
    findings = []
    if generator is not None:
        check = "gateway from the generator"
        findings.append(attempt(check, lambda: _from_generator(check, generator, gateway.url)))
    reached = attempt("gateway", lambda: _gateway(gateway))
    findings.append(reached)
    if reached.ok:
        if generator_skew is not None:
            skew = generator_skew
            findings.append(attempt("gateway's clock", lambda: _clock(gateway, skew)))
        findings.append(attempt("functions", lambda: _functions(gateway, functions)))
    if prometheus is not None:
        findings.extend(_prometheus(prometheus))
    return findings


def _from_generator(check: str, generator: Remote, url: str) -> Finding:
    try:
        Gateway(url, transport=through(generator.open_tunnel)).check_health()
    except GatewayError as error:
        if "rohibited" not in error.message:
            raise
        return _probed(check, generator, url)
    return Finding(check, True, f"{url} answers")


def _probed(check: str, generator: Remote, url: str) -> Finding:
    seconds = _PROBE_TIMEOUT_S
    script = _PROBE % (shlex.quote(f"{url}/healthz"), seconds, seconds)
    result = generator.run(f"/bin/sh -c {shlex.quote(script)}", timeout=30, check=False)
    said = " ".join(result.stdout.decode(errors="replace").split())
    if result.exit_code == 0:
        return Finding(check, True, f"{url} answers")
    return Finding(
        check,
        False,
        f"{url}: {said}",
        "Check the URL, and the network between the generator and the target.",
    )


def _gateway(gateway: Gateway) -> Finding:
    gateway.check_health()
    return Finding("gateway", True, f"{gateway.url} answers")


def _clock(gateway: Gateway, generator_skew: Skew) -> Finding:
    skew = gateway.date_skew()
    if skew is None:
        return Finding("gateway's clock", None, "its answers have no Date: not compared")
    skew -= generator_skew
    return Finding(
        "gateway's clock",
        abs(skew.seconds) - skew.uncertainty_s <= _MAX_SKEW_S,
        f"{skew} from the generator's",
        "Set the clocks by NTP, on both: timedatectl set-ntp true",
    )


def _functions(gateway: Gateway, functions: Sequence[Function]) -> Finding:
    if where := gateway.redirect():
        return Finding("functions", False, f"calls are sent to {where}", REDIRECT_HINT)
    if gateway.anonymous and not gateway.authorized():
        return Finding(
            "functions", None, "without a password it answers 401", "Give Target(auth=...)."
        )
    namespaces = {function.name.partition(".")[2] for function in functions}
    deployed = {f.name: f for namespace in namespaces for f in gateway.functions(namespace)}
    missing = [f.name for f in functions if f.name not in deployed]
    if missing:
        return Finding(
            "functions",
            False,
            f"not deployed: {', '.join(missing)}",
            "Give them an image and call target.deploy(), or deploy them with faas-cli.",
        )
    waiting = [f.name for f in functions if deployed[f.name].is_waiting]
    return Finding(
        "functions",
        not waiting,
        f"no replica of: {', '.join(waiting)}" if waiting else f"all {len(functions)} ready",
        "Wait, or look at the provider's logs.",
    )


def _prometheus(prometheus: Prometheus) -> Iterator[Finding]:
    found = attempt("Prometheus", lambda: _ready(prometheus))
    yield found
    if found.ok is not False:
        yield attempt("scrape interval", lambda: _interval(prometheus))


def _ready(prometheus: Prometheus) -> Finding:
    targets = prometheus.targets()
    down = [target for target in targets if target.health != "up"]
    if down:
        instance = down[0].labels.get("instance")
        detail = f"{len(down)} of {len(targets)} not scraped: {instance}"
        fix = f"Prometheus says: {down[0].lastError or 'nothing yet'}"
        return Finding("Prometheus", None, detail, fix)
    return Finding("Prometheus", True, f"{prometheus.url} scrapes {len(targets)}")


def _interval(prometheus: Prometheus) -> Finding:
    interval_s = prometheus.scrape_interval_s()
    if interval_s is None:
        return Finding("scrape interval", None, "it does not say")
    short = interval_s <= _MAX_SCRAPE_INTERVAL_S
    return Finding(
        "scrape interval",
        True if short else None,
        f"{interval_s:g} s",
        "Measure for many intervals, or lower scrape_interval in prometheus.yml.",
    )

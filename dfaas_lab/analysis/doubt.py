"""The verdict on a run and its doubts, and how findings of one kind become one doubt. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from dfaas_lab.display.cards import card, chip, folded
from dfaas_lab.printable import printable, safe_html

_SHOWN = 5

Cause = Literal["", "generator", "processor"]
"""Whose fault a doubt is: ``generator`` and ``processor`` (its processors) are the generator's own.

A slow node also makes k6 drop and leave requests: those have no cause.
"""


@dataclass(frozen=True)
class Doubt:
    """One reason not to believe a run.

    Args:
        what: The kind.
        measured: With its number, and where.
        expected: What it should be.
        fix: What to do.
        cause: Whose fault it is.
        iterations: In which iterations; none for one that is of the whole run.

    >>> print(Doubt("generator CPU", measured="97%", expected="at most 80%"))
    generator CPU: 97% (expected at most 80%)
    """

    what: str
    measured: str
    expected: str
    fix: str = ""
    cause: Cause = ""
    iterations: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.what}: {self.measured} (expected {self.expected})"


@dataclass(frozen=True)
class Verdict:
    """Whether a run can be believed.

    Args:
        doubts: The reasons not to believe it, one for each kind.
        remarks: What to know about numbers that are as they were asked: every request failed, a
            quantile has too few requests.
        running: Whether the run is still under way; it is then judged by what is there.
        insecure: Whether certificates were not checked, as ``Target(insecure=True)`` asks for.

    >>> doubt = Doubt("dropped iterations", measured="6", expected="0", fix="Ask for less.")
    >>> print(Verdict((doubt,)))
    DOUBTFUL: dropped iterations: 6 (expected 0)
    """

    doubts: tuple[Doubt, ...] = ()
    remarks: tuple[str, ...] = ()
    running: bool = False
    insecure: bool = False

    @property
    def valid(self) -> bool:
        """True where the run has ended and there is no doubt.

        >>> Verdict().valid, Verdict(running=True).valid
        (True, False)
        """
        return not self.doubts and not self.running

    @property
    def word(self) -> str:
        """``VALID``, ``DOUBTFUL``, or ``RUNNING`` where the run has not ended.

        >>> Verdict((Doubt("drops", "6", "0"),)).word
        'DOUBTFUL'
        """
        return "RUNNING" if self.running else "DOUBTFUL" if self.doubts else "VALID"

    def __str__(self) -> str:
        # Names of functions come from scripts and archives: they may hold a terminal's commands.
        doubts = "; ".join(str(doubt) for doubt in self.doubts)
        noted = " (certificates were not checked: insecure=True)" if self.insecure else ""
        return printable((f"{self.word}: {doubts}" if doubts else self.word) + noted)

    def explain(self) -> str:
        """The verdict in lines: each doubt with what to do, then the remarks.

        >>> print(Verdict((Doubt("drops", "6", "0", "Ask for less."),)).explain())
        DOUBTFUL
        - drops: 6 (expected 0). Ask for less.
        """
        notes = (f"Note: {remark}" for remark in self.remarks)
        below = (f"- {line}" for line in (*self.lines, *notes))
        return "\n".join(printable(line) for line in (self.word, *below))

    @property
    def lines(self) -> list[str]:
        """Each doubt with what to do.

        >>> Verdict((Doubt("drops", "6", "0", "Ask for less."),)).lines
        ['drops: 6 (expected 0). Ask for less.']
        """
        doubts = [f"{doubt}" + (f". {doubt.fix}" if doubt.fix else "") for doubt in self.doubts]
        noted = ["Certificates were not checked: insecure=True."] if self.insecure else []
        return [*doubts, *noted]

    @safe_html
    def _repr_html_(self) -> str:
        title = f"{len(self.doubts) or 'no'} doubt{'' if len(self.doubts) == 1 else 's'}"
        notes = folded("note", self.remarks)
        return card(title, {}, state=chip(self.word), troubles=self.lines, below=notes)


@dataclass(frozen=True)
class Kind:
    """A kind of finding: the doubt's ``what``, ``expected``, ``fix`` and ``cause``."""

    what: str
    expected: str
    fix: str
    cause: Cause = ""


@dataclass(frozen=True)
class Finding:
    """One number that speaks against a run.

    Args:
        kind: Its kind.
        measured: The number, with its unit.
        target: Where.
        iteration: In which iteration.
        function: Of which function; empty where it is the generator's.
    """

    kind: Kind
    measured: str
    target: str
    iteration: int
    function: str = ""


def grouped(findings: Iterable[Finding], *, several: bool = False) -> list[Doubt]:
    """One doubt for each kind, in the order in which they were found; several targets are named.

    >>> kind = Kind("drops", "0", "Give fewer.")
    >>> found = [Finding(kind, "6", "", 1, "env"), Finding(kind, "9", "", 3, "env")]
    >>> str(grouped(found)[0])
    'drops: env 6 and 9, iterations 1 and 3 (expected 0)'
    """
    kinds: dict[Kind, dict[str, list[Finding]]] = {}
    for finding in findings:
        places = kinds.setdefault(finding.kind, {})
        where = finding.function + (f" of {finding.target}" if several else "")
        places.setdefault(where, []).append(finding)
    return [_doubt(kind, places) for kind, places in kinds.items()]


def _doubt(kind: Kind, places: dict[str, list[Finding]]) -> Doubt:
    measured = "; ".join(_of_place(where, findings) for where, findings in places.items())
    iterations = sorted({finding.iteration for place in places.values() for finding in place})
    return Doubt(kind.what, measured, kind.expected, kind.fix, kind.cause, tuple(iterations))


def _of_place(where: str, findings: list[Finding]) -> str:
    numbers = _listed([finding.measured for finding in findings])
    iterations = _listed([str(finding.iteration) for finding in findings])
    plural = "s" if len(findings) > 1 else ""
    return f"{where} {numbers}, iteration{plural} {iterations}".strip()


def _listed(words: list[str]) -> str:
    if len(words) > _SHOWN:
        return f"{', '.join(words[:_SHOWN])} and {len(words) - _SHOWN} more"
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)

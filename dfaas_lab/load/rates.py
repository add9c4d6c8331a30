"""The rates of a plan: linear, exponential, random, or a list.

Rates are whole requests per second, rising and distinct. Each class is a value that can be
iterated: ``list(Linear(0, 20, step=10))`` is ``[0, 10, 20]``.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from dfaas_lab.errors import ConfigError
from dfaas_lab.load.load import MAX_RATE_RPS


class Rates(ABC):
    """Rising, distinct whole rates in requests per second."""

    @property
    @abstractmethod
    def values(self) -> tuple[int, ...]:
        """The rates, rising."""

    def __iter__(self) -> Iterator[int]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def described(self) -> dict[str, Any]:
        """Return what :func:`rates_of` makes the same of: values for JSON.

        >>> Linear(0, 20, step=10).described()
        {'type': 'linear', 'min': 0, 'max': 20, 'step': 10}
        """
        kind = type(self).__name__.lower()
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.init}  # type: ignore[arg-type]
        return {
            "type": kind,
            **{k: list(v) if isinstance(v, tuple) else v for k, v in given.items()},
        }

    def _check(self, **least: int) -> None:
        for name, low in least.items():
            whole = whole_number(getattr(self, name), f"{type(self).__name__}({name}=...)", low)
            object.__setattr__(self, name, whole)


@dataclass(frozen=True)
class Linear(Rates):
    """The grid from ``min`` in steps of ``step``; ``max`` is in it only if it falls on it.

    Args:
        min: The lowest rate, in requests per second, 0 or more.
        max: No rate is above it.
        step: From one rate to the next.

    >>> list(Linear(0, 25, step=10))
    [0, 10, 20]
    """

    min: int = 0
    max: int = 200
    step: int = 10

    def __post_init__(self) -> None:
        self._check(min=0, max=0, step=1)
        _check_ends("Linear", self.min, self.max)

    @property
    def values(self) -> tuple[int, ...]:
        """The rates, rising.

        >>> Linear(0, 20, step=10).values
        (0, 10, 20)
        """
        return tuple(range(self.min, self.max + 1, self.step))


@dataclass(frozen=True)
class Exponential(Rates):
    """``base ** power`` for each power from ``min_power`` to ``max_power``.

    It stops at the first rate above ``max_rate``, where that is given.

    Args:
        base: 2 or more.
        min_power: The first power.
        max_power: The last one.
        max_rate: In requests per second.

    >>> list(Exponential(base=2, min_power=0, max_power=8, max_rate=20))
    [1, 2, 4, 8, 16]
    """

    base: int = 2
    min_power: int = 0
    max_power: int = 8
    max_rate: int | None = None

    def __post_init__(self) -> None:
        self._check(base=2, min_power=0, max_power=0)
        if self.max_rate is not None:
            self._check(max_rate=1)
        _check_ends("Exponential", self.min_power, self.max_power, "_power")
        high = self.max_power > 64 or self.base**self.max_power > MAX_RATE_RPS
        if high and self.max_rate is None:
            raise ConfigError(
                f"Exponential: {self.base} to the power of {self.max_power} is more than any "
                "generator can make",
                hint="Give a lower max_power, or max_rate=.",
            )
        if not self.values:
            raise ConfigError(
                f"Exponential: the first rate, {self.base} to the power of {self.min_power}, is "
                f"above max_rate={self.max_rate}",
                hint="Give a higher max_rate or a lower min_power.",
            )

    @property
    def values(self) -> tuple[int, ...]:
        """The rates, rising.

        >>> Exponential(10, 0, 2).values
        (1, 10, 100)
        """
        rates = []
        for power in range(self.min_power, self.max_power + 1):
            rate = self.base**power
            if self.max_rate is not None and rate > self.max_rate:
                break
            rates.append(rate)
        return tuple(rates)


@dataclass(frozen=True)
class Random(Rates):
    """``count`` distinct rates from ``min`` to ``max`` (both possible), drawn once.

    They are those of ``random.Random(seed).sample(range(min, max + 1), count)``, sorted; all of the
    range where it has no more than ``count``. Without a seed one is drawn, and ``seed`` keeps it.

    Args:
        min: The lowest rate possible, in requests per second.
        max: The highest one.
        count: How many rates.
        seed: Of the draw; the same seed gives the same rates.

    >>> Random(10, 200, count=3, seed=1).values == Random(10, 200, count=3, seed=1).values
    True
    """

    min: int = 10
    max: int = 200
    count: int = 10
    seed: int | None = None
    drawn_seed: bool = field(init=False, repr=False, compare=False)
    """Whether the seed was drawn, not given."""
    _drawn: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check(min=0, max=0, count=1)
        _check_ends("Random", self.min, self.max)
        object.__setattr__(self, "drawn_seed", self.seed is None)
        if self.seed is None:
            object.__setattr__(self, "seed", random.SystemRandom().randrange(2**32))
        else:
            object.__setattr__(self, "seed", whole_number(self.seed, "Random(seed=...)"))
        possible = range(self.min, self.max + 1)
        if self.count >= len(possible):
            drawn = list(possible)
        else:
            drawn = sorted(random.Random(self.seed).sample(possible, self.count))  # noqa: S311
        object.__setattr__(self, "_drawn", tuple(drawn))

    @property
    def values(self) -> tuple[int, ...]:
        """The rates, rising.

        >>> Random(1, 3, count=5).values  # all there are
        (1, 2, 3)
        """
        return self._drawn


@dataclass(frozen=True)
class Custom(Rates):
    """These rates, sorted and each once.

    Args:
        rates: In requests per second, 0 or more.

    >>> list(Custom([20, 5, 20]))
    [5, 20]
    """

    rates: Iterable[int]

    def __post_init__(self) -> None:
        if isinstance(self.rates, str | bytes) or not isinstance(self.rates, Iterable):
            raise ConfigError(
                f"Custom({self.rates!r}) is no list of rates", hint="Write Custom([10, 50, 100])."
            )
        rates = sorted({whole_number(rate, "a rate of Custom", 0) for rate in self.rates})
        if not rates:
            raise ConfigError("Custom has no rate", hint="Write Custom([10, 50, 100]).")
        object.__setattr__(self, "rates", tuple(rates))

    @property
    def values(self) -> tuple[int, ...]:
        """The rates, rising.

        >>> Custom([20, 5]).values
        (5, 20)
        """
        return tuple(self.rates)


_KINDS: dict[str, type[Rates]] = {
    kind.__name__.lower(): kind for kind in (Linear, Exponential, Random, Custom)
}


def rates_of(given: Rates | Iterable[int] | Mapping[str, Any]) -> Rates:
    """Return rates from themselves, from a list, or from what ``described()`` gave.

    Raises:
        ConfigError: It is none of these.
    """
    if isinstance(given, Rates):
        return given
    if isinstance(given, Mapping):
        entries = dict(given)
        kind = _KINDS.get(str(entries.pop("type", "")))
        if kind is None:
            raise ConfigError(
                f"unknown rates {given!r}", hint=f"'type' is one of: {', '.join(_KINDS)}."
            )
        try:
            return kind(**entries)
        except TypeError as error:
            raise ConfigError(f"rates {given!r}: {error}") from error
    return Custom(given)


def _check_ends(kind: str, low: int, high: int, what: str = "") -> None:
    if high < low:
        raise ConfigError(
            f"{kind}: max{what}={high} is below min{what}={low}",
            hint="Give the lower one first.",
        )


def whole_number(value: object, what: str, least: int | None = None) -> int:
    """Return a whole number, also one of NumPy's or a float such as 20.0.

    Args:
        value: What is given.
        what: What it is, for the error.
        least: Of a rate: the lowest one; None for a number that is no rate, such as a seed.

    Raises:
        ConfigError: It is none, or not within the rates that can be.
    """
    number = None if isinstance(value, bool | str | bytes) else _integer(value)
    if number is None:
        hint = "Rates are whole requests per second." if least is not None else "Give one: 1."
        raise ConfigError(f"{what}: {value!r} is no whole number", hint=hint)
    if least is not None and number < least:
        raise ConfigError(f"{what}: {number} is too low", hint=f"Give {least} or more.")
    if least is not None and number > MAX_RATE_RPS:
        raise ConfigError(
            f"{what}: {number} is more than any generator can make",
            hint=f"Give {MAX_RATE_RPS} at most.",
        )
    return number


def _integer(value: Any) -> int | None:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number == value else None

"""``Plan``: every combination of functions and rates, made one at a time when asked for."""

from __future__ import annotations

import hashlib
import itertools
import math
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from dfaas_lab.display.cards import card
from dfaas_lab.errors import ConfigError
from dfaas_lab.load.function import Function
from dfaas_lab.load.rates import Rates, rates_of
from dfaas_lab.printable import safe_html, safe_repr

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class PlannedLoad(Mapping[str, int]):
    """Requests per second by function name, names sorted; a value that can be a key.

    >>> PlannedLoad({"figlet": 20, "env": 0})
    PlannedLoad({'env': 0, 'figlet': 20})
    """

    __slots__ = ("_rates",)

    def __init__(self, rates: Mapping[str, int] | Iterable[tuple[str, int]]) -> None:
        self._rates = dict(sorted(dict(rates).items()))

    @classmethod
    def _of_sorted(cls, names: tuple[str, ...], rates: Iterable[int]) -> PlannedLoad:
        load = cls.__new__(cls)
        load._rates = dict(zip(names, rates, strict=True))
        return load

    @property
    def load_id(self) -> str:
        """The first 12 hex digits of the SHA-256 of ``name:rate`` joined by ``|``.

        >>> PlannedLoad({"figlet": 20, "env": 10}).load_id
        'b4d120d7cc8b'
        """
        return hashlib.sha256(str(self).encode()).hexdigest()[:12]

    @property
    def idle(self) -> bool:
        """Whether every rate is 0."""
        return not any(self._rates.values())

    def __getitem__(self, name: str) -> int:
        return self._rates[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rates)

    def __len__(self) -> int:
        return len(self._rates)

    def __hash__(self) -> int:
        return hash(tuple(self._rates.items()))

    def __str__(self) -> str:
        return "|".join(f"{name}:{rate}" for name, rate in self._rates.items())

    def __repr__(self) -> str:
        return f"PlannedLoad({self._rates!r})"


class Plan(Sequence[PlannedLoad]):
    """All combinations of some functions, and for each all combinations of their rates.

    Names are sorted. Combinations come by size, then lexicographically; for each the last
    function's rate varies fastest. A plan is lazy: ``len(plan)`` and ``plan[i]`` build nothing, and
    iterating holds one load at a time. A rate of 0 means that the function takes no load.

    Args:
        functions: Names, or functions: a function's ``max_rate`` cuts its rates.
        rates: ``Linear``, ``Exponential``, ``Random``, ``Custom``, or a list of rates.
        sizes: How many functions a combination has: the fewest and the most, both included.

    Raises:
        ConfigError: A name that is given twice, sizes that cannot be, or no load at all.

    >>> plan = Plan(["figlet", "env"], [10, 20], sizes=(2, 2))
    >>> len(plan), dict(plan[1])
    (4, {'env': 10, 'figlet': 20})
    """

    def __init__(
        self,
        functions: Iterable[str | Function],
        rates: Rates | Iterable[int],
        *,
        sizes: tuple[int, int] = (1, 1),
    ) -> None:
        self.rates = rates_of(rates)
        self.sizes = _sizes(sizes)
        self._caps = _caps(functions)
        self._allowed = {
            name: tuple(rate for rate in self.rates if cap is None or rate <= cap)
            for name, cap in self._caps.items()
        }
        if self._size > sys.maxsize:
            raise ConfigError(
                f"the plan has {self._size:.3g} loads, more than can be counted",
                hint="Give fewer functions, smaller sizes, or fewer rates.",
            )
        if not len(self):
            usable = ", ".join(name for name, allowed in self._allowed.items() if allowed)
            raise ConfigError(
                f"the plan has no load: sizes={self.sizes} of these functions with rates: "
                f"{usable or 'none'}",
                hint="Give more functions, smaller sizes, or rates below each max_rate.",
            )
        if self.without_rates:
            warnings.warn(self.notice, stacklevel=2)

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the functions, sorted.

        >>> Plan(["figlet", "env"], [10]).functions
        ('env', 'figlet')
        """
        return tuple(self._caps)

    @property
    def without_rates(self) -> tuple[str, ...]:
        """The functions whose ``max_rate`` is below every rate: no load contains them.

        >>> Plan(["env"], [10]).without_rates
        ()
        """
        return tuple(name for name, allowed in self._allowed.items() if not allowed)

    @property
    def notice(self) -> str:
        """What to tell of functions that no load contains; empty where there are none.

        >>> Plan(["env"], [10]).notice
        ''
        """
        return "; ".join(
            f"{name} is in no load: its max_rate {self._caps[name]:g} is below the lowest rate "
            f"{min(self.rates)}"
            for name in self.without_rates
        )

    def rates_of(self, name: str) -> tuple[int, ...]:
        """The rates of one function, after its ``max_rate``.

        >>> Plan([Function("env", max_rate=25), Function("figlet")], [10, 20, 30]).rates_of("env")
        (10, 20)
        """
        return self._allowed[name]

    def limited(self, functions: Iterable[Function]) -> Plan:
        """Return the same plan with the ``max_rate`` of these functions, where it is lower.

        >>> Plan(["env"], [10, 20, 30]).limited([Function("env", max_rate=20)])
        Plan(env; Custom(rates=(10, 20, 30)); sizes=(1, 1); 2 loads)
        """
        own = {function.name: function.max_rate for function in functions}
        caps = {
            name: min((one for one in (cap, own.get(name)) if one is not None), default=None)
            for name, cap in self._caps.items()
        }
        if caps == self._caps:
            return self
        return Plan(
            [Function(name, max_rate=cap) for name, cap in caps.items()],
            self.rates,
            sizes=self.sizes,
        )

    @cached_property
    def combinations(self) -> tuple[tuple[str, ...], ...]:
        """The combinations of functions that have rates, in order.

        >>> Plan(["env", "figlet"], [10], sizes=(1, 2)).combinations
        (('env',), ('figlet',), ('env', 'figlet'))
        """
        return tuple(self._combined())

    def _combined(self) -> Iterator[tuple[str, ...]]:
        for size in self._size_range:
            yield from itertools.combinations(self._usable, size)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The index of each combination's first load, and the number of loads at the end.

        >>> Plan(["env", "figlet"], [10, 20]).starts
        (0, 2, 4)
        """
        counts = (math.prod(self.shape(names)) for names in self.combinations)
        return tuple(itertools.accumulate(counts, initial=0))

    def shape(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """How many rates each function of a combination has.

        >>> Plan(["env", "figlet"], [10, 20, 30], sizes=(2, 2)).shape(("env", "figlet"))
        (3, 3)
        """
        return tuple(len(self._allowed[name]) for name in names)

    def __len__(self) -> int:
        return self._size

    @cached_property
    def _size(self) -> int:
        return sum(self._ahead[0][size] for size in self._size_range)

    @cached_property
    def _usable(self) -> tuple[str, ...]:
        return tuple(name for name, allowed in self._allowed.items() if allowed)

    @property
    def _size_range(self) -> range:
        low, high = self.sizes
        return range(low, min(high, len(self._usable)) + 1)

    @cached_property
    def _ahead(self) -> list[list[int]]:
        """How many loads there are of so many of the functions from each one on."""
        ahead = [[1, *([0] * len(self._usable))]]
        for name in reversed(self._usable):
            after, rates = ahead[-1], len(self._allowed[name])
            more = (rates * fewer for fewer in after)
            ahead.append([1, *(sum(pair) for pair in zip(after[1:], more, strict=False))])
        return ahead[::-1]

    def __iter__(self) -> Iterator[PlannedLoad]:
        for names in self._combined():
            for rates in itertools.product(*(self._allowed[name] for name in names)):
                yield PlannedLoad._of_sorted(names, rates)

    @overload
    def __getitem__(self, index: int) -> PlannedLoad: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedLoad]: ...
    def __getitem__(self, index: int | slice) -> PlannedLoad | Sequence[PlannedLoad]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        names, rest = self._combination_at(range(len(self))[index])
        rates = []
        for name in reversed(names):
            rest, digit = divmod(rest, len(self._allowed[name]))
            rates.append(self._allowed[name][digit])
        return PlannedLoad._of_sorted(names, reversed(rates))

    def _combination_at(self, index: int) -> tuple[tuple[str, ...], int]:
        """The combination of the load at an index, and the load's place in it."""
        sizes = iter(self._size_range)
        while index >= (count := self._ahead[0][left := next(sizes)]):
            index -= count
        names: list[str] = []
        each = 1  # loads of the functions that are chosen already
        for place, name in enumerate(self._usable):
            with_it = each * len(self._allowed[name])
            if not left:
                break
            if index < (count := with_it * self._ahead[place + 1][left - 1]):
                names, each, left = [*names, name], with_it, left - 1
            else:
                index -= count
        return tuple(names), index

    def position(self, load: Mapping[str, int]) -> int | None:
        """The index of a load; None where the plan does not have it.

        Args:
            load: Rates by name, of exactly the load's functions.

        >>> Plan(["env"], [10, 20, 30]).position({"env": 20})
        1
        """
        names = tuple(sorted(load))
        if names not in self._where:
            return None
        position = 0
        for name in names:
            digits = self._digits[name]
            if load[name] not in digits:
                return None
            position = position * len(digits) + digits[load[name]]
        return self.starts[self._where[names]] + position

    def __contains__(self, load: object) -> bool:
        return isinstance(load, Mapping) and self.position(load) is not None

    def totals(self) -> NDArray[np.int64]:
        """The sum of rates of each load, in requests per second, in the plan's order.

        >>> Plan(["env", "figlet"], [10, 20], sizes=(2, 2)).totals().tolist()
        [20, 30, 30, 40]
        """
        import numpy as np

        totals = np.empty(len(self), np.int64)
        for which, names in enumerate(self.combinations):
            axes = np.ix_(*(np.asarray(self._allowed[name], np.int64) for name in names))
            block = totals[self.starts[which] : self.starts[which + 1]]
            block.reshape(self.shape(names))[...] = sum(axes)
        return totals

    def described(self) -> dict[str, Any]:
        """Return what :meth:`from_described` makes the same of: values for JSON.

        >>> Plan(["env"], [10]).described()["functions"]
        {'env': None}
        """
        return {
            "functions": dict(self._caps),
            "rates": self.rates.described(),
            "sizes": list(self.sizes),
        }

    @classmethod
    def from_described(cls, entries: Mapping[str, Any]) -> Plan:
        """Return the plan that ``described()`` told of.

        >>> plan = Plan(["env"], Linear(0, 20, step=10))
        >>> Plan.from_described(plan.described()) == plan
        True
        """
        functions = [Function(name, max_rate=cap) for name, cap in entries["functions"].items()]
        low, high = entries["sizes"]
        with warnings.catch_warnings():  # it was told when the plan was made
            warnings.simplefilter("ignore")
            return cls(functions, rates_of(entries["rates"]), sizes=(low, high))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.described() == other.described()

    def __hash__(self) -> int:
        return hash((tuple(self._caps.items()), self.rates.values, self.sizes))

    @safe_html
    def _repr_html_(self) -> str:
        low, high = self.sizes
        combinations = sum(math.comb(len(self._usable), size) for size in self._size_range)
        together = f"{low}" if low == high else f"{low} to {high}"
        facts = {
            "functions": ", ".join(self.functions),
            "rates (req/s)": ", ".join(map(str, self.rates)),
            "at once": f"{together} of the functions: {combinations:,} combinations",
        }
        troubles = [self.notice] if self.notice else []
        return card(f"plan of {len(self):,} loads", facts, troubles=troubles)

    @safe_repr
    def __repr__(self) -> str:
        return (
            f"Plan({', '.join(self.functions)}; {self.rates!r}; sizes={self.sizes}; "
            f"{len(self):,} loads)"
        )

    @cached_property
    def _where(self) -> dict[tuple[str, ...], int]:
        return {names: which for which, names in enumerate(self.combinations)}

    @cached_property
    def _digits(self) -> dict[str, dict[int, int]]:
        return {
            name: {rate: digit for digit, rate in enumerate(allowed)}
            for name, allowed in self._allowed.items()
        }


def _caps(functions: Iterable[str | Function]) -> dict[str, float | None]:
    if isinstance(functions, str | Function):
        functions = [functions]
    if not isinstance(functions, Iterable):
        raise ConfigError(
            f"{functions!r} is no list of functions", hint='Write Plan(["figlet", "env"], ...).'
        )
    made = [one if isinstance(one, Function) else Function(one) for one in functions]
    names = [function.name for function in made]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"the plan names {', '.join(twice)} twice", hint="Give each function once."
        )
    return {f.name: f.max_rate for f in sorted(made, key=lambda function: function.name)}


def _sizes(sizes: object) -> tuple[int, int]:
    good = (
        isinstance(sizes, Sequence)
        and len(sizes) == 2
        and all(isinstance(size, int) and not isinstance(size, bool) for size in sizes)
        and 1 <= sizes[0] <= sizes[1]
    )
    if not good or not isinstance(sizes, Sequence):
        raise ConfigError(
            f"sizes={sizes!r} cannot be",
            hint="Give the fewest and the most functions of a combination, both included: "
            "sizes=(1, 2).",
        )
    return sizes[0], sizes[1]

"""Refuses the use of a lab's targets and generators once the lab is closed."""

from __future__ import annotations

from dfaas_lab.errors import ConfigError


class Membership:
    """The open labs that have an object; one that never was in a lab may always be used."""

    def __init__(self) -> None:
        self._labs: set[int] = set()
        self._hint: str | None = None

    def join(self, lab: object) -> None:
        """Belong to a lab, also after another one was closed."""
        self._labs.add(id(lab))
        self._hint = None

    def leave(self, lab: object, *, hint: str) -> None:
        """A lab is closed; ``hint`` says what to do where it was the last one."""
        self._labs.discard(id(lab))
        if not self._labs:
            self._hint = hint

    @property
    def closed(self) -> bool:
        """Whether its last lab is closed."""
        return self._hint is not None

    def check(self) -> None:
        """Make sure that it may be used.

        Raises:
            ConfigError: Its lab is closed.
        """
        if self._hint is not None:
            raise ConfigError("this lab is closed", hint=self._hint)

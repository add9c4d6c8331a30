"""Completes the names of functions in ``load={"``, as IPython completes keys in ``targets["``.

IPython completes keys of objects that are there; a dict that is being typed is none yet, so it
offers file names. A matcher of our own comes first where it knows better.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

# The keys of a mapping that is an argument: in front of it may be other keys with their values.
_KEY = re.compile(
    r"(?P<call>[\w.\[\]'\" ]*)\.(?:run_k6|start_k6|preview|run_interleaved|campaign)\s*\("
    r"(?:[^()]|\([^()]*\))*?"
    r"(?:(?:load|thresholds)\s*=\s*|(?<=\()\s*)"
    r"\{(?:[^{}]*,)?\s*(?P<quote>['\"])(?P<typed>[\w.-]*)\Z",
    re.DOTALL,
)
_ROOT = re.compile(r"[A-Za-z_]\w*")
_FACADES = ("dfaas_lab.lab", "dfaas_lab.target")
_MOST = 2000  # characters that are looked at


def names_for(code: str, namespace: Mapping[str, Any]) -> tuple[str, str, list[str]] | None:
    """Return what completes the code: the part that was typed, its quote, and the names.

    Args:
        code: The cell's text up to the cursor.
        namespace: The user's variables.
    """
    found = _KEY.search(code[-_MOST:])
    if found is None:
        return None
    root = _ROOT.search(found["call"])
    asked = namespace.get(root[0]) if root else None
    objects = [asked] if _is_ours(asked) else list(namespace.values())
    names = {name: None for one in objects if _is_ours(one) for name in _functions(one)}
    typed = found["typed"]
    return typed, found["quote"], [name for name in names if name.startswith(typed)]


def _is_ours(value: object) -> bool:
    return type(value).__module__ in _FACADES


def _functions(facade: Any) -> Iterable[str]:
    targets = getattr(facade, "targets", None)
    for target in [facade] if targets is None else targets.values():
        yield from (function.name for function in getattr(target, "functions", ()))


def register_completion() -> None:
    """Let IPython ask here, once; does nothing outside of IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    matchers = getattr(getattr(shell, "Completer", None), "custom_matchers", None)
    if matchers is not None and _match not in matchers:
        matchers.append(_match)


def _match(context: Any) -> dict[str, Any]:
    """Match, by version 2 of IPython's protocol."""
    from IPython import get_ipython
    from IPython.core.completer import SimpleCompletion

    before = context.full_text.split("\n")[: context.cursor_line]
    code = "\n".join([*before, context.text_until_cursor])
    found = names_for(code, get_ipython().user_ns)
    if found is None or not found[2]:
        return {"completions": [], "suppress": False}
    typed, quote, names = found
    closed = context.line_with_cursor[context.cursor_position :].startswith(quote)
    end = "" if closed else quote
    return {
        "completions": [SimpleCompletion(name + end, type="function") for name in names],
        "matched_fragment": typed,
        "suppress": True,
    }


_match.matcher_api_version = 2  # type: ignore[attr-defined]
_match.matcher_identifier = "dfaas_lab.load"  # type: ignore[attr-defined]

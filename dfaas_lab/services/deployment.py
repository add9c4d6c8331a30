"""The body of a deployment: new settings over those that are there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dfaas_lab.secret import sealed

if TYPE_CHECKING:
    from dfaas_lab.load import Function
    from dfaas_lab.services.answers import FunctionAnswer

# By attribute of a Function, OpenFaaS's name.
_SETTINGS = {
    "env": "envVars",
    "labels": "labels",
    "annotations": "annotations",
    "limits": "limits",
}
# What a Function does not have, and a PUT without it would remove.
_KEPT = ("requests", "constraints", "envProcess", "readOnlyRootFilesystem")


def description(function: Function, known: FunctionAnswer | None) -> dict[str, Any]:
    """Return the body of ``POST`` or ``PUT``; what ``known`` has beyond the function is kept."""
    name, _, namespace = function.name.partition(".")
    wanted: dict[str, Any] = {"service": name, "image": function.image, "namespace": namespace}
    for setting, called in _SETTINGS.items():
        before = getattr(known, called) if known else {}
        wanted[called] = {**before, **getattr(function, setting)}
    wanted["envVars"] = sealed(wanted["envVars"])
    before = (known.secrets if known else None) or []
    wanted["secrets"] = [*before, *(one for one in function.secrets if one not in before)]
    if known is not None:
        wanted |= {called: getattr(known, called) for called in _KEPT}
    return {key: value for key, value in wanted.items() if value or value is False}


def is_deployed(function: Function, known: FunctionAnswer) -> bool:
    """Whether a function stands there as it is wanted."""
    same_image = normalised(known.image) == normalised(function.image or "")
    settings = all(
        getattr(known, called).items() >= dict(getattr(function, setting)).items()
        for setting, called in _SETTINGS.items()
    )
    return same_image and settings and set(function.secrets) <= set(known.secrets or ())


def normalised(image: str) -> str:
    """Return an image's whole name, as container runtimes complete it.

    >>> normalised("lab/figlet"), normalised("figlet:1")
    ('docker.io/lab/figlet:latest', 'docker.io/library/figlet:1')
    """
    name, at, digest = image.partition("@")
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}"
    if not at and ":" not in name.rpartition("/")[2]:
        name += ":latest"
    return f"{name}{at}{digest}"

"""Checks of generators and targets: what they lack. Nothing is changed anywhere.

What is found becomes the frame of ``Generator.check()`` and ``Lab.check()``.
"""

from dfaas_lab.checks.finding import lacking
from dfaas_lab.checks.host import GeneratorToCheck, check_generator, check_host
from dfaas_lab.checks.lab import TargetToCheck, check_lab
from dfaas_lab.checks.target import check_target

__all__ = [
    "GeneratorToCheck",
    "TargetToCheck",
    "check_generator",
    "check_host",
    "check_lab",
    "check_target",
    "lacking",
]

"""What is asked of a target: durations, functions, loads, plans. Pure values, no I/O."""

from dfaas_lab.load.duration import format_duration, seconds
from dfaas_lab.load.function import Function
from dfaas_lab.load.load import Load, Share
from dfaas_lab.load.plan import Plan, PlannedLoad
from dfaas_lab.load.rates import Custom, Exponential, Linear, Random

__all__ = [
    "Custom",
    "Exponential",
    "Function",
    "Linear",
    "Load",
    "Plan",
    "PlannedLoad",
    "Random",
    "Share",
    "format_duration",
    "seconds",
]

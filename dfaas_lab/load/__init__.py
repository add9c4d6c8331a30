"""What is asked of a target: durations, functions, loads, plans. Pure values, no I/O."""

from dfaas_lab.load.duration import format_duration, seconds
from dfaas_lab.load.function import Function
from dfaas_lab.load.load import Load, Share

__all__ = ["Function", "Load", "Share", "format_duration", "seconds"]

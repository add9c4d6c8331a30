"""Looking at generators and targets and saying what they lack. Nothing is changed anywhere.

What is found becomes the frame of ``Generator.check()`` and ``Lab.check()``.
"""

from dfaas_lab.checks.host import check_generator, check_host
from dfaas_lab.checks.target import check_target

__all__ = ["check_generator", "check_host", "check_target"]

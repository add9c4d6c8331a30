"""A lab written down in a file: read it and check it. No connection is made, nothing is built.

What is described becomes plain values (:class:`LabFile`); ``Lab.from_file`` makes objects of them.
"""

from dfaas_lab.labfile.reader import parse, read
from dfaas_lab.labfile.values import GeneratorEntry, LabFile, TargetEntry

__all__ = ["GeneratorEntry", "LabFile", "TargetEntry", "parse", "read"]

"""The embedded lab: a generator and its targets on loopback, with no root and no system package.

>>> from dfaas_lab.local import start
>>> with start() as lab:                     # doctest: +SKIP
...     lab.ssh.port, lab.gateways[0].url
"""

from dfaas_lab.local.local_lab import LocalLab, start
from dfaas_lab.local.parts import LocalGateway, LocalPart, LocalSsh

__all__ = ["LocalGateway", "LocalLab", "LocalPart", "LocalSsh", "start"]

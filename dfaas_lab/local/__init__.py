"""The embedded lab: a generator and its targets on loopback, with no root and no system package.

>>> from dfaas_lab.local import start
>>> with start() as lab:                     # doctest: +SKIP
...     lab.ssh.port, lab.gateways[0].url
"""

from dfaas_lab.local.lab_handle import (
    LocalGateway,
    LocalLab,
    LocalSsh,
    LocalSshServer,
    start,
)

__all__ = ["LocalGateway", "LocalLab", "LocalSsh", "LocalSshServer", "start"]

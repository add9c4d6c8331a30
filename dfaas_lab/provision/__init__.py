"""Making hosts ready with the playbooks, once per session. The only place that runs Ansible.

>>> from dfaas_lab.config import Host
>>> from dfaas_lab.provision import GeneratorSpec, provision
>>> provision([GeneratorSpec(host=Host("10.0.0.50"), name="big")])   # doctest: +SKIP
"""

from dfaas_lab.background import run_interruptible
from dfaas_lab.provision.cache import forget, known, provision, remember, teardown
from dfaas_lab.provision.events import bar
from dfaas_lab.provision.locks import hold_here, interrupted
from dfaas_lab.provision.marker import Marker, read_marker
from dfaas_lab.provision.report import ProvisionReport, TaskRow, joined
from dfaas_lab.provision.spec import GeneratorSpec, TargetSpec, playbooks_folder

__all__ = [
    "GeneratorSpec",
    "Marker",
    "ProvisionReport",
    "TargetSpec",
    "TaskRow",
    "bar",
    "forget",
    "hold_here",
    "interrupted",
    "joined",
    "known",
    "playbooks_folder",
    "provision",
    "read_marker",
    "remember",
    "run_interruptible",
    "teardown",
]

"""Making hosts ready with the playbooks, once per session. The only place that runs Ansible.

>>> from dfaas_lab.config import Host
>>> from dfaas_lab.provision import GeneratorSpec, provision
>>> provision([GeneratorSpec(host=Host("10.0.0.50"), name="big")])   # doctest: +SKIP
"""

from dfaas_lab.provision.front import interruptibly
from dfaas_lab.provision.marker import Marker, read_marker
from dfaas_lab.provision.report import ProvisionReport, TaskRow
from dfaas_lab.provision.session import forget, provision
from dfaas_lab.provision.spec import GeneratorSpec, TargetSpec, playbooks_folder
from dfaas_lab.provision.teardown import teardown

__all__ = [
    "GeneratorSpec",
    "Marker",
    "ProvisionReport",
    "TargetSpec",
    "TaskRow",
    "forget",
    "interruptibly",
    "playbooks_folder",
    "provision",
    "read_marker",
    "teardown",
]

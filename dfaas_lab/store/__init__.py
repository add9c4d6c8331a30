"""Results on disk: a folder per run and iteration, written whole or not at all."""

from dfaas_lab.store.archive import OpenedArchive, open_archive, save
from dfaas_lab.store.folder import RunFolder
from dfaas_lab.store.manifest import FORMAT
from dfaas_lab.store.provenance import provenance
from dfaas_lab.store.store import Store, new_run_id

__all__ = [
    "FORMAT",
    "OpenedArchive",
    "RunFolder",
    "Store",
    "new_run_id",
    "open_archive",
    "provenance",
    "save",
]

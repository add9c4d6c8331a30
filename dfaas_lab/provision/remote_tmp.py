"""Where Ansible may keep its temporary files on a host whose home is of no use for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfaas_lab.errors import DfaasLabError
from dfaas_lab.remote.shell import answer

if TYPE_CHECKING:
    from dfaas_lab.remote.remote import Remote

# Ansible takes ~/.ansible/tmp, and gives its name to "echo" as words: of blanks in a row one is
# left, and marks are read. The folder in the place of a home must be ours alone: whoever could
# write there could change what is run.
_SCRIPT = r"""case $HOME in
*'  '* | ' '* | *' ' | *[!A-Za-z0-9/._\ @+,:=-]*) ;;
*) [ -d "$HOME" ] && [ -w "$HOME" ] && exit 0 ;;
esac
d=/var/tmp/dfaas-lab-ansible-$(id -u)
mkdir -m 700 "$d" 2>/dev/null
[ -d "$d" ] && [ ! -L "$d" ] && [ -O "$d" ] && chmod 700 "$d" && echo "$d"
:"""


def usable_tmp(remote: Remote) -> str:
    """Return a folder for Ansible where the user's home is missing, read-only or oddly named.

    Empty where the home will do, and where it cannot be told: then Ansible says what is wrong.
    """
    try:
        return answer(remote, _SCRIPT).strip()
    except DfaasLabError:
        return ""

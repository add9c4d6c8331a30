"""The keywords of an ssh configuration: which mean something to us, nothing, or too much.

Nothing is passed over silently: what is on neither list is refused where it is in force.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

# What ``ssh_config`` acts upon.
_SUPPORTED = """
    connecttimeout globalknownhostsfile hostname identitiesonly identityagent identityfile
    ignoreunknown port proxycommand proxyjump stricthostkeychecking user userknownhostsfile
"""
# What changes nothing about where we get to, whom we trust and how we log in: a terminal, a session
# of the user's own, forwardings, keeping alive, agents' housekeeping, ways to log in that we never
# try, words that OpenSSH itself ignores by now.
_HARMLESS = """
    addkeystoagent batchmode canonicaldomains canonicalizefallbacklocal canonicalizemaxdots
    canonicalizepermittedcnames casignaturealgorithms challengeresponseauthentication channeltimeout
    checkhostip cipher clearallforwardings compression compressionlevel connectionattempts
    controlmaster controlpath controlpersist dynamicforward enableescapecommandline enablesshkeysign
    escapechar exitonforwardfailure fallbacktorsh fingerprinthash forkafterauthentication
    forwardagent forwardx11 forwardx11timeout forwardx11trusted gatewayports gssapiauthentication
    gssapiclientidentity gssapidelegatecredentials gssapikexalgorithms gssapikeyexchange
    gssapirenewalforcesrekey gssapiserveridentity gssapitrustdns hashknownhosts
    hostbasedacceptedalgorithms hostbasedauthentication hostbasedkeytypes ipqos
    kbdinteractiveauthentication kbdinteractivedevices keepalive localcommand localforward loglevel
    logverbose nohostauthenticationforlocalhost numberofpasswordprompts obscurekeystroketiming
    passwordauthentication permitlocalcommand permitremoteopen protocol rekeylimit remoteforward
    requesttty rhostsrsaauthentication rsaauthentication sendenv serveralivecountmax
    serveraliveinterval setenv skeyauthentication stdinnull streamlocalbindmask
    streamlocalbindunlink syslogfacility tag tcpkeepalive tisauthentication tunnel tunneldevice
    updatehostkeys usekeychain useprivilegedport useroaming usersh verifyhostkeydns versionaddendum
    visualhostkey warnweakcrypto xauthlocation
"""
_ALGORITHMS = "a choice of algorithms is not supported"
_REFUSED = {
    "addressfamily": "a choice of IPv4 or IPv6 is not supported: write the address",
    "bindaddress": "a local address is not supported",
    "bindinterface": "a local interface is not supported",
    "canonicalizehostname": "host names are not made canonical: write the full HostName",
    "certificatefile": "certificates are not supported: name the key with key=",
    "ciphers": _ALGORITHMS,
    "dsaauthentication": "nobody can log in without a key",
    "hostkeyalgorithms": _ALGORITHMS,
    "hostkeyalias": "an alias for the host key is not supported: use HostName with the real name",
    "identityagent": "another agent is not supported: set SSH_AUTH_SOCK",
    "kexalgorithms": _ALGORITHMS,
    "knownhostscommand": "a command for host keys is not supported: write them into a file",
    "macs": _ALGORITHMS,
    "pkcs11provider": "PKCS#11 tokens are not supported: name a key file with key=",
    "proxyusefdpass": "a passed file descriptor is not supported",
    "pubkeyacceptedalgorithms": _ALGORITHMS,
    "pubkeyacceptedkeytypes": _ALGORITHMS,
    "pubkeyauthentication": "nobody can log in without a key",
    "remotecommand": "a command of its own is not supported",
    "requiredrsasize": _ALGORITHMS,
    "revokedhostkeys": "a file of revoked keys is not supported: mark them @revoked in known_hosts",
    "securitykeyprovider": "FIDO keys are not supported: name a key file with key=",
    "sessiontype": "another kind of session is not supported",
}
# Values that mean what is done anyway.
_HARMLESS_VALUES = {
    "addressfamily": ("any",),
    "canonicalizehostname": ("no",),
    "dsaauthentication": ("yes",),
    "identityagent": ("none", "SSH_AUTH_SOCK"),
    "knownhostscommand": ("none",),
    "pkcs11provider": ("none",),
    "proxyusefdpass": ("no",),
    "pubkeyauthentication": ("yes", "unbound", "host-bound"),
    "remotecommand": ("none",),
    "revokedhostkeys": ("none",),
    "securitykeyprovider": ("internal",),
    "sessiontype": ("default",),
}
_TOKENS = {
    "globalknownhostsfile": "",
    "hostname": "h",
    "identityfile": "dhru",
    "include": "",
    "match exec": "dhLlnpru%",
    "proxycommand": "hnpr%",
    "proxyjump": "hpr",
    "userknownhostsfile": "",
}
_PATHS = ("globalknownhostsfile", "identityfile", "include", "userknownhostsfile")
_COMMANDS = ("match exec", "proxycommand")  # a '${' is their shell's
_SIMPLE_PATH = re.compile(r"~(?:/[^~]*)?|[^~]*")


def is_harmless(keyword: str) -> bool:
    """Whether a line with that keyword may be passed over, whatever its value is."""
    return keyword in _HARMLESS.split()


def is_known(keyword: str) -> bool:
    """Whether ssh itself knows the keyword, as far as we know."""
    return keyword in _known()


def problem_of(keyword: str, words: Sequence[str]) -> str:
    """Return why a line is not supported; empty where it is.

    >>> problem_of("hostnam", ["10.0.0.1"])
    'hostnam is not known: did you mean hostname?'
    """
    value = words[0]
    if keyword in _REFUSED:
        harmless = value in _HARMLESS_VALUES.get(keyword, ())
        return "" if harmless else f"{keyword}: {_REFUSED[keyword]}"
    if keyword == "preferredauthentications":
        return "" if "publickey" in value.split(",") else f"{keyword}: only keys are supported"
    if keyword not in _SUPPORTED.split():
        return _unknown(keyword)
    if keyword in ("port", "connecttimeout") and not value.isdecimal():
        return f"{keyword} is no whole number"
    if keyword == "stricthostkeychecking" and value.lower() in ("no", "off"):
        return "host keys are always checked: use accept-new, or Host(host_keys='accept-new')"
    if keyword == "userknownhostsfile" and value in ("none", "/dev/null"):
        return "host keys are always checked: name a file, or give Host(known_hosts=...)"
    return placeholder_problem(keyword, words) if keyword in _TOKENS else ""


def placeholder_problem(keyword: str, words: Sequence[str]) -> str:
    """Return which placeholder or home in these words is not supported; empty where all are."""
    tokens = _TOKENS[keyword]
    for word in words:
        unknown = any(token not in tokens for token in re.findall(r"%(.?)", word, re.DOTALL))
        if unknown or ("${" in word and keyword not in _COMMANDS):
            known = ", ".join(f"%{token}" for token in tokens) or "none"
            return f"{keyword}: a placeholder in {word} is not supported (known: {known})"
        if keyword in _PATHS and not _SIMPLE_PATH.fullmatch(word):
            return f"{keyword}: in {word}, '~' may only stand for your own home"
    return ""


def _unknown(keyword: str) -> str:
    near = difflib.get_close_matches(keyword, _known(), 1)
    return f"{keyword} is not known" + (f": did you mean {near[0]}?" if near else "")


def _known() -> list[str]:
    return [*_SUPPORTED.split(), *_HARMLESS.split(), *_REFUSED, "preferredauthentications"]

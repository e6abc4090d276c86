"""Each keyword that `sshd -T` prints: read here, harmless for a reason, or a doubt.

Source: sshd_config(5) of OpenSSH 8.2 to 10.6, and what Debian and Ubuntu add.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from fidokit.server.sshd.settings import SshdSettings

READ: Final = frozenset(
    [
        "allowgroups",
        "allowusers",
        "authenticationmethods",
        "authorizedkeyscommand",
        "authorizedkeyscommanduser",
        "authorizedkeysfile",
        "authorizedprincipalscommand",
        "authorizedprincipalscommanduser",
        "authorizedprincipalsfile",
        "casignaturealgorithms",
        "challengeresponseauthentication",
        "chrootdirectory",
        "denygroups",
        "denyusers",
        "gssapiauthentication",
        "gssauthentication",
        "hostbasedauthentication",
        "kbdinteractiveauthentication",
        "kerberosauthentication",
        "listenaddress",
        "pamservicename",
        "passwordauthentication",
        "permitemptypasswords",
        "permitrootlogin",
        "pidfile",
        "port",
        "pubkeyacceptedalgorithms",
        "pubkeyacceptedkeytypes",
        "pubkeyauthentication",
        "pubkeyauthoptions",
        "refuseconnection",
        "requiredrsasize",
        "revokedkeys",
        "strictmodes",
        "trustedusercakeys",
        "usedns",
        "usepam",
    ]
)
"""What the check takes into account."""

_REASONS: Final[Mapping[str, str]] = {
    "what a session may do": """
        acceptenv agentsocketpath allowagentforwarding allowstreamlocalforwarding
        allowtcpforwarding channeltimeout disableforwarding exposeauthinfo forcecommand
        gatewayports maxsessions permitlisten permitopen permittty permittunnel
        permituserenvironment permituserrc setenv streamlocalbindmask streamlocalbindunlink
        subsystem x11displayoffset x11forwarding x11uselocalhost xauthlocation
    """,
    "how the connection is protected": """
        ciphers compression fingerprinthash gssapikexalgorithms hostcertificate hostkey
        hostkeyagent hostkeyalgorithms kexalgorithms macs modulifile rekeylimit
        securitykeyprovider warnweakcrypto
    """,
    "how long, how often and how many users may try": """
        clientalivecountmax clientaliveinterval logingracetime maxauthtries maxstartups
        persourcemaxstartups persourcenetblocksize persourcepenalties
        persourcepenaltyexemptlist unusedconnectiontimeout
    """,
    "how the network is used": "addressfamily ipqos rdomain tcpkeepalive",
    "what is shown or logged": """
        banner debianbanner loglevel logverbose printlastlog printmotd syslogfacility
        versionaddendum
    """,
    "counts only if HostbasedAuthentication is on, which is read": """
        hostbasedacceptedalgorithms hostbasedacceptedkeytypes hostbasedusesnamefrompacketonly
        ignorerhosts ignoreuserknownhosts
    """,
    "counts only if GSSAPIAuthentication is on, which is read": """
        gssapicleanupcredentials gssapidelegatecredentials gssapikeyexchange
        gssapistorecredentialsonrekey gssapistrictacceptorcheck gsscleanupcreds
        gssdelegatecreds gssstrictacceptor
    """,
    "counts only if KerberosAuthentication is on, which is read": """
        kerberosgetafstoken kerberosorlocalpasswd kerberosticketcleanup
    """,
    "names the parts of the same sshd": "sshdauthpath sshdsessionpath",
}
HARMLESS: Final[Mapping[str, str]] = MappingProxyType(
    {keyword: reason for reason, words in _REASONS.items() for keyword in words.split()}
)
"""Keywords that decide nothing about who gets in, each with the reason."""

_OPTIONS: Final = frozenset({"", "none", "touch-required", "verify-required"})
_LIMIT: Final = "max-pk-ok:"


def doubts(settings: SshdSettings) -> Iterator[str]:
    """What an sshd prints and nobody here knows, a sentence each."""
    for keyword in sorted(settings.values):
        if keyword not in READ and keyword not in HARMLESS:
            value = settings.first(keyword)[:80]
            yield f"this sshd has a setting that fidokit does not know: {keyword} {value}"
    for word in settings.first("pubkeyauthoptions").split():
        if word not in _OPTIONS and not word.startswith(_LIMIT):
            yield f"this sshd has a word that fidokit does not know: PubkeyAuthOptions {word}"

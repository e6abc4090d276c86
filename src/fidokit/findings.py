"""The stable ids of what `server check` and `doctor` report; docs/findings.md explains each.

An id keeps its meaning for good: what is no longer reported leaves a gap. 1xx is about logins by a
key, 2xx about other ways in, 3xx about files and modes, 4xx about what cannot be known, 5xx is what
`doctor` looks at, 6xx is about many hosts. This module runs on Python 3.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Severity(str, Enum):  # noqa: UP042  StrEnum came with Python 3.11
    """How much a finding matters by itself; one that breaks a stated rule is an error."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class FindingKind:
    """One thing that can be found.

    Attributes:
        id: `FK` and three digits.
        severity: of one that breaks no rule.
        title: a few words.
        doubt: it says that something cannot be known, which counts against a rule.
    """

    id: str
    severity: Severity
    title: str
    doubt: bool = False


_ALL: Final[dict[str, FindingKind]] = {}


def _kind(number: int, severity: Severity, title: str, *, doubt: bool = False) -> FindingKind:
    made = FindingKind(f"FK{number}", severity, title, doubt)
    _ALL[made.id] = made
    return made


_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

# --- logins by a key -----------------------------------------------------------------------

KEY_IN_FILE: Final = _kind(101, _NOTE, "a key in a file gets in")
NO_PIN: Final = _kind(102, _NOTE, "a key gets in without a PIN or fingerprint")
WEAK_KEY: Final = _kind(103, _WARNING, "a weak key gets in")
SHORT_KEY: Final = _kind(104, _NOTE, "a short RSA key gets in")
DUPLICATE_KEY: Final = _kind(105, _NOTE, "the same key is in two places")
NO_TOUCH: Final = _kind(106, _WARNING, "a key on a token gets in without a touch")
IDLE_OPTION: Final = _kind(107, _WARNING, "an option does nothing for this key")
UNSEEN_CERTIFICATE: Final = _kind(108, _WARNING, "certificates that cannot be listed get in")
UNSEEN_KEY: Final = _kind(109, _WARNING, "keys that cannot be listed get in")
REFUSED_KEY: Final = _kind(110, _NOTE, "sshd refuses a key")
IGNORED_LINE: Final = _kind(111, _NOTE, "sshd ignores a line")
BREAK_GLASS: Final = _kind(112, _ERROR, "a break-glass key does not get in")

# --- other ways in -------------------------------------------------------------------------

PASSWORD: Final = _kind(201, _WARNING, "a password alone gets in")
EMPTY_PASSWORD: Final = _kind(202, _ERROR, "an empty password gets in")
HOST_BASED: Final = _kind(203, _WARNING, "users of trusted hosts get in")
KERBEROS: Final = _kind(204, _WARNING, "a Kerberos ticket gets in")

# --- files and modes -----------------------------------------------------------------------

LOOSE_KEY_FILE: Final = _kind(301, _ERROR, "others may change a key file that sshd reads")
IGNORED_KEY_FILE: Final = _kind(302, _WARNING, "sshd does not read a key file")
LOOSE_CONFIGURATION: Final = _kind(303, _ERROR, "others may change sshd's configuration")
LOOSE_HOST_KEY: Final = _kind(304, _ERROR, "others may read or change a host key")
LOOSE_AUTHORITIES: Final = _kind(305, _ERROR, "others may change the trusted authorities")
LOOSE_REVOCATIONS: Final = _kind(306, _ERROR, "others may change the revoked keys")
LOOSE_PRINCIPALS: Final = _kind(307, _ERROR, "others may change a principals file")
LOOSE_COMMAND: Final = _kind(308, _ERROR, "others may change a program that names keys")

# --- what cannot be known ------------------------------------------------------------------

UNKNOWN_USER: Final = _kind(401, _WARNING, "a user's settings cannot be known", doubt=True)
HIDDEN_FILE: Final = _kind(402, _WARNING, "a key file cannot be read", doubt=True)
DOUBTFUL_LINE: Final = _kind(403, _WARNING, "a line cannot be judged", doubt=True)
REPORT_LIMIT: Final = _kind(404, _WARNING, "the report does not see everything", doubt=True)
HIDDEN_MODES: Final = _kind(405, _WARNING, "a file's modes cannot be seen", doubt=True)
DOUBTFUL_PASSWORD: Final = _kind(
    406, _WARNING, "whether a password gets in cannot be known", doubt=True
)

# --- many hosts ----------------------------------------------------------------------------

UNCHECKED_HOST: Final = _kind(601, _WARNING, "a host could not be checked", doubt=True)
UNKNOWN_KEY: Final = _kind(602, _ERROR, "a key that the policy does not know gets in")
NO_BACKUP: Final = _kind(603, _WARNING, "a lost token would lock somebody out")
NEW_WAY_IN: Final = _kind(604, _NOTE, "a way in that was not there before")
CLOSED_WAY_IN: Final = _kind(605, _NOTE, "a way in that is gone")

# --- doctor --------------------------------------------------------------------------------

DOCTOR: Final[Mapping[str, FindingKind]] = {
    "hid": _kind(501, _WARNING, "tokens on USB"),
    "hid-node": _kind(502, _ERROR, "a token without a device node"),
    "hid-permission": _kind(503, _ERROR, "a token that this user may not open"),
    "hid-holder": _kind(504, _WARNING, "a token that another program holds"),
    "openssh": _kind(511, _WARNING, "the installed OpenSSH"),
    "ssh-sk-helper": _kind(512, _WARNING, "OpenSSH's helper for tokens"),
    "agent": _kind(521, _WARNING, "the SSH agent"),
    "pcsc": _kind(531, _WARNING, "smart-card and contactless tokens"),
    "ssh-folder": _kind(541, _WARNING, "the folder ~/.ssh"),
    "state-folder": _kind(542, _WARNING, "the folder of virtual tokens"),
    "private-key-mode": _kind(543, _ERROR, "a private key that others may read"),
    "token": _kind(551, _ERROR, "connected tokens"),
    "pin": _kind(552, _WARNING, "a token's PIN"),
    "token-abilities": _kind(553, _WARNING, "what a token lacks"),
    "token-departure": _kind(554, _WARNING, "where a token departs from CTAP"),
    "clone-suspected": _kind(555, _ERROR, "a token that may have been cloned"),
    "second-factor": _kind(561, _ERROR, "half of a second factor"),
}
"""What `doctor` looks at, by the name of the check; its status decides how much it matters."""

KINDS: Final[Mapping[str, FindingKind]] = _ALL
"""Every kind by its id."""

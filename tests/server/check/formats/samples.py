"""A report with something of everything, hostile text included."""

from __future__ import annotations

from fidokit import findings as kinds
from fidokit.server.check.findings.advice import Advice
from fidokit.server.check.findings.finding import CheckFinding, DecidingSetting
from fidokit.server.check.findings.tally import CheckTally, LoginWay

HOSTILE = "\x1b]0;owned\x07\x00\r\n\u202e</testcase>\"'&<\udcff\ufffe\\"
RULES = ("hardware", "no-password", "verify")
ADVICE = Advice(by_token={"alice"}, by_key={"alice"})

FINDINGS = [
    CheckFinding(
        kinds.KEY_IN_FILE,
        "the key is not on a token",
        "alice",
        f"/home/a b%#{HOSTILE}",
        3,
        ("hardware",),
        key="SHA256:x",
        about=f"ED25519 SHA256:x ({HOSTILE})",
    ),
    CheckFinding(
        kinds.PASSWORD,
        "by password",
        "bob",
        rules=("no-password",),
        settings=(
            DecidingSetting("PasswordAuthentication", "yes", "/etc/ssh/sshd_config", 57),
            DecidingSetting("UsePAM", "yes", why="by default, no line sets it"),
        ),
    ),
    CheckFinding(
        kinds.UNKNOWN_USER, "sshd is silent", HOSTILE, rules=("hardware", "verify"), doubt=True
    ),
    CheckFinding(kinds.REPORT_LIMIT, "it depends", doubt=True),
    CheckFinding(
        kinds.LOOSE_CONFIGURATION,
        "everybody may write to /etc/ssh",
        path="/etc/ssh",
        fix=("chmod", "go-w", "/etc/ssh"),
    ),
    CheckFinding(kinds.DUPLICATE_KEY, "the same key", "alice", "/x", 4),
]


def tally() -> CheckTally:
    """Three users were checked."""
    made = CheckTally(RULES, findings=list(FINDINGS), names=["alice", "bob", HOSTILE], keys=7)
    made.ways[LoginWay.TOKEN] = {"alice": 2}
    made.ways[LoginWay.PASSWORD] = {"bob": 1}
    made.ways[LoginWay.UNKNOWN] = {HOSTILE: 1}
    return made

"""Which OpenSSH is installed, and what it can do with tokens."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fidokit.system.host import Host
from fidokit.system.probes import Finding, Status

Version = tuple[int, int]


@dataclass(frozen=True)
class Feature:
    """Something OpenSSH learned in a version. Source: its release notes."""

    since: Version
    what: str


FEATURES: Final[Sequence[Feature]] = (
    Feature((8, 2), "keys on tokens: ed25519-sk and ecdsa-sk"),
    Feature((8, 2), "resident keys: ssh-keygen -O resident, -K"),
    Feature((8, 4), "PINs at each use: -O verify-required"),
    Feature((8, 9), "PINs asked by ssh-agent"),
)

SETTINGS_S: Final = 60.0
"""Seconds that `ssh -G` may take; it may run the user's own `Match exec` commands."""

_BANNER: Final = re.compile(r"OpenSSH_(?:for_Windows_)?(\d{1,4})\.(\d{1,4})")


def parse_version(banner: str) -> Version | None:
    """(9, 2) from "OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.15 3 Sep 2024", as `ssh -V` says."""
    found = _BANNER.search(banner)
    return (int(found[1]), int(found[2])) if found else None


def missing(version: Version) -> list[str]:
    """What this version of OpenSSH cannot do with tokens."""
    return [
        f"{feature.what} (since {feature.since[0]}.{feature.since[1]})"
        for feature in FEATURES
        if version < feature.since
    ]


def probe(host: Host) -> list[Finding]:
    """Whether ssh is there and new enough."""
    banner = host.run(("ssh", "-V"))
    if banner is None:
        return [
            Finding(
                "openssh",
                Status.FAIL,
                "OpenSSH is not installed",
                "install it, on Debian and Ubuntu with `sudo apt install openssh-client`",
            )
        ]
    version = parse_version(banner)
    if version is None:
        return [
            Finding(
                "openssh",
                Status.WARN,
                "the installed ssh is not OpenSSH",
                "keys on tokens need OpenSSH 8.2 or newer",
            )
        ]
    return [_judge(version), *_probe_helper(host, version)]


def _judge(version: Version) -> Finding:
    name = f"OpenSSH {version[0]}.{version[1]}"
    lacking = missing(version)
    if not lacking:
        return Finding("openssh", Status.OK, f"{name} supports everything that keys on tokens need")
    status = Status.FAIL if version < (8, 2) else Status.WARN
    return Finding("openssh", status, f"{name} lacks {'; '.join(lacking)}", "update OpenSSH")


_HELPERS: Final = (
    "/usr/lib/openssh/ssh-sk-helper",
    "/usr/libexec/ssh-sk-helper",
    "/usr/libexec/openssh/ssh-sk-helper",
    "/usr/lib/ssh/ssh-sk-helper",
)


def _probe_helper(host: Host, version: Version) -> list[Finding]:
    """Some distributions package the helper apart; without it ssh says "invalid format"."""
    if version < (8, 2) or not host.platform.startswith("linux"):
        return []
    if any(host.path(helper).exists() for helper in _HELPERS):
        return []
    return [
        Finding(
            "ssh-sk-helper",
            Status.WARN,
            "ssh-sk-helper, through which ssh reaches tokens, was not found",
            "on Fedora and RHEL: `sudo dnf install openssh-sk-helper`",
        )
    ]


def client_settings(host: str, ssh: Sequence[str] = ("ssh",)) -> dict[str, list[str]] | str:
    """What ssh would do for a host, as `ssh -G` prints it.

    Args:
        host: a destination as ssh takes it; hostile text is fine.
        ssh: the program and its options, such as `("ssh", "-F", "config")`.

    Returns:
        Values by keyword in lower case, in ssh's order; a sentence if ssh does not answer.
    """
    try:
        done = subprocess.run(  # noqa: S603  the user's own ssh
            [*ssh, "-G", "--", host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SETTINGS_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{ssh[0]} does not show its settings: {error}"
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return f"ssh refuses its configuration: {said[-1] if said else 'without a reason'}"
    found: dict[str, list[str]] = {}
    for line in done.stdout.decode("utf-8", "surrogateescape").splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, []).append(value)
    return found

"""The options of `ssh-keygen -s -O`: what they put into a certificate, in its order.

Sources: ssh-keygen(1), "CERTIFICATES"; PROTOCOL.certkeys, which wants options sorted by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from fidokit.errors import UsageError
from fidokit.openssh.certificates.certificate import CertKind, CertOption

PERMITS: Final = (
    "permit-X11-forwarding",
    "permit-agent-forwarding",
    "permit-port-forwarding",
    "permit-pty",
    "permit-user-rc",
)
"""What a user certificate allows where nothing is said; a host's allows nothing."""

_CRITICAL_FLAG: Final = "verify-required"
_EXTENSION_FLAG: Final = "no-touch-required"
_FLAGS: Final[Mapping[str, tuple[str, bool]]] = {
    **{name.lower(): (name, True) for name in (*PERMITS, _CRITICAL_FLAG, _EXTENSION_FLAG)},
    **{name.lower().replace("permit-", "no-"): (name, False) for name in PERMITS},
    "no-verify-required": (_CRITICAL_FLAG, False),
    "touch-required": (_EXTENSION_FLAG, False),
}
"""From an option, in lower case, to the flag that it sets or clears."""

Options = tuple[tuple[CertOption, ...], tuple[CertOption, ...]]


def options_of(given: Iterable[str], kind: CertKind = CertKind.USER) -> Options:
    """The critical options and the extensions of a certificate.

    Args:
        given: as behind -O, such as `clear`, `no-pty`, `force-command=/bin/true`,
            `source-address=10.0.0.0/8`, `critical:NAME[=VALUE]`, `extension:NAME[=VALUE]`; names
            in any case.
        kind: whose certificate it is.

    Raises:
        UsageError: an option that ssh-keygen does not know either, the same value twice, or a
            value that makes no sense.
    """
    flags = set(PERMITS if kind is CertKind.USER else ())
    critical: list[CertOption] = []
    extensions: list[CertOption] = []
    for option in given:
        name = option.lower()
        if name == "clear":
            flags.clear()
        elif name in _FLAGS:
            flag, wanted = _FLAGS[name]
            (flags.add if wanted else flags.discard)(flag)
        elif name.startswith(("critical:", "extension:")):
            (critical if name.startswith("c") else extensions).append(_free(option))
        else:
            critical.append(_valued(option, critical))
    critical += [CertOption(flag) for flag in flags if flag == _CRITICAL_FLAG]
    extensions += [CertOption(flag) for flag in flags if flag != _CRITICAL_FLAG]
    return tuple(sorted(critical, key=_order)), tuple(sorted(extensions, key=_order))


def _order(option: CertOption) -> tuple[bytes, bytes]:
    return option.name.encode(), option.data


def _free(option: str) -> CertOption:
    name, equals, value = option.partition(":")[2].partition("=")
    if not name or "\0" in option:
        raise UsageError(f"the option {option!r} names nothing", hint="Write critical:NAME=VALUE")
    return CertOption.with_value(name, value) if equals else CertOption(name)


def _valued(option: str, before: Iterable[CertOption]) -> CertOption:
    written, _, value = option.partition("=")
    name = written.lower()
    check = _VALUES.get(name)
    if check is None:
        raise UsageError(
            f"the certificate option {option!r} is unknown",
            hint="See ssh-keygen(1), or write critical:NAME=VALUE or extension:NAME=VALUE",
        )
    if not value or "\0" in value:
        raise UsageError(f"the option {name} needs a value", hint=f"Write {name}=VALUE")
    if any(option.name == name for option in before):
        raise UsageError(f"the option {name} is there twice", hint="Say it once")
    check(value)
    return CertOption.with_value(name, value)


def _addresses(value: str) -> None:
    """Addresses and networks in CIDR form with commas between; a network without host bits."""
    import ipaddress

    for entry in value.split(","):
        try:
            # neither zones nor masks written as addresses, which sshd does not take
            valid = re.fullmatch(r"[0-9a-fA-F.:]+(/[0-9]{1,3})?", entry) is not None
            ipaddress.ip_network(entry, strict=True)
        except ValueError:
            valid = False
        if not valid:
            raise UsageError(
                f"source-address: {entry[:64]!r} is neither an address nor a network",
                hint="Write 192.0.2.0/24,2001:db8::/32, with no bits set behind the mask",
            )


def _any(_value: str) -> None:
    """A command is what the server's shell makes of it."""


_VALUES: Final[Mapping[str, Callable[[str], None]]] = {
    "force-command": _any,
    "source-address": _addresses,
}

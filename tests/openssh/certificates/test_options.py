"""What -O puts into a certificate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import UsageError
from fidokit.openssh.certificates.certificate import CertKind, CertOption
from fidokit.openssh.certificates.options import PERMITS, options_of

DEFAULT = tuple(CertOption(name) for name in PERMITS)


def text(name: str, value: str) -> CertOption:
    return CertOption.with_value(name, value)


def test_a_user_may_much_and_a_host_nothing() -> None:
    assert options_of([]) == ((), DEFAULT)
    assert options_of([], CertKind.HOST) == ((), ())
    assert options_of(["permit-pty"], CertKind.HOST) == ((), (CertOption("permit-pty"),))


@pytest.mark.parametrize("name", ["X11-forwarding", "agent-forwarding", "pty", "user-rc"])
def test_permits_come_and_go(name: str) -> None:
    permit = CertOption(f"permit-{name}")
    assert permit not in options_of([f"no-{name}"])[1]
    assert options_of(["clear", f"PERMIT-{name.upper()}"]) == ((), (permit,))
    assert options_of([f"no-{name}", f"permit-{name}"]) == ((), DEFAULT)


def test_what_a_key_on_a_token_has_to_do() -> None:
    assert options_of(["clear", "verify-required", "no-touch-required"]) == (
        (CertOption("verify-required"),),
        (CertOption("no-touch-required"),),
    )
    undone = ["verify-required", "no-touch-required", "no-verify-required", "touch-required"]
    assert options_of(["clear", *undone]) == ((), ())
    assert options_of(["verify-required", "clear"]) == ((), ())


def test_they_are_sorted_by_name_then_value() -> None:
    given_ = [
        "clear",
        "extension:b=2",
        "extension:a",
        "extension:a",
        "extension:a=1",
        "critical:zz@example.org=1",
        "critical:aa",
        "source-address=10.0.0.0/8,::1",
        "verify-required",
        "force-command=/bin/x y=z",
    ]
    assert options_of(given_) == (
        (
            CertOption("aa"),
            text("force-command", "/bin/x y=z"),
            text("source-address", "10.0.0.0/8,::1"),
            CertOption("verify-required"),
            text("zz@example.org", "1"),
        ),
        (CertOption("a"), CertOption("a"), text("a", "1"), text("b", "2")),
    )


@pytest.mark.parametrize(
    "value", ["10.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32,::1/128", "::FFFF:1.2.3.4"]
)
def test_addresses(value: str) -> None:
    assert options_of(["clear", f"Source-Address={value}"])[0] == (text("source-address", value),)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "10.0.0.1/8",
            "foo",
            "*",
            "!10.0.0.0/8",
            "10.0.0.0/8,",
            "10.0.0.0/33",
            "1.2.3.4, 1.2.3.5",
        ),
        *("fe80::1%eth0", "10.0.0.0/255.0.0.0", "2001:db8::1/32", "1.2.3.4/", "1/2/3", "010.0.0.1"),
    ],
)
def test_what_is_no_address(value: str) -> None:
    with pytest.raises(UsageError, match="neither an address"):
        options_of([f"source-address={value}"])


@pytest.mark.parametrize(
    "options",
    [
        *(
            ["bogus"],
            ["force-command"],
            ["force-command="],
            ["source-address="],
            [""],
            ["no-clear"],
        ),
        *(["force-command=a", "force-command=b"], ["critical:"], ["extension:=x"], ["critical"]),
        *(["force-command=a\0b"], ["critical:a\0"]),
        ["critical:force-command=a", "force-command=b"],
    ],
)
def test_what_makes_no_sense(options: list[str]) -> None:
    with pytest.raises(UsageError):
        options_of(options)


@given(st.lists(st.text(max_size=20), max_size=4))
def test_any_text(options: list[str]) -> None:
    try:
        critical, extensions = options_of(options)
    except UsageError:
        return
    assert [o.name for o in critical] == sorted(o.name for o in critical)
    assert len(extensions) <= len(PERMITS) + 1 + len(options)

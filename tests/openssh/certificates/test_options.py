"""Options and validity of certificates, as `ssh-keygen -s` is told them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import UsageError
from fidokit.openssh.certificates.certificate import FOREVER, CertKind, CertOption
from fidokit.openssh.certificates.options import PERMITS, options_of, parse_validity

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


NOW = 1_700_000_030
DAY, WEEK = 86_400, 604_800


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("+52w", (1_699_999_920, NOW + 52 * WEEK)),
        ("+0", (1_699_999_920, NOW)),
        ("+1d1", (1_699_999_920, NOW + DAY + 1)),
        ("+1w2d3h4m5s", (1_699_999_920, NOW + WEEK + 2 * DAY + 3 * 3600 + 4 * 60 + 5)),
        ("-1d:+52w", (NOW - DAY, NOW + 52 * WEEK)),
        ("-1D:+2W", (NOW - DAY, NOW + 2 * WEEK)),
        ("+10:+20m", (NOW + 10, NOW + 1200)),
        ("always:forever", (0, FOREVER)),
        ("always:+1d", (0, NOW + DAY)),
        ("-5m:forever", (NOW - 300, FOREVER)),
        ("20200101:20300101", (1_577_836_800, 1_893_456_000)),
        ("20200101:20200101000001Z", (1_577_836_800, 1_577_836_801)),
        ("202001010000:forever", (1_577_836_800, FOREVER)),
        ("0x5e0be100:0xffffffffffffffff", (1_577_836_800, FOREVER)),
        ("19700101Z:+1", (0, NOW + 1)),
    ],
)
def test_forms(text: str, meant: tuple[int, int]) -> None:
    assert parse_validity(text, NOW) == meant


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "a:", ":a", "+", "+:+5", "-1d", "20200101", "forever", "always"),
        *("forever:always", "always:always", "+1y", "+1x", "+-1", "+1 d", "+d", "++1:+2x"),
        *("20200101:20200101", "+1d:-1d", "20200101 :forever", "20201301:forever"),
        *(
            "-60y:+1d",
            "-9999999999:+1",
            "+99999999999w",
            "+9999999999s",
            "+3551w",
            "-2000000000:+1",
        ),
        *("0x:forever", "0x10000000000000000:forever", "٣:forever", "+٣d", "1d:+2d"),
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError):
        parse_validity(text, NOW)


@given(st.text("0123456789+-:xwdhms alwysforeZ", max_size=24))
def test_any_text_as_validity(text: str) -> None:
    try:
        after, before = parse_validity(text, NOW)
    except UsageError:
        return
    assert 0 <= after <= before <= FOREVER

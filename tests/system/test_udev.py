"""The rules file has one home and says what it must; udev is told of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from fidokit.errors import UsageError
from fidokit.system import udev
from fidokit.system.host import Host

ROOT = Path(__file__).parents[2]


def rules() -> list[str]:
    return [line for line in udev.rules_text().splitlines() if line and line[0] != "#"]


def test_the_folder_udev_holds_the_packages_own_file() -> None:
    shown = ROOT / "udev" / udev.RULES_NAME
    assert shown.resolve() == (ROOT / "src/fidokit/system" / udev.RULES_NAME).resolve()
    assert shown.read_text() == udev.rules_text()


def test_the_rule_matches_tokens_alone() -> None:
    opening = [line for line in rules() if "TAG+=" in line or "MODE=" in line]
    assert opening == [
        f'ENV{{ID_{kind}_TOKEN}}=="1", TAG+="uaccess", MODE="0660"' for kind in ("FIDO", "SECURITY")
    ]


def test_a_group_has_lines_of_its_own_that_are_comments_until_it_is_wanted() -> None:
    """systemd from 258 on ignores whole lines with a group that it does not take."""
    lines = [f'ENV{{ID_{kind}_TOKEN}}=="1", GROUP="plugdev"' for kind in ("FIDO", "SECURITY")]
    assert not [line for line in rules() if "GROUP" in line]
    active = udev.rules_text(with_group=True).splitlines()
    assert [line for line in active if "GROUP" in line and line[0] != "#"] == lines
    off, on = udev.rules_text("fido"), udev.rules_text("fido", with_group=True)
    assert (udev.active_group(off), udev.active_group(on)) == (None, "fido")


def test_making_devices_is_opened_to_nobody_unless_an_administrator_says_so() -> None:
    assert not [line for line in rules() if "uhid" in line]
    assert '#KERNEL=="uhid"' in udev.rules_text()


def test_the_number_comes_before_logind_applies_the_tag() -> None:
    assert int(udev.RULES_NAME.split("-")[0]) < 73


def test_every_goto_has_its_label() -> None:
    targets = re.findall(r'GOTO="(\w+)"', udev.rules_text())
    assert set(targets) == {"fidokit_end"}
    assert rules()[-1] == 'LABEL="fidokit_end"'


def test_a_link_is_named_after_text_that_leads_nowhere_else() -> None:
    """Each text of the device is taken over only where it has no slash."""
    for name in ("HID_NAME", "HID_UNIQ"):
        (taking,) = [line for line in rules() if f"$env{{{name}}}" in line]
        assert f'ENV{{{name}}}!="*/*"' in taking
    (linking,) = [line for line in rules() if "SYMLINK" in line]
    assert linking.startswith('OPTIONS="string_escape=replace", ')


@pytest.mark.parametrize("group", ["fido", "_keys", "a-b_9"])
def test_another_group(group: str) -> None:
    text = udev.rules_text(group)
    assert text.count(f'GROUP="{group}"') == 3
    assert udev.GROUP not in text


@pytest.mark.parametrize("group", ["", "Fido", 'a", RUN+="/bin/sh', "a b", "a\n", "x" * 33, "9"])
def test_what_is_no_group(group: str) -> None:
    with pytest.raises(UsageError):
        udev.rules_text(group)


@pytest.mark.parametrize(
    ("lines", "version", "expected"),
    [
        ("root:x:0:\nplugdev:x:46:\n", "262", "used"),
        ("plugdev:x:999:\n", "262", "used"),
        ("plugdev:x:1000:a,b\n", "262 (262-1)", "ignored"),
        ("plugdev:x:1000:\n", "258", "ignored"),
        ("plugdev:x:1000:\n", "257.9", "used-for-now"),
        ("plugdev:x:1000:\n", "252 (252.38-1~deb12u1)", "used-for-now"),
        ("plugdev:x:1000:\n", "no number", "ignored"),
        ("plugdev:x:1000:\n", None, "ignored"),
        ("plugdevs:x:1:\n", "262", "missing"),
        ("plugdev\nplugdev:x\nplugdev:x:one:\n", "262", "missing"),
        ("", "262", "missing"),
        (None, "262", "missing"),
    ],
)
def test_what_udev_makes_of_a_group(
    tmp_path: Path, lines: str | None, version: str | None, expected: str
) -> None:
    if lines is not None:
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc/group").write_text(lines)
    state = udev.group_state("plugdev", Host(root=tmp_path, run=lambda _argv: version))
    assert state == expected
    assert state.counts is (expected in ("used", "used-for-now"))


class Udevadm:
    """Answers each command with the next of the given texts."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.told: list[Sequence[str]] = []

    def __call__(self, argv: Sequence[str]) -> str | None:
        self.told.append(argv)
        return self.answers.pop(0)


def test_reloading_goes_over_the_tokens_that_are_plugged_in() -> None:
    told = Udevadm("", "")
    assert udev.reload_rules(Host(run=told)) is None
    assert [" ".join(argv[1:]) for argv in told.told] == [
        "control --reload",
        "trigger --subsystem-match=hidraw",
    ]


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([None], "udevadm is not installed"),
        (["Failed to send reload request: no\nmore"], "Failed to send reload request: no"),
        (["", "Running in chroot, ignoring request."], "Running in chroot, ignoring request."),
    ],
)
def test_why_it_was_not_told(answers: list[str | None], problem: str) -> None:
    assert udev.reload_rules(Host(run=Udevadm(*answers))) == problem

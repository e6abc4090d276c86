"""The rules file has one home and says what it must."""

from __future__ import annotations

from pathlib import Path

from fidokit.system import udev

ROOT = Path(__file__).parents[2]


def test_the_folder_udev_holds_the_packages_own_file() -> None:
    shown = ROOT / "udev" / udev.RULES_NAME
    assert shown.resolve() == (ROOT / "src/fidokit/system" / udev.RULES_NAME).resolve()
    assert shown.read_text() == udev.rules_text()


def test_the_rule_matches_tokens_alone() -> None:
    rules = [line for line in udev.rules_text().splitlines() if "TAG+=" in line and line[0] != "#"]
    assert len(rules) == 2
    for rule in rules:
        assert rule.startswith(('ENV{ID_FIDO_TOKEN}=="1"', 'ENV{ID_SECURITY_TOKEN}=="1"'))
        assert 'TAG+="uaccess"' in rule
        assert 'MODE="0660"' in rule
    assert udev.rule_line() in rules


def test_the_number_comes_before_logind_applies_the_tag() -> None:
    assert int(udev.RULES_NAME.split("-")[0]) < 73


def test_every_goto_has_its_label() -> None:
    text = udev.rules_text()
    assert text.count('GOTO="fidokit_end"') == 2
    assert text.rstrip().endswith('LABEL="fidokit_end"')

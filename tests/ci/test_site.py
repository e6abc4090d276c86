"""What the site is made of beside docs/: commands from the help, messages from the source."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from tests.ci.loading import load

from fidokit import errors
from fidokit.cli import app

TOP = Path(__file__).parents[2]
FAQ = (TOP / "docs/faq.md").read_text()
commands, links, messages = load("site_commands"), load("site_links"), load("site_messages")
PAGES = commands.pages()
PASSED_ON = {
    "fidokit/agent/session/opening.py: said['error']",
    "fidokit/cli/commands/server/otp.py: '\\n'.join(told(verdict, state))",
    "fidokit/cli/main.py: sentence",
    "fidokit/client/credentials/attestation.py: _about_the_file(error)",
    "fidokit/client/credentials/attestation.py: unproved[0]",
    "fidokit/files/disk_errors.py: f\"{path}: {error.strerror or 'the system refused'}\"",
    "fidokit/files/foreign_formats.py: f'{path} {what}'",
    "fidokit/fleet/policy/checked.py: first",
    "fidokit/provider/main.py: sentence",
    "fidokit/server/authorize/local.py: server.why",
    "fidokit/server/authorize/wishes.py: f'{named}: {why}'",
    "fidokit/server/harden/lock_out.py: source.hidden",
}
"""Errors whose words come from another place: a program, the system, or an error before."""


def test_every_command_and_option_is_in_the_reference() -> None:
    for group, section in app.GROUPS.items():
        for name, target in section.verbs.items():
            page = PAGES[f"commands/{group}.md"]
            assert f"\n## fidokit {group} {name}\n" in page
            for param in app.load(target).params:
                if isinstance(param, click.Option) and not param.hidden:
                    everywhere = PAGES["commands/index.md"]
                    assert any(param.opts[-1] in text for text in (page, everywhere))
    for name in app.TOP:
        assert f"# fidokit {name}\n" in PAGES[f"commands/{name}.md"]
        assert f"({name}.md)" in PAGES["commands/index.md"]


def test_help_is_shown_as_it_stands() -> None:
    text = commands._text("FILE_a *b* <c> a|b [x] `d_e|f`")
    assert text == r"FILE\_a \*b\* \<c\> a\|b \[x\] `d_e|f`"


@pytest.mark.parametrize("kind", sorted(messages.KINDS))
def test_every_kind_of_error_has_an_entry(kind: str) -> None:
    entry = re.search(rf"^### {kind}\n\n(.+?)(?=^##|\Z)", FAQ, re.MULTILINE | re.DOTALL)
    assert entry
    assert len(entry[1].split()) > 7


def test_no_entry_is_about_nothing() -> None:
    assert set(re.findall(r"^### (\w+)$", FAQ, re.MULTILINE)) == set(messages.KINDS)


def test_errors_say_what_the_page_has() -> None:
    found = {each.sentence: each.kind for each in messages.messages(TOP / "src")}
    assert found["the PIN is wrong"] == errors.PinWrong.__name__
    assert found["no room is left for another resident key"] == errors.StoreFull.__name__
    assert len(found) > 700
    kinds = set(found.values())
    assert set(messages.KINDS) - kinds == {"PinError"}, "which is what the others are kinds of"


def test_no_error_has_words_that_the_page_misses() -> None:
    unread = {each for each in messages.unread(TOP / "src") if "error.message" not in each}
    assert unread == PASSED_ON


SOURCE = """
LIMIT = "too long"
ROW = Meaning(errors.PinBlocked, "no tries are left", "reset it")
def f(name):
    if name:
        raise errors.UsageError(f"{name!r} is " + ("odd" if name > 3 else "even"), hint="count")
    raise MalformedKey(LIMIT)
    raise ValueError("not ours")
    raise StoreFull(name)
"""


def test_what_is_read_from_the_source(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(SOURCE)
    found = {(each.kind, each.sentence) for each in messages.messages(tmp_path)}
    assert found == {
        ("PinBlocked", "no tries are left"),
        ("UsageError", "… is odd"),
        ("UsageError", "… is even"),
        ("MalformedKey", "too long"),
    }
    assert messages.unread(tmp_path) == ["module.py: name"]


def test_the_page_links_each_message_to_its_entry(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text('raise UsageError(f"<{x}> | *y*")\n')
    row = messages.page(tmp_path).partition("\n\n## Notes")[0].splitlines()[-1]
    assert row == "| &lt;…&gt; &#124; &#42;y&#42; | [UsageError](faq.md#usageerror) | 2 |"


def test_notes_and_warnings_lead_to_the_commands_that_say_them() -> None:
    found = {each.sentence: each.page for each in messages.notes(TOP / "src")}
    assert len(found) > 30
    assert found["That PIN was wrong."] == "commands/index.md"
    assert found["The units are not installed."] == "commands/agent.md"
    assert found["Nothing was written."] == "commands/server.md"
    for page in found.values():
        assert page in PAGES
    page = messages.page(TOP / "src")
    assert "| The units are not installed. | [fidokit agent](commands/agent.md) |" in page


def test_a_page_has_one_place() -> None:
    nav = (TOP / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    places = re.findall(r"([\w/-]+\.md)", nav)
    assert len(places) > 40
    assert sorted(places) == sorted(set(places))


@pytest.mark.parametrize(
    ("text", "source", "expected"),
    [
        ("[a](docs/install.md#x)", "CONTRIBUTING.md", "[a](install.md#x)"),
        ("[a](../CONTRIBUTING.md)", "docs/install.md", "[a](contributing.md)"),
        ("[a](../../SECURITY.md#b)", "docs/transports/pcsc.md", "[a](../security-policy.md#b)"),
        ("[a](../udev.md)", "docs/transports/pcsc.md", "[a](../udev.md)"),
        ("[a](https://example.org/docs/x.md)", "README.md", "[a](https://example.org/docs/x.md)"),
        ("[a](#here)", "docs/api.md", "[a](#here)"),
    ],
)
def test_links_of_a_page_that_moves(text: str, source: str, expected: str) -> None:
    assert links.moved(text, source) == expected

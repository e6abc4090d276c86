"""The page on configuration has every variable, file and path that the source reads."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.docs import sources

from fidokit.cli.manual import pages
from fidokit.tokens.configuration import (
    configured_folders,
    configured_inventory,
    configured_remember,
    configured_selector,
)

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
ELSEWHERE = {
    "/dev/null": "nowhere",
    "/dev/stdin": "a name for standard input",
    "/dev/urandom": "where the kernel's randomness is",
    "/var/tmp": "named in a hint, as a place with room",
    "/usr/bin": "a part of a PATH",
    "/usr/local/bin": "the same",
    "/usr/local/sbin": "the same",
    "/usr/sbin": "the same",
    "/usr/lib*/*": "a pattern of ssh-agent's allow list, which is compared and not read",
    "/usr/local/lib*/*": "the same",
}


def test_the_reader_finds_what_is_known_to_be_read() -> None:
    variables, paths = sources.variables(), sources.paths()
    assert {"FIDOKIT_TOKEN", "XDG_DATA_HOME", "SSH_SK_PROVIDER", "FIDOKIT_NODES"} <= variables
    assert {"SSH_ASKPASS_PROMPT", "NO_COLOR", "TMPDIR", "FIDOKIT_AGENT_OPTIONS"} <= variables
    assert {"/run/fidokit", "/etc/shadow", "/usr/local/lib/fidokit"} <= paths


def test_every_variable_is_on_the_page() -> None:
    missing = {name for name in sources.variables() if f"`{name}`" not in PAGE}
    assert missing == set(), "not in docs/configuration.md"


def test_no_variable_is_on_the_page_for_nothing() -> None:
    shown = {
        name
        for row in re.findall(r"^\| (`[A-Z].*?) \|", PAGE, re.MULTILINE)
        for name in re.findall(r"`([A-Z_]+)`", row)
    }
    source = "".join(
        path.read_text() for path in sources.SOURCE.rglob("*") if path.suffix in {".py", ".c"}
    )
    service = "".join(path.read_text() for path in sources.SOURCE.rglob("*.service"))
    assert {name for name in shown if name not in source + service} == set()


def test_every_path_is_on_the_page() -> None:
    """By itself, by what is in it, or by what it is in: /proc stands for all of it."""
    shown = [found.rstrip("*") for found in re.findall(r"`(/[^`\s]+)`", PAGE)]

    def known(path: str) -> bool:
        return any(path.startswith(each) or each.startswith(f"{path}/") for each in shown)

    missing = {path for path in sources.paths() if not known(path) and path not in ELSEWHERE}
    assert missing == set(), "not in docs/configuration.md"


def test_the_man_page_says_no_more() -> None:
    names = {name for row in pages.ENVIRONMENT for name in row.split(", ")}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


NOT_THE_USERS = {
    "FIDOKIT_NODES", "FIDOKIT_EVENT", "FIDOKIT_KEY", "FIDOKIT_PURPOSE",  # set by fidokit
    "COMP_WORDBREAKS", "LISTEN_FDS", "LISTEN_PID", "SSH_ASKPASS_PROMPT", "SSH_AGENT_PID",
    "GH_NO_UPDATE_NOTIFIER", "GH_PROMPT_DISABLED", "GLAB_CHECK_UPDATE", "NO_PROMPT",
    "HOME", "LANG", "LANGUAGE", "LC_ALL", "LOGNAME", "PATH", "USER", "LD_PRELOAD",  # everywhere
    "COLORFGBG", "PCSCLITE_CSOCK_NAME", "SSHD_OPTIONS", "SSHD_OPTS",
}  # fmt: skip
"""Variables that nobody sets for fidokit: others set them, or every program has them."""


def test_the_man_page_has_what_a_user_may_set() -> None:
    names = {name for row in pages.ENVIRONMENT for name in row.split(", ")}
    assert sources.variables() - names - NOT_THE_USERS == set(), "not in cli/manual/pages.py"
    assert not names & NOT_THE_USERS


def test_the_man_page_has_what_fidokit_writes() -> None:
    section = PAGE.partition("## Files that fidokit writes")[2].partition("\n## ")[0]
    written = {path for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
               for path in re.findall(r"`([^`]+)`", row)}  # fmt: skip
    known = [path for row in pages.FILES for path in row.split(", ")]
    elsewhere = {
        "~/.config/systemd/user", "~/.gitconfig", "~/.bashrc", "~/.zshrc", "~/.cache/fidokit",
        "/run/fidokit", "$XDG_RUNTIME_DIR/fidokit/agent.sock", "~/.local/share/bash-completion",
        "~/.local/share/zsh/site-functions", "~/.config/fish/completions",
    }  # fmt: skip
    assert written - set(known) == elsewhere, "locks, and what the verb itself names as it writes"


def test_the_file_that_is_shown_is_read_as_it_says(tmp_path: Path) -> None:
    shown = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert shown
    file = tmp_path / "config.toml"
    file.write_text(shown[1])
    assert configured_selector({}, file) == "usb:12345678"
    assert configured_remember({}, file) is False
    assert configured_inventory({}, file) is True
    assert configured_folders({}, file) == [Path("~/certificates").expanduser()]
    assert len(tomllib.loads(shown[1])) == 4, "one line for each function above"

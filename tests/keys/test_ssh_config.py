"""Blocks of ssh_config: written, read, replaced and taken out; what stock ssh makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.agent_keys import executable

from fidokit.errors import FidokitError, UsageError
from fidokit.keys import ssh_config
from fidokit.keys.ssh_config import (
    HostBlock,
    blocks_with,
    install_blocks,
    installed_hosts,
    parse_destination,
    remove_blocks,
    require_valid,
)

SSH = """
import sys
from fnmatch import fnmatch
from pathlib import Path

words = sys.argv[1:]
text, host = "", words[-1]
for name in [words[words.index("-F") + 1]] if "-F" in words else []:
    text = Path(name).read_text()
    for line in text.splitlines():
        if line.startswith("Include "):
            text = Path(line.split()[1]).read_text() + text
seen = False
for line in text.splitlines():
    word, _, value = line.strip().partition(" ")
    seen = fnmatch(host, value) if word == "Host" else seen
    if seen and word and word != "Host":
        print(word.lower(), value)
"""
"""As much of `ssh -G` as these tests need: tests/interop asks the real one."""


@pytest.fixture
def ssh(tmp_path: Path) -> tuple[str]:
    return (str(executable(tmp_path / "ssh", SSH)),)


@pytest.fixture
def config(home: Path) -> Path:
    return home / ".ssh" / "config"


def block(home: Path, host: str = "example.org", **more: str) -> HostBlock:
    return HostBlock(host, home / ".ssh" / "id_work", **more)  # type: ignore[arg-type]


def test_the_text_of_a_block(home: Path) -> None:
    made = HostBlock(
        "*.example.org", home / "a b%c", "alice", 2222, "/lib/x.so", "/run/user/1/agent.sock"
    )
    assert made.text() == (
        "Host *.example.org\n"
        "    User alice\n"
        "    Port 2222\n"
        f'    IdentityFile "{home}/a b%%c"\n'
        "    IdentitiesOnly yes\n"
        "    SecurityKeyProvider /lib/x.so\n"
        "    IdentityAgent /run/user/1/agent.sock\n"
    )


def test_home_as_ssh_has_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_config, "_ssh_has_our_home", lambda: True)
    assert "IdentityFile ~/.ssh/id_work\n" in block(home).text()
    assert ssh_config._include_line() == "Include fidokit.conf\n"


@pytest.mark.parametrize(
    ("host", "more"),
    [
        ("", {}),
        ("-oProxyCommand=x", {}),
        ("a b", {}),
        ("a\nHost *", {}),
        ('a"', {}),
        ("a#", {}),
        ("%h", {}),
        ("!a", {}),
        ("a", {"user": "x\n"}),
        ("a", {"user": "%r"}),
        ("a", {"provider": 'x"'}),
        ("a", {"agent": "${HOME}/x"}),
    ],
)
def test_what_ssh_would_read_as_more(home: Path, host: str, more: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        block(home, host, **more)


@pytest.mark.parametrize("before", [None, "", "Host *\n  User x\n", "# caf\xe9\r\nHost a"])
def test_in_and_out_again(home: Path, config: Path, ssh: tuple[str], before: str | None) -> None:
    if before is not None:
        config.parent.mkdir()
        config.write_bytes(before.encode("latin-1"))
        config.chmod(0o640)
    done = install_blocks([block(home), block(home, "b.example")], ssh=ssh)
    assert done.added == ("example.org", "b.example")
    assert done.includes == config
    assert config.read_bytes().endswith((before or "").encode("latin-1"))
    assert config.read_bytes().splitlines()[1].startswith(b"Include ")
    again = install_blocks([block(home)], ssh=ssh)
    assert (again.added, again.present, again.includes) == ((), ("example.org",), None)
    assert remove_blocks(["b.example", "unknown"]).removed == ("b.example",)
    assert done.file.exists()
    last = remove_blocks()
    assert (last.removed, last.includes) == (("example.org",), config)
    assert not done.file.exists()
    if before:
        assert config.read_bytes() == before.encode("latin-1")
        assert config.stat().st_mode & 0o777 == 0o640
    else:
        assert not config.exists()
    assert remove_blocks().removed == ()


def test_a_block_is_replaced(home: Path, ssh: tuple[str]) -> None:
    install_blocks([block(home)], ssh=ssh)
    done = install_blocks([block(home, user="bob")], ssh=ssh)
    assert done.added == ("example.org",)
    text = done.file.read_text()
    assert text.count("Host example.org\n") == 1
    assert "User bob" in text
    assert installed_hosts(home / ".ssh" / "id_work") == ["bob@example.org"]
    assert installed_hosts(home / "another") == []


def test_the_blocks_of_a_key(home: Path, ssh: tuple[str]) -> None:
    key = home / ".ssh/id 100%"
    blocks = [
        HostBlock("one", key, "me", 2222, "/a b/p.so", "/s 50%"),
        HostBlock("*.two", key),
        HostBlock("three", home / ".ssh/other"),
    ]
    install_blocks(blocks, ssh=ssh)
    assert blocks_with(key) == blocks[:2]
    assert blocks_with(home / ".ssh/none") == []


def test_a_pattern_is_no_destination(home: Path, ssh: tuple[str]) -> None:
    done = install_blocks([block(home, "*.example.org")], ssh=ssh)
    assert not [one for one in done.problems if "x.example.org" in one]
    assert installed_hosts(home / ".ssh" / "id_work") == []


def test_a_link_is_followed_to_the_dotfiles(home: Path, config: Path, ssh: tuple[str]) -> None:
    real = home / "dotfiles"
    real.write_text("Host *\n")
    config.parent.mkdir()
    config.symlink_to(real)
    install_blocks([block(home)], ssh=ssh)
    assert config.is_symlink()
    assert "Include" in real.read_text()
    remove_blocks()
    assert real.read_text() == "Host *\n"


def test_the_include_line_was_moved(home: Path, config: Path, ssh: tuple[str]) -> None:
    install_blocks([block(home)], ssh=ssh)
    head = config.read_text()
    config.write_text(f"Host *\n    User x\n{head}")
    assert install_blocks([block(home)], ssh=ssh).includes is None
    remove_blocks()
    assert config.read_text() == "Host *\n    User x\n\n"


def test_ssh_does_something_else(home: Path, config: Path, ssh: tuple[str]) -> None:
    own = home / ".ssh" / "fidokit.conf"
    config.parent.mkdir()
    config.write_text(f"Host other\nInclude {own}\n")
    executable(Path(ssh[0]), "print('identityfile ~/.ssh/id_rsa')")
    done = install_blocks([block(home)], ssh=ssh)
    assert "for example.org, ssh uses IdentityFile" in done.problems[0]
    assert "HOME is not your home folder" in done.problems[-1]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import sys; sys.exit('line 3: Bad configuration option')", "Bad configuration option"),
        ("import sys; sys.exit(1)", "without a reason"),
        ("print('user x')", "of its own"),
    ],
)
def test_a_block_that_ssh_does_not_take(home: Path, tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(FidokitError, match=said):
        require_valid(block(home), (str(executable(tmp_path / "ssh", script)),))
    with pytest.raises(FidokitError, match="does not show its settings"):
        require_valid(block(home), (str(tmp_path / "missing"),))


def test_a_block_that_ssh_takes(home: Path, ssh: tuple[str]) -> None:
    require_valid(block(home, user="alice"), ssh)


def test_destinations() -> None:
    assert parse_destination("a@b@c") == ("a@b", "c")
    assert parse_destination("c") == ("", "c")

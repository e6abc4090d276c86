"""Lines of allowed signers: of files, of accounts, put in and taken out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, text

from fidokit.errors import FidokitError, MalformedKey, UsageError
from fidokit.openssh.lines.allowed_signers import AllowedSigner, parse_line
from fidokit.signing.signers_file import (
    SignerLines,
    add_lines,
    line_name,
    missing_lines,
    remove_lines,
)

WHO = "alice@example.org"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "allowed_signers"


@pytest.fixture
def own(tmp_path: Path) -> SignerLines:
    (tmp_path / "id.pub").write_bytes(text(TOKEN))
    return SignerLines.of_file(WHO, tmp_path / "id.pub")


@pytest.mark.parametrize("before", [b"", b"# mine", b"bob ssh-ed25519 broken\n", b"\xff\xfe\n"])
def test_in_and_out(file: Path, own: SignerLines, before: bytes) -> None:
    if before:
        file.write_bytes(before)
        file.chmod(0o600)
    lines, known = missing_lines(file, [own])
    assert (len(lines), known) == (1, ())
    add_lines(file, lines)
    assert missing_lines(file, [own]) == ((), (WHO,))
    assert file.read_bytes().startswith(before)
    assert file.stat().st_mode & 0o777 == (0o600 if before else 0o644)
    assert remove_lines(file, lines) == lines
    assert file.read_bytes().rstrip(b"\n") == before.rstrip(b"\n")
    assert remove_lines(file, lines) == ()


def test_a_line_that_says_it_another_way(file: Path, own: SignerLines) -> None:
    for line, is_known in (
        (f"*@example.org {TOKEN.encode()}", True),
        (f'{WHO} namespaces="file" {TOKEN.encode()}', False),
        (f'{WHO} valid-before="20200101Z" {TOKEN.encode()}', False),
        (f"{WHO} {PLAIN.encode()}", False),
    ):
        file.write_text(f"{line}\n")
        assert (missing_lines(file, [own])[1] == (WHO,)) is is_known


def test_lines_are_read_as_they_are_meant(own: SignerLines) -> None:
    ((key, line),) = own.lines()
    parsed = parse_line(line.encode())
    assert isinstance(parsed, AllowedSigner)
    assert (parsed.principals, parsed.namespaces, parsed.key) == (WHO, "git", key)
    principal, print_ = line_name(line)
    assert (principal, print_[:7]) == (WHO, "SHA256:")
    assert line_name("broken") == ("broken", "")


def test_the_comment_of_a_private_file_is_beside_it(tmp_path: Path) -> None:
    from fidokit.openssh.keys.private import PrivateFile, SkPrivate, encode_private
    from fidokit.types import KeyHandle, SkFlag

    held = SkPrivate(TOKEN.key, SkFlag.USER_PRESENCE_REQUIRED, KeyHandle(b"x"))  # type: ignore[arg-type]
    (tmp_path / "id").write_bytes(encode_private(PrivateFile(held, "inside")))
    assert SignerLines.of_file(WHO, tmp_path / "id").comment == ""
    (tmp_path / "id.pub").write_bytes(text(TOKEN))
    assert SignerLines.of_file(WHO, tmp_path / "id").comment == "token"
    (tmp_path / "id.pub").write_bytes(text(PLAIN))
    assert SignerLines.of_file(WHO, tmp_path / "id").comment == ""


def test_an_account_of_github() -> None:
    signing, logins = [TOKEN], text(PLAIN, OTHER)

    def fetch(address: str) -> bytes:
        if address.endswith(".keys"):
            return logins
        return json.dumps([{"key": line.encode()} for line in signing]).encode()

    found = SignerLines.of_source("bob@example.org", "gh:bob", fetch)
    assert (found.keys, found.note) == ((TOKEN.key,), "")
    signing.clear()
    found = SignerLines.of_source("bob@example.org", "gh:bob", fetch)
    assert found.keys == (PLAIN.key, OTHER.key)
    assert "those for logins are taken" in found.note
    assert all("gh:bob" in line for _, line in found.lines())


def test_other_sources(tmp_path: Path) -> None:
    asked: list[str] = []

    def fetch(address: str) -> bytes:
        asked.append(address)
        return text(PLAIN)

    for source in ("gl:bob", "lp:bob", "https://example.org/bob"):
        assert SignerLines.of_source(WHO, source, fetch).keys == (PLAIN.key,)
    assert asked[0] == "https://gitlab.com/bob.keys"
    (tmp_path / "keys").write_bytes(text(TOKEN, PLAIN))
    assert len(SignerLines.of_source(WHO, str(tmp_path / "keys"), fetch).keys) == 2


def test_strangers_text_stays_in_its_line() -> None:
    """No authority, no option and no second line comes in from an account."""
    evil = f'cert-authority {PLAIN.encode()}\nfrom="::1" {OTHER.encode()} \x1b[2J\u2028* x\n'

    found = SignerLines.of_source(WHO, "https://example.org/x", lambda _: evil.encode())
    assert found.keys == (OTHER.key,)
    ((_, line),) = found.lines()
    assert line.isprintable()
    assert line.startswith(f'{WHO} namespaces="git" ssh-ed25519 ')
    with pytest.raises(MalformedKey):
        SignerLines.of_source(
            WHO, "https://example.org/x", lambda _: f"cert-authority {PLAIN.encode()}".encode()
        )


def test_what_cannot_be(tmp_path: Path, file: Path, own: SignerLines) -> None:
    with pytest.raises(UsageError):
        SignerLines.of_source("*", "gh:bob", lambda _: text(PLAIN))
    with pytest.raises(UsageError, match="names no account"):
        SignerLines.of_source(WHO, "gh:", lambda _: text(PLAIN))
    with pytest.raises(FidokitError, match="does not exist"):
        add_lines(tmp_path / "missing" / "file", ["x"])
    file.mkdir()
    with pytest.raises(FidokitError):
        missing_lines(file, [own])

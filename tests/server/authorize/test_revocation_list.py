"""Keys on sshd's list of revoked keys and off it again, whatever form the list has."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, text
from tests.support.signers import certificate, ed25519_key

from fidokit.errors import MalformedKey, UsageError
from fidokit.openssh.certificates.krl import Entry, KeyId, Serials, parse_krl
from fidokit.openssh.certificates.krl_encoding import encode_krl
from fidokit.openssh.keys.public import PublicLine
from fidokit.server.authorize.blobs import fingerprint_of
from fidokit.server.authorize.local import LocalSshd
from fidokit.server.authorize.revocation_list import RevocationList, change_list, revoked_also

NO_SSHD = LocalSshd(None, "none here")


def print_of(line: PublicLine) -> str:
    return fingerprint_of(line.key.blob())


def change(path: Path, *lines: PublicLine | str, **how: bool) -> RevocationList:
    keys = {
        line if isinstance(line, str) else print_of(line): b""
        if isinstance(line, str)
        else line.key.blob()
        for line in lines
    }
    return change_list(keys, path=path, server=NO_SSHD, now=lambda: 1_800_000_000, **how)


def test_a_new_list_is_a_krl(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    done = change(path, PLAIN, print_of(TOKEN))
    assert done.form == "krl"
    assert sorted(done.added) == sorted([print_of(PLAIN), print_of(TOKEN)])
    krl = parse_krl(path.read_bytes())
    assert (krl.version, krl.generated) == (1, 1_800_000_000)
    assert krl.revocation(PLAIN.key)
    assert krl.revocation(TOKEN.key)
    assert not krl.revocation(OTHER.key)
    assert path.stat().st_mode & 0o777 == 0o644
    assert done.read_by_sshd is None
    assert done.why == "none here"


def test_again_and_back(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    change(path, PLAIN, OTHER)
    before = path.read_bytes()
    assert change(path, PLAIN).present == (print_of(PLAIN),)
    assert path.read_bytes() == before
    assert change(path, PLAIN, take_back=True).removed == (print_of(PLAIN),)
    krl = parse_krl(path.read_bytes())
    assert krl.version == 2
    assert not krl.revocation(PLAIN.key)
    assert krl.revocation(OTHER.key)
    assert change(path, PLAIN, take_back=True).present == (print_of(PLAIN),)


def test_entries_about_certificates_stay(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    entries: list[Entry] = [Serials(b"", 7, 9), KeyId(b"", b"who")]
    path.write_bytes(encode_krl(entries, version=41, comment="theirs"))
    done = change(path, PLAIN)
    assert done.certificates == 2
    krl = parse_krl(path.read_bytes())
    assert (krl.version, krl.comment) == (42, "theirs")
    assert set(entries) <= set(krl.entries())
    made = certificate(TOKEN.key, ed25519_key(), key_id="who")
    assert krl.revocation(made)


def test_a_list_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    path.write_bytes(b"# lost\n" + text(OTHER).rstrip(b"\n"))
    assert change(path, PLAIN).form == "lines"
    bare = PublicLine(PLAIN.key, "").encode().encode() + b"\n"
    assert path.read_bytes() == b"# lost\n" + text(OTHER) + bare
    with pytest.raises(UsageError, match="whole keys"):
        change(path, print_of(TOKEN))
    assert change(path, OTHER, take_back=True).removed == (print_of(OTHER),)
    assert path.read_bytes() == b"# lost\n" + bare


def test_nothing_is_written_without_need(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    assert change(path, PLAIN, dry_run=True).added == (print_of(PLAIN),)
    assert change(path).form == ""
    assert change(path, PLAIN, take_back=True).removed == ()
    assert not path.exists()


def test_a_damaged_list_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    change(path, PLAIN)
    damaged = path.read_bytes()[:-3]
    path.write_bytes(damaged)
    with pytest.raises(MalformedKey):
        change(path, OTHER)
    assert path.read_bytes() == damaged


# --- the content of a list ---------------------------------------------------------------------


def also(data: bytes, line: PublicLine, *serials: Serials) -> bytes:
    keys = {print_of(line): line.key.blob()}
    return revoked_also(data, keys, serials, now=lambda: 1_800_000_000)


def test_keys_and_serial_numbers_for_any_list() -> None:
    authority = ed25519_key(9).public
    serial = Serials(authority.blob(), 7, 7)
    made = also(b"", TOKEN, serial)
    krl = parse_krl(made)
    assert krl.revocation(TOKEN.key)
    assert krl.revocation(certificate(PLAIN.key, serial=7, authority=ed25519_key(9)))
    assert not krl.revocation(certificate(PLAIN.key, serial=8, authority=ed25519_key(9)))
    assert also(made, TOKEN, serial) == made, "nothing is new"
    more = parse_krl(also(made, OTHER, Serials(authority.blob(), 8, 8)))
    assert more.version == krl.version + 1
    assert more.revocation(TOKEN.key)
    assert more.revocation(OTHER.key)
    wide = encode_krl([Serials(b"", 1, 100)])
    assert set(parse_krl(also(wide, TOKEN, serial)).entries()) == {
        *parse_krl(wide).entries(),
        *parse_krl(also(b"", TOKEN)).entries(),
    }


def test_a_list_of_lines_gets_the_keys_alone() -> None:
    lines = text(PLAIN)
    made = also(lines, TOKEN, Serials(b"", 7, 7))
    assert made.startswith(lines)
    assert TOKEN.encode().split(" ")[1].encode() in made
    assert also(made, TOKEN) == made


def test_what_is_not_a_list_is_not_made_one() -> None:
    with pytest.raises(MalformedKey):
        also(encode_krl([])[:20], TOKEN)

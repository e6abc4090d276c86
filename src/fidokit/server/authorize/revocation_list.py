"""sshd's list of revoked keys (RevokedKeys): keys put on it, taken off it, and shown.

A key on it gets in nowhere on the machine, whatever file, command or certificate lets it in. A list
that has another form than ours keeps it: public keys, one a line.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fidokit.errors import FidokitError, NoPermission, SshdNotAsked, UsageError
from fidokit.files import atomic
from fidokit.files.keyfile import read_bounded
from fidokit.openssh.certificates.krl import (
    MAX_KRL,
    Entry,
    ExplicitKey,
    Fingerprint,
    Serials,
    is_krl,
    parse_krl,
)
from fidokit.openssh.certificates.krl_encoding import encode_krl
from fidokit.openssh.lines.authorized_keys import OtherLine
from fidokit.server.authorize import blobs
from fidokit.server.authorize.key_file import locked
from fidokit.server.authorize.lines import holds_any, lines_of
from fidokit.server.authorize.local import LocalSshd, local_sshd
from fidokit.server.sshd.query import LOOPBACK

USUAL: Final = Path("/etc/ssh/revoked_keys")
"""Where a list is kept that sshd's configuration does not name yet."""

DROP_IN: Final = Path("/etc/ssh/sshd_config.d/0-fidokit-revoked.conf")
_MODE: Final = 0o644
_OTHERS_WRITE: Final = 0o022
_KEYGEN_S: Final = 60.0


@dataclass(frozen=True)
class RevocationList:
    """A list of revoked keys, and what was done to it.

    Attributes:
        path: the file.
        form: `krl`, `lines`, or empty if there is no file yet.
        keys: the fingerprints of the plain keys on it, after the change.
        certificates: how many further entries it has, about certificates.
        added, removed, present: fingerprints; `present` were as wanted before.
        read_by_sshd: whether sshd's configuration names the file; None if it does not tell.
        confirmed: whether the installed ssh-keygen finds the keys on it, or off it; None if it
            is not installed, or nothing was to be asked.
        why: what is in the way of knowing; may be empty.
    """

    path: Path
    form: str
    keys: tuple[str, ...]
    certificates: int = 0
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    read_by_sshd: bool | None = None
    confirmed: bool | None = None
    why: str = ""

    @property
    def advice(self) -> tuple[str, ...]:
        """The commands that make sshd read the list; none if it already does."""
        if self.read_by_sshd is not False or not self.form:
            return ()
        setting = shlex.quote(f"RevokedKeys {self.path}")
        return (
            f"echo {setting} | sudo tee {DROP_IN}",
            "sudo sshd -t && sudo systemctl reload ssh",
        )


@dataclass(frozen=True)
class _Content:
    """What is in a file of revoked keys."""

    form: str
    text: bytes
    entries: tuple[Entry, ...] = ()
    version: int = 0
    comment: str = ""

    def prints(self) -> list[str]:
        """The fingerprints of the plain keys on the list; those by SHA-1 are left out."""
        if self.form == "krl":
            return [print_ for entry in self.entries if (print_ := _print_of(entry))]
        found = (next(iter(blobs.blobs_in(line.raw)), b"") for line in lines_of(self.text))
        return [blobs.fingerprint_of(blob) for blob in found if blob]


def _print_of(entry: Entry) -> str:
    if isinstance(entry, ExplicitKey):
        return blobs.fingerprint_of(entry.blob)
    if isinstance(entry, Fingerprint) and entry.hash_name == "sha256":
        return blobs.SHA256 + b64encode(entry.digest).decode().rstrip("=")
    return ""


def _read(path: Path) -> _Content:
    return _content(read_bounded(path, MAX_KRL) if path.exists() else b"")


def _content(data: bytes) -> _Content:
    if not data:
        return _Content("", b"")
    if not is_krl(data):
        return _Content("lines", data)
    krl = parse_krl(data)
    return _Content("krl", data, tuple(krl.entries()), krl.version, krl.comment)


# --- changing --------------------------------------------------------------------------------


def change_list(
    keys: Mapping[str, bytes],
    *,
    path: Path | None = None,
    take_back: bool = False,
    dry_run: bool = False,
    server: LocalSshd | None = None,
    now: Callable[[], float] = time.time,
) -> RevocationList:
    """Put keys on the list of revoked keys, or take them off it; with no keys, show it.

    Args:
        keys: of `authorization.named_blobs`.
        path: the list; where None, the one that sshd's configuration names, or the usual one.
        take_back: take them off.
        dry_run: find out and write nothing.
        server: the sshd of this machine.
        now: the time, for the list.

    Raises:
        MalformedKey: the list cannot be read. UsageError: a list of lines cannot hold a key of
            which only the fingerprint is known.
        NoPermission, FidokitError: it cannot be written.
    """
    with nullcontext(server) if server else local_sshd() as asked:
        named, why = _named_by_sshd(asked)
    chosen = path or named or USUAL
    writes = bool(keys) and not dry_run
    with locked(chosen.parent) if writes else nullcontext():
        before = _read(chosen)
        changed, text = _without(before, keys) if take_back else _with(before, keys)
        if changed and writes:
            _write(chosen, text(int(now())))
    after = _read(chosen) if changed and writes else before
    return RevocationList(
        chosen,
        after.form,
        tuple(after.prints()),
        sum(not isinstance(entry, (ExplicitKey, Fingerprint)) for entry in after.entries),
        added=() if take_back else tuple(changed),
        removed=tuple(changed) if take_back else (),
        present=tuple(print_ for print_ in keys if print_ not in changed),
        read_by_sshd=None if why else named is not None and _same(named, chosen),
        confirmed=_confirmed(chosen, keys, revoked=not take_back) if writes else None,
        why=why,
    )


def revoked_also(
    data: bytes,
    keys: Mapping[str, bytes],
    serials: Iterable[Serials] = (),
    *,
    now: Callable[[], float] = time.time,
) -> bytes:
    """The content of a list with more keys and certificates on it; itself if it has them all.

    A list of lines holds whole keys, which revoke their certificates, too, and no serial numbers.

    Args:
        data: the list; a new one is a KRL.
        keys: blobs by fingerprint, empty for one of which no more is known.
        serials: certificates; a zero among them stands for no number, and revokes nothing.

    Raises:
        MalformedKey: it is not a list of revoked keys.
        UsageError: a list of lines cannot hold a key of which only the fingerprint is known.
    """
    before = _content(data)
    new, text = _with(before, keys)
    if before.form == "lines":
        return text(0) if new else data
    more = [one for one in serials if not _lists(before.entries, one)]
    if not new and not more:
        return data
    added = [_entry(print_, keys[print_]) for print_ in new]
    return _encoded(before, [*before.entries, *added, *more], int(now()))


def _lists(entries: Iterable[Entry], one: Serials) -> bool:
    """Whether a range of serial numbers is within a range on the list."""
    return any(
        isinstance(entry, Serials)
        and entry.authority in (one.authority, b"")
        and entry.lowest <= one.lowest
        and one.highest <= entry.highest
        for entry in entries
    )


def _named_by_sshd(server: LocalSshd) -> tuple[Path | None, str]:
    """The list that sshd reads, and why that is not known."""
    if server.sshd is None:
        return None, server.why
    try:
        settings = server.sshd.settings(None, LOOPBACK)
    except SshdNotAsked as error:
        return None, error.message
    named = settings.is_set("revokedkeys")
    return (Path(settings.first("revokedkeys")) if named else None), ""


def _same(a: Path, b: Path) -> bool:
    return os.path.realpath(a) == os.path.realpath(b)


_Text = Callable[[int], bytes]


def _with(before: _Content, keys: Mapping[str, bytes]) -> tuple[list[str], _Text]:
    known = set(before.prints())
    new = [print_ for print_ in keys if print_ not in known]
    if before.form == "lines":
        made = _with_lines(before.text, {print_: keys[print_] for print_ in new})
        return new, lambda _now: made
    entries = [*before.entries, *(_entry(print_, keys[print_]) for print_ in new)]
    return new, lambda now: _encoded(before, entries, now)


def _entry(print_: str, blob: bytes) -> Entry:
    return ExplicitKey(blob) if blob else Fingerprint("sha256", blobs.digest_of(print_))


def _encoded(before: _Content, entries: Iterable[Entry], now: int) -> bytes:
    comment = before.comment or "fidokit"
    return encode_krl(entries, version=before.version + 1, generated=now, comment=comment)


def _with_lines(text: bytes, keys: Mapping[str, bytes]) -> bytes:
    for print_, blob in keys.items():
        if not blob:
            raise UsageError(
                "the list holds whole keys, one a line, and only the fingerprint is known of"
                f" {print_}",
                hint="name the key's file",
            )
    before = text if text.endswith(b"\n") or not text else text + b"\n"
    return before + b"".join(_line(blob) for blob in keys.values())


def _line(blob: bytes) -> bytes:
    return f"{blobs.type_name(blob)} {b64encode(blob).decode()}\n".encode()


def _without(before: _Content, keys: Mapping[str, bytes]) -> tuple[list[str], _Text]:
    known = set(before.prints())
    gone = [print_ for print_ in keys if print_ in known]
    if before.form != "lines":
        left = [entry for entry in before.entries if _print_of(entry) not in set(gone)]
        return gone, lambda now: _encoded(before, left, now)
    wanted = frozenset(gone)
    made = b"".join(
        line.raw
        for line in lines_of(before.text)
        if isinstance(line, OtherLine) or not holds_any(line, wanted)
    )
    return gone, lambda _now: made


def _write(path: Path, text: bytes) -> None:
    try:
        mode = path.stat().st_mode & 0o7777 & ~_OTHERS_WRITE if path.exists() else _MODE
        atomic.replace(Path(os.path.realpath(path)), text, mode)
    except NoPermission as error:
        raise NoPermission(error.message, hint="only root may change this list: use sudo") from None


def _confirmed(path: Path, keys: Mapping[str, bytes], *, revoked: bool) -> bool | None:
    """Whether the installed ssh-keygen finds the keys on the list, or off it."""
    program = shutil.which("ssh-keygen")
    whole = [blob for blob in keys.values() if blob]
    if program is None or not whole or not path.exists():
        return None
    with TemporaryDirectory(prefix="fidokit-") as folder:
        public = Path(folder, "key.pub")
        return all(_is_revoked(program, path, public, blob) is revoked for blob in whole)


def _is_revoked(program: str, path: Path, public: Path, blob: bytes) -> bool:
    public.write_bytes(_line(blob))
    try:
        done = subprocess.run(  # noqa: S603  the installed program
            [program, "-Q", "-f", str(path), str(public)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_KEYGEN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FidokitError(f"ssh-keygen cannot be asked: {error}") from None
    return b"REVOKED" in done.stdout

"""Taking keys out: from every file that sshd reads, of one user or of all, and proved afterwards.

"Removed" is said where the installed sshd, asked, no longer takes the key. What only sshd can read
in a file is asked of it; what still knows a key (another user's file, a certificate, a command) is
named.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final, Union

from fidokit.errors import FidokitError, SshdNotAsked, UsageError
from fidokit.openssh.lines.authorized_keys import AuthorizedKey, BadLine
from fidokit.server.accounts import Account, all_accounts
from fidokit.server.authorize import blobs, key_file, lines
from fidokit.server.authorize.local import LocalSshd, Prover, UserFiles, files_of
from fidokit.server.authorize.outcome import FileChange
from fidokit.server.authorize.places import KeyPlace
from fidokit.server.sshd.key_questions import KeyAnswer, PublicText
from fidokit.server.sshd.query import in_batches
from fidokit.server.sshd.settings import ConfigPlace, SshdSettings

_MOST_NAMED: Final = 20
Progress = Callable[[int, int], None]
"""Called with how many users were asked about, of how many."""

_Identities = set[Union[tuple[int, int], Path]]  # noqa: UP007  Python 3.9 evaluates it


@dataclass
class Removal:
    """What became of keys that were to go.

    Attributes:
        files: those that were changed, or would be.
        failures: what could not be changed or proved, a sentence each: a key may still get in.
        notes: what else may know the keys, a sentence each.
        proved: users as whom the installed sshd was asked, and takes none of the keys.
    """

    files: list[FileChange] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    proved: list[str] = field(default_factory=list)


@dataclass
class Remover:
    """Takes keys out of the files of one user after the other.

    Attributes:
        prints: fingerprints of the keys.
        known: their blobs, as far as they are known, by fingerprint; lines add to it.
        dry_run: find out and write nothing.
    """

    prints: frozenset[str]
    known: dict[str, bytes]
    dry_run: bool = False
    done: Removal = field(default_factory=Removal)
    _seen: _Identities = field(default_factory=set)
    _changed: set[tuple[object, str]] = field(default_factory=set)
    _to_ask: list[tuple[LocalSshd, UserFiles]] = field(default_factory=list)
    _unknown: bool = False

    def remove(self, server: LocalSshd, files: UserFiles, *, always_ask: bool) -> None:
        """Take the keys out of a user's files.

        Args:
            server: which reads these files.
            always_ask: have it asked about this user afterwards, even where no file had a key.
        """
        ask = always_ask or _command_of(files.settings) != ""
        for place in files.places:
            try:
                text = key_file.read(files.user, place.path)
            except FidokitError as error:  # with the user's rights, as sshd would: it is asked
                self.done.notes.append(f"not checked for {files.user.name}: {error.message}")
                ask = True
                continue
            if text is not None:
                ask |= self._from_file(files, place, text)
        if ask:
            self._to_ask.append((server, files))

    def fail_at(self, server: LocalSshd, why: str) -> None:
        """Note that an sshd beside the usual one cannot be asked: it may let the keys in."""
        self.done.failures.append(f"{server.name} may still let in: {why}")
        self._unknown = True

    def _from_file(self, files: UserFiles, place: KeyPlace, text: bytes) -> bool:
        """Take the keys out of one file; whether sshd is to be asked about it afterwards."""
        identity = _identity(place.path)
        mark = identity, files.user.name
        if identity in self._seen:
            return mark in self._changed
        self._seen.add(identity)
        change = lines.revoke(text, self.prints)
        if change.is_empty and not change.unreadable:
            return False
        self._changed.add(mark)
        if change.is_empty:
            return True
        self.known.update(blobs_of_lines(change.removed, self.prints))
        try:
            self._edit(files, place)
        except FidokitError as error:
            self.done.failures.append(f"{place.path} could not be changed: {error.message}")
        else:
            self._changed.add((_identity(place.path), files.user.name))  # it was replaced
            self._seen.add(_identity(place.path))
        return True

    def _edit(self, files: UserFiles, place: KeyPlace) -> None:
        change = key_file.edit(
            files.user,
            place.path,
            lambda before: lines.revoke(before, self.prints),
            dry_run=self.dry_run,
        )
        self.done.files.append(FileChange(str(place.path), change, files.user.name))
        if place.shared:
            self.done.notes.append(f"{place.path} is read for every user: none has the key now")

    # --- proving -----------------------------------------------------------------------------

    def prove(self, provers: Sequence[Prover], progress: Progress) -> None:
        """Ask every sshd whether any of the keys still gets in.

        Args:
            provers: one for each sshd whose files were looked at.
            progress: called with how many users were asked about, of how many.
        """
        keys = [text_of(blob) for print_, blob in self.known.items() if print_ in self.prints]
        missing = self.prints - set(self.known)
        if missing and any(_command_of(files.settings) for _, files in self._to_ask):
            self.done.notes.append(
                "AuthorizedKeysCommand could not be asked about a key of which only the fingerprint"
                " is known; name its file to have that proved"
            )
        refused: dict[str, bool] = {}
        asked = count()
        for prover in provers:
            those = [files for server, files in self._to_ask if server is prover.server]
            askable = [files for files in those if self._can_be_asked(files)]
            refused.update({one.user.name: False for one in those if one not in askable})
            answered = prover.ask_all([files.user for files in askable], keys)
            where = f" ({prover.server.name})" if len(provers) > 1 else ""
            for files, answers in zip(askable, answered):  # noqa: B905  Python 3.9
                progress(next(asked), len(self._to_ask))
                name = files.user.name
                refused[name] = self._judge(files, answers, where) and refused.get(name, True)
        if not self._unknown:
            self.done.proved += [name for name, is_refused in refused.items() if is_refused]

    def _can_be_asked(self, files: UserFiles) -> bool:
        why = files.doubt or ("" if os.geteuid() in {0, files.user.uid} else "only root can ask")
        if why:
            self.done.notes.append(f"not proved for {files.user.name}: {why}")
        return not why

    def _judge(self, files: UserFiles, answers: Sequence[KeyAnswer], where: str) -> bool:
        """Whether an sshd takes none of the keys; where it may, a sentence says so."""
        name = files.user.name
        for answer in answers:
            if answer.accepted is None and not _takes_no_keys(files.settings):
                self.done.notes.append(f"not proved for {name}: {answer.why}{where}")
            elif answer.accepted:
                by = _by(answer.place, _command_of(files.settings))
                print_ = answer.key.fingerprint
                self.done.failures.append(f"{print_} still lets in as {name}: {by}{where}")
        return bool(answers) and all(answer.accepted is False for answer in answers)


def _takes_no_keys(settings: SshdSettings | None) -> bool:
    return settings is not None and settings.first("pubkeyauthentication").lower() == "no"


def _command_of(settings: SshdSettings | None) -> str:
    """AuthorizedKeysCommand; empty for none."""
    if settings is None or not settings.is_set("authorizedkeyscommand"):
        return ""
    return settings.first("authorizedkeyscommand")


def _by(place: ConfigPlace | None, command: str) -> str:
    # sshd names the program, or from some version on the whole line.
    if command and (place is None or place.path in {command, command.split(maxsplit=1)[0]}):
        return f"AuthorizedKeysCommand {command} returns it"
    return str(place) if place else "see sshd's log"


def blobs_of_lines(
    gone: Iterable[AuthorizedKey | BadLine], prints: frozenset[str]
) -> dict[str, bytes]:
    """The blobs of lines that are those of keys, by fingerprint."""
    found = {blobs.fingerprint_of(b): b for line in gone for b in blobs.blobs_in(line.raw)}
    return {print_: blob for print_, blob in found.items() if print_ in prints}


def text_of(blob: bytes) -> PublicText:
    """A blob as a line for ssh."""
    line = f"{blobs.type_name(blob)} {b64encode(blob).decode()}"
    return PublicText(line, blobs.fingerprint_of(blob))


def _identity(path: Path) -> tuple[int, int] | Path:
    try:
        found = path.stat()
    except OSError:
        return path
    return found.st_dev, found.st_ino


# --- what else knows a key -------------------------------------------------------------------


def other_ways(files: UserFiles, prints: frozenset[str]) -> Iterator[str]:
    """What may let the holders of keys in by other ways than their lines, a sentence each."""
    yield from by_settings(files.settings)
    if files.settings is not None and files.settings.is_set("trustedusercakeys"):
        authorities = files.settings.first("trustedusercakeys")
        if _is_listed(Path(authorities), prints):
            yield f"the key is one of the authorities in {authorities}; remove it there"
    found = [
        f"{place.path}:{line.line_number}" for place, line in files.lines() if line.is_authority
    ]
    if found:
        yield (
            f"a certificate of the key, signed by the authority in {found[0]}, would let in; "
            "to keep it out: fidokit server revoke-list"
        )


def by_settings(settings: SshdSettings | None) -> Iterator[str]:
    """What settings say of other ways in than lines."""
    if settings is not None and settings.is_set("trustedusercakeys"):
        yield (
            "a certificate of the key, signed by an authority in "
            f"{settings.first('trustedusercakeys')}, still lets in; put the key on sshd's list of "
            "revoked keys: fidokit server revoke-list"
        )


def _is_listed(path: Path, prints: frozenset[str]) -> bool:
    try:
        text = path.read_bytes()[: lines.MAX_FILE]
    except OSError:
        return False
    return any(lines.holds_any(line, prints) for line in lines.lines_of(text))


def others_with(
    servers: Sequence[LocalSshd], prints: frozenset[str], but: Account
) -> Iterator[str]:
    """The other users' lines of the keys, as far as this process may look: root sees all."""
    if os.geteuid() != 0:
        yield "other users' files were not checked; root can check them: --all-users"
        return
    seen: _Identities = set()
    named = 0
    try:
        for files in (files for server in servers for files in files_of_all(server, but=but)):
            for place, number in _new_lines(files, prints, seen):
                named += 1
                if named <= _MOST_NAMED:
                    yield f"{files.user.name} has the key, too: {place.path}:{number}; --all-users"
    except SshdNotAsked as error:
        yield f"other users' files were not checked: {error.message}"


def _new_lines(
    files: UserFiles, prints: frozenset[str], seen: _Identities
) -> Iterator[tuple[KeyPlace, int]]:
    """The lines of the keys in files that were not looked at before."""
    for place in files.places:
        identity = _identity(place.path)
        if identity not in seen:
            seen.add(identity)
            yield from ((place, number) for number in _lines_with(files, place, prints))


def _lines_with(files: UserFiles, place: KeyPlace, prints: frozenset[str]) -> Iterator[int]:
    try:
        text = key_file.read(files.user, place.path)
    except FidokitError:
        return
    for line in lines.lines_of(text or b""):
        if lines.holds_any(line, prints):
            yield line.line_number


def may_let_in(files: UserFiles, prints: frozenset[str]) -> bool:
    """Whether a user's files have one of the keys, or cannot be read, or a command returns keys."""
    if _command_of(files.settings):
        return True
    try:
        texts = [key_file.read(files.user, place.path) or b"" for place in files.places]
    except FidokitError:
        return True
    return any(lines.holds_any(line, prints) for text in texts for line in lines.lines_of(text))


def files_of_all(
    server: LocalSshd,
    *,
    but: Account | None = None,
    progress: Progress = lambda _done, _all: None,
    failed: Callable[[str], None] = lambda _: None,
) -> Iterator[UserFiles]:
    """The files of every user that this machine lists; several users are asked about at a time.

    Args:
        but: a user to leave out.
        progress: see `Progress`.
        failed: called with a sentence about a user that sshd cannot be asked about.

    Raises:
        SshdNotAsked: sshd did not tell.
    """

    def found(user: Account) -> UserFiles | FidokitError:
        try:
            return files_of(server, user, None)
        except FidokitError as error:
            return error

    users = [user for user in all_accounts() if but is None or user.name != but.name]
    workers = min(16, (os.cpu_count() or 1) + 2)
    for number, (user, files) in enumerate(in_batches(users, found, workers)):
        progress(number, len(users))
        if isinstance(files, UserFiles):
            yield files
        elif isinstance(files, UsageError):  # a name that -C cannot hold
            failed(f"not checked for {user.name!r}: {files.message}")
        else:
            raise files

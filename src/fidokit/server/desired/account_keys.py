"""The keys of an account as somebody wants them: present, absent, or the only ones.

Keys come as text, and with evidence that somebody else has judged: whoever asks has read files,
accounts and attestations on a machine of their own.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fidokit.errors import MalformedFile, UsageError
from fidokit.openssh.lines.authorized_keys import AuthorizedKey, BadLine, parse_file
from fidokit.openssh.lines.options import Option, check_options, parse_list
from fidokit.server.authorize import blobs, lines
from fidokit.server.authorize.authorization import AuthorizeTarget, let_in_here, take_out_here
from fidokit.server.authorize.outcome import Authorized, How
from fidokit.server.authorize.standing import WORDS, Admittance
from fidokit.server.authorize.wishes import WantedKey, merged
from fidokit.server.sshd.drop_in import Edit


@dataclass(frozen=True)
class DesiredKeys:
    """Which keys an account is to have, or not to have.

    Attributes:
        texts: lines of authorized_keys; of keys that are to go `SHA256:...`, too.
        place: whose account.
        options: for each key, as they stand before it in a file.
        exclusive: take every other key out.
        unproved: do so without proof that one of these gets in.
        attested: fingerprints of keys of which it is known that a token made them; no other key
            is added. None if any key may be.
    """

    texts: Sequence[str]
    place: AuthorizeTarget
    options: str = ""
    exclusive: bool = False
    unproved: bool = False
    attested: Collection[str] | None = None


@dataclass(frozen=True)
class KeysReached:
    """What was done to an account.

    Attributes:
        done: see `Authorized`.
        edits: each file that changes, from its first text to its last.
    """

    done: Authorized
    edits: tuple[Edit, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not known, or stands beside, a sentence each."""
        doubts = (
            f"{one.key.comment or one.key.fingerprint}: {WORDS[one.standing]}, {one.why}"
            for one in self.done.standings
            if one.standing in {Admittance.UNPROVED, Admittance.ACCEPTED}
        )
        return (*self.done.warnings, *doubts)

    @property
    def failures(self) -> tuple[str, ...]:
        """Why the account is not as it is wanted, a sentence each."""
        refused = (
            f"{one.key.comment or one.key.fingerprint} {WORDS[one.standing]}: {one.why}"
            for one in self.done.standings
            if one.standing is Admittance.REFUSED
        )
        return (*self.done.failures, *refused)


def let_keys_in(wish: DesiredKeys, *, dry_run: bool = False) -> KeysReached:
    """Let the keys of a wish into an account.

    Raises:
        MalformedFile: a line that sshd would not take, or an option.
        UsageError: no key, a key that is new and not attested, or one that lets nobody in.
        FidokitError: as `authorization.authorize_keys`.
    """
    wanted = wanted_of(wish.texts, wish.options)
    how = How(wish.exclusive, wish.unproved, dry_run=dry_run)
    if wish.attested is not None:
        first = let_in_here(wanted, wish.place, replace(how, dry_run=True))
        _require_attested(first, wish.attested)
    done = let_in_here(wanted, wish.place, how)
    return KeysReached(done, _edits(done, wanted if dry_run else ()))


def take_keys_out(wish: DesiredKeys, *, dry_run: bool = False) -> KeysReached:
    """Take the keys of a wish out of an account.

    Raises:
        FidokitError: as `authorization.revoke_keys`.
    """
    done = take_out_here(blobs_by_print(wish.texts), wish.place, dry_run=dry_run)
    return KeysReached(done, _edits(done, ()))


def _require_attested(first: Authorized, attested: Collection[str]) -> None:
    new = [key for key in first.change.added if key.fingerprint not in attested]
    if new:
        names = ", ".join(f"{key.fingerprint} {key.comment}".rstrip() for key in new[:5])
        raise UsageError(
            f"new here, and nothing attests that a token made it: {names}",
            hint="give the attestation and the challenge of this key; nothing was changed",
        )


def _edits(done: Authorized, alone: Sequence[WantedKey]) -> tuple[Edit, ...]:
    """The whole change of each file.

    Args:
        alone: where nothing was written, and others are taken out: the keys that stay.
    """
    found: dict[str, Edit] = {}
    for file in done.files:
        old, after = found.get(file.where), file.change.after
        if old and alone:
            after = lines.keep_only(old.after or b"", alone).after
        before = old.before if old else file.change.before
        found[file.where] = Edit(Path(file.where), before, after)
    return tuple(edit for edit in found.values() if not edit.is_empty)


# --- keys as text ----------------------------------------------------------------------------


def wanted_of(texts: Sequence[str], options: str = "") -> list[WantedKey]:
    """The keys of some texts, with options that are wished for all of them.

    Raises:
        MalformedFile: a line that sshd would not take, or an option.
        UsageError: there is no key.
    """
    wished = option_list(options)
    found = []
    for line in _lines(texts):
        key = WantedKey(line.key, line.comment, merged(line.options, wished))
        check_options(key.options)
        found.append(key)
    if not found:
        raise UsageError("no key is named", hint="give the text of a public key")
    return found


def option_list(text: str) -> tuple[Option, ...]:
    """Options as they stand before a key.

    Raises:
        MalformedFile: sshd would not take them.
    """
    options = parse_list(text.strip().encode(), end_comma=True) if text.strip() else ()
    check_options(options)
    return options


def blobs_by_print(texts: Sequence[str]) -> dict[str, bytes]:
    """The blobs of keys by fingerprint; empty for one of which no more is given.

    Raises:
        MalformedFile, UsageError: a text is not a key, nor a fingerprint; or there is none.
    """
    found: dict[str, bytes] = {}
    for text in texts:
        if text.startswith(blobs.SHA256):
            print_ = text.strip().rstrip("=")
            blobs.digest_of(print_)
            found.setdefault(print_, b"")
            continue
        for raw in text.splitlines():
            known = _blobs_of_line(raw)
            found.update({blobs.fingerprint_of(blob): blob for blob in known})
    if not found:
        raise UsageError("no key is named", hint="give a public key, or SHA256:...")
    return found


def _blobs_of_line(raw: str) -> Iterator[bytes]:
    """Of a line of a type that we do not know, too."""
    data = raw.encode("utf-8", "surrogateescape")
    known = list(blobs.blobs_in(data))
    if not known and data.strip() and not data.lstrip().startswith(b"#"):
        raise MalformedFile(f"not a public key: {raw[:60]}", hint="check what `key` has")
    for blob in known:
        if "-cert-v" in blobs.type_name(blob):
            raise MalformedFile("a certificate is not a key", hint="give the key that it is for")
    return iter(known)


def _lines(texts: Sequence[str]) -> Iterator[AuthorizedKey]:
    for text in texts:
        data = text.encode("utf-8", "surrogateescape")
        for line in parse_file(io.BytesIO(data if data.endswith(b"\n") else data + b"\n")):
            if isinstance(line, BadLine):
                raise MalformedFile(
                    f"line {line.line_number} of a key: {line.reason}",
                    hint="sshd would ignore that line; fix or remove it",
                )
            if isinstance(line, AuthorizedKey):
                yield line


def prints_of(texts: Sequence[str]) -> Mapping[str, str]:
    """The public line of each key, without options, by fingerprint.

    Raises:
        MalformedFile, UsageError: as `wanted_of`.
    """
    return {key.fingerprint: key.line.encode() for key in wanted_of(texts)}

"""Whether a new configuration of sshd still lets users in: their keys, the evidence, a verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Union

from fidokit.errors import FidokitError, NoPermission
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import PublicLine, SkEcdsaPublic, SkEd25519Public
from fidokit.openssh.lines.authorized_keys import AuthorizedKey, BadLine, parse_file
from fidokit.server.accounts import Account, account
from fidokit.server.check.key_verdicts import SK
from fidokit.server.check.keys.evidence import keys_in
from fidokit.server.key_paths import opened_keys, path_of
from fidokit.server.sshd.key_questions import KeyAnswer, KeyQuestion, PublicText
from fidokit.server.sshd.settings import SshdSettings
from fidokit.types import Word

_NO_SHELLS: Final = frozenset({"nologin", "false", "sync", ""})


HeldLine = Union[AuthorizedKey, BadLine]  # noqa: UP007  Python 3.9 evaluates it
"""A line with a key; one that we cannot read may still hold a key that sshd takes."""


@dataclass(frozen=True)
class KeyHolder:
    """A user and the keys in their files, each once; comments are hostile text."""

    account: Account
    files: tuple[Path, ...]
    keys: tuple[HeldLine, ...]


def key_holder(user: Account, patterns: Sequence[str]) -> KeyHolder:
    """A user's keys.

    Args:
        patterns: of sshd's AuthorizedKeysFile, for this user.

    Raises:
        NoPermission: a file that is there cannot be read.
    """
    files = tuple(dict.fromkeys(path_of(user, pattern) for pattern in patterns))
    found: dict[str, HeldLine] = {}
    for path in files:
        for line in _lines(path, user):
            found.setdefault(name_of(line), line)  # sshd takes the first line that fits
    return KeyHolder(user, files, tuple(found.values()))


def _lines(path: Path, user: Account) -> Iterator[HeldLine]:
    with opened_keys(user, path, strict=False) as source:
        if source is None:
            return
        if source.hidden:
            raise NoPermission(source.hidden, hint="repeat it with sudo")
        if source.file:
            yield from (
                line
                for line in parse_file(source.file)
                if isinstance(line, AuthorizedKey)
                or (isinstance(line, BadLine) and keys_in(line.raw))
            )


def public_texts(line: HeldLine) -> tuple[PublicText, ...]:
    """The key of a line for ssh; of one that we cannot read, every key that sshd might read."""
    if isinstance(line, BadLine):
        return keys_in(line.raw)
    return (PublicText.of(PublicLine(line.key, "")),)


def is_authority(line: HeldLine) -> bool:
    """Whether the key of a line signs certificates, and does not log in itself."""
    return isinstance(line, AuthorizedKey) and line.is_authority


def _has(line: HeldLine, option: str) -> bool:
    if isinstance(line, BadLine):
        return option.encode() in line.raw.lower()
    return line.has(option)


def everybody(patterns: Sequence[str]) -> list[Account]:
    """Users who have a file with keys; for whoever is not root, only themselves.

    A file that is everybody's says nothing of users without a shell.

    Args:
        patterns: of sshd's AuthorizedKeysFile.
    """
    if os.geteuid() != 0:
        return [account()]
    own = [pattern for pattern in patterns if not _is_shared(pattern)]
    return [
        user
        for user, shell in _users()
        if _has_file(user, own if Path(shell).name in _NO_SHELLS else patterns)
    ]


def _users() -> Iterable[tuple[Account, str]]:
    """Each user once, with their shell."""
    import pwd

    return {
        u.pw_name: (Account(u.pw_name, u.pw_uid, u.pw_gid, Path(u.pw_dir)), u.pw_shell)
        for u in pwd.getpwall()
    }.values()


def _is_shared(pattern: str) -> bool:
    """Whether a pattern of AuthorizedKeysFile names one file for all users."""
    return pattern.startswith("/") and not any(token in pattern for token in ("%h", "%u", "%U"))


def _has_file(user: Account, patterns: Sequence[str]) -> bool:
    try:
        return bool(key_holder(user, patterns).keys)
    except FidokitError:
        return True  # so that they are looked at, and the reason is told


MOST_KEYS: Final = 300
"""Of one user that are asked about."""

_OPTIONS: Final = "pubkeyauthoptions"
_RANKS: Final = (False, None, True)


class Proof(Word):
    """How sure it is that a key gets in."""

    LOGIN = "login"
    QUERY = "query"
    UNPROVED = "unproved"
    REFUSED = "refused"


@dataclass(frozen=True)
class KeyProof:
    """What is known of one key; the line's comment is hostile text."""

    line: HeldLine
    proof: Proof
    why: str


@dataclass(frozen=True)
class UserProof:
    """What is known of one user's keys.

    Attributes:
        keys: each that was asked about.
        got_in_before: whether the old configuration took any of them.
        left_over: how many more keys there are.
    """

    user: str
    keys: tuple[KeyProof, ...]
    got_in_before: bool
    left_over: int = 0

    @property
    def is_proved(self) -> bool:
        """Whether some key gets in for sure."""
        return any(key.proof in {Proof.LOGIN, Proof.QUERY} for key in self.keys)

    @property
    def is_refused(self) -> bool:
        """Whether every key is refused."""
        return all(key.proof is Proof.REFUSED for key in self.keys)


class TrialServer(Protocol):
    """A throw-away sshd; see `trial.Trial`."""

    def ask_all(
        self, questions: Iterable[KeyQuestion], *, progress: Callable[[int], None] = ...
    ) -> Iterator[tuple[KeyQuestion, tuple[KeyAnswer, ...]]]:
        """Which keys of users it would take a signature by."""

    def logs_in(self, identity: Path, user: str) -> bool:
        """Whether an available key gets in for good."""


Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""

_Lines = Sequence[HeldLine]


def prove_all(
    holders: Sequence[KeyHolder],
    settings: Callable[[str], SshdSettings],
    *,
    before: TrialServer,
    after: TrialServer,
    identities: Mapping[str, Path],
    progress: Progress = lambda *_: None,
) -> list[UserProof]:
    """Find out which of users' keys the new configuration takes.

    Args:
        holders: the users.
        settings: gives the new ones of a user.
        before, after: servers with the old and the new configuration.
        identities: by fingerprint, keys that are available for a full login.
        progress: see `Progress`.
    """
    asked = {holder.account.name: _asked(holder) for holder in holders}
    new = _answers(after, asked, lambda n, of: progress("the new configuration", n, of))
    proofs = {}
    for name, lines in asked.items():
        judging = _Judging(after, name, settings(name), new.get(name, {}), identities)
        proofs[name] = [judging.proof(line) for line in lines]
    refused = {
        name: [key.line for key in keys if key.proof is Proof.REFUSED]
        for name, keys in proofs.items()
    }
    old = _answers(before, refused, lambda n, of: progress("the old configuration", n, of))
    return [
        _user_proof(one, proofs[one.account.name], old.get(one.account.name, {})) for one in holders
    ]


def _asked(holder: KeyHolder) -> list[HeldLine]:
    return sorted(holder.keys, key=lambda line: not on_token(line))[:MOST_KEYS]


_Answers = Mapping[str, KeyAnswer]


def _answers(
    server: TrialServer, asked: Mapping[str, _Lines], progress: Callable[[int, int], None]
) -> dict[str, _Answers]:
    """What a server says of each user's keys, by their fingerprints."""
    questions = [
        KeyQuestion(name, tuple(text for line in lines for text in public_texts(line)))
        for name, some in asked.items()
        if (lines := [line for line in some if not is_authority(line)])
    ]
    said = server.ask_all(questions, progress=lambda done: progress(done, len(questions)))
    return {q.user: {x.key.fingerprint: x for x in answers} for q, answers in said}


def _user_proof(holder: KeyHolder, keys: Sequence[KeyProof], before: _Answers) -> UserProof:
    explained, got_in = [], False
    for key in keys:
        known = _answer(before, key.line)
        got_in_before = known is not None and known.accepted is True
        if key.proof is Proof.REFUSED:
            explained.append(_explain_refusal(key, got_in_before=got_in_before))
        else:
            explained.append(key)
        got_in |= got_in_before or explained[-1].proof is not Proof.REFUSED
    return UserProof(holder.account.name, tuple(explained), got_in, len(holder.keys) - len(keys))


def _answer(answers: _Answers, line: HeldLine) -> KeyAnswer | None:
    """What was said of a line's key; of several that it might hold, of one that was taken."""
    names = [text.fingerprint for text in public_texts(line)]
    found = [answers[name] for name in names if name in answers]
    return max(found, key=lambda one: _RANKS.index(one.accepted), default=None)


def name_of(line: HeldLine) -> str:
    """The fingerprint of a line's key; of several that it might hold, of the first."""
    if isinstance(line, BadLine):
        return keys_in(line.raw)[0].fingerprint
    return fingerprint.sha256(line.key.blob())


@dataclass(frozen=True)
class _Judging:
    """One user's keys before a server with the new configuration."""

    server: TrialServer
    user: str
    settings: SshdSettings
    answers: _Answers
    identities: Mapping[str, Path]

    def proof(self, line: HeldLine) -> KeyProof:
        if is_authority(line):
            why = "who holds this authority's certificates is unknown"
            return KeyProof(line, Proof.UNPROVED, why)
        answer = _answer(self.answers, line)
        if answer is None or answer.accepted is None:
            why = answer.why if answer else "nothing was said"
            why = f"the throw-away sshd could not be asked: {why}"
            return KeyProof(line, Proof.UNPROVED, why)
        if not answer.accepted:
            return KeyProof(line, Proof.REFUSED, "the public-key query")
        return self._of_accepted(line)

    def _of_accepted(self, line: HeldLine) -> KeyProof:
        identity = self.identities.get(name_of(line))
        if identity is not None:
            if self.server.logs_in(identity, self.user):
                return KeyProof(line, Proof.LOGIN, "a full login")
            return KeyProof(line, Proof.REFUSED, "the query takes it, but a full login failed")
        doubt = _doubt(line, self.settings)
        if doubt:
            return KeyProof(line, Proof.UNPROVED, doubt)
        return KeyProof(line, Proof.QUERY, "the public-key query")


def _doubt(line: HeldLine, settings: SshdSettings) -> str:
    """Why the query proves nothing: it asks for no signature, which would say what was done."""
    options = settings.first(_OPTIONS).split()
    if not on_token(line):
        return ""
    if "verify-required" in options:
        return "the query cannot tell whether its token verifies the user"
    if "touch-required" in options and _has(line, "no-touch-required"):
        return "it was let in without a touch, and the query cannot tell whether it can ask for one"
    return ""


def _explain_refusal(proof: KeyProof, *, got_in_before: bool) -> KeyProof:
    if not got_in_before:
        if _has(proof.line, "from"):
            return KeyProof(proof.line, Proof.UNPROVED, "its from= keeps this machine out")
        return KeyProof(proof.line, Proof.REFUSED, "as before the change")
    if not on_token(proof.line):
        return KeyProof(proof.line, Proof.REFUSED, "it is not on a token")
    return proof


def on_token(line: HeldLine) -> bool:
    """Whether a line is for a key on a token."""
    if isinstance(line, BadLine):
        return all(text.text.startswith(SK) for text in keys_in(line.raw))
    return isinstance(line.key, (SkEd25519Public, SkEcdsaPublic))


def locked_out(proofs: Sequence[UserProof], losing: Collection[str] = ()) -> list[UserProof]:
    """Users who could not log in any more.

    Args:
        losing: users whom a password lets in before the change, and not after it.
    """
    return [
        proof
        for proof in proofs
        if proof.is_refused and (proof.got_in_before or proof.user in losing)
    ]


def unproved(proofs: Sequence[UserProof]) -> list[UserProof]:
    """Users of whom nothing is known for sure, though nothing speaks against them."""
    return [proof for proof in proofs if not proof.is_proved and not proof.is_refused]

"""What the installed sshd says of users and keys that our own reading calls refused.

Our reading may be wrong in both directions: it is believed where it says that a key gets in. Where
it says no, and a rule would hold because of that, a throw-away instance of the installed sshd is
asked (root alone); without an answer it is a doubt.
"""

from __future__ import annotations

import os
import re
from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fidokit.errors import FidokitError, Malformed
from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.wire import Reader
from fidokit.server.check.scope.places import Places
from fidokit.server.sshd import trial
from fidokit.server.sshd.key_questions import KeyQuestion, PublicText
from fidokit.server.sshd.query import LoginOrigin, Sshd
from fidokit.server.sshd.trial import Bench, Trial

NOT_ROOT: Final = "only root can ask a throw-away sshd about it; repeat it with sudo"
_FIRST: Final = ("-o", "MaxAuthTries=1000", "-o", "LogLevel=VERBOSE", "-o", "ForceCommand=true")
_KEYS_ALONE: Final = "Match all\nAuthenticationMethods publickey\n"
_PROBE: Final = """\
StrictModes no
PubkeyAuthentication yes
PubkeyAcceptedKeyTypes ssh-ed25519
AuthorizedKeysCommand none
TrustedUserCAKeys none
RevokedKeys none
AuthorizedKeysFile {folder}/probe
"""
_PROBED: Final = """\
Match all
AuthenticationMethods publickey
PubkeyAuthentication yes
PubkeyAcceptedKeyTypes ssh-ed25519
AuthorizedKeysFile {folder}/probe
AuthorizedKeysCommand none
TrustedUserCAKeys none
RevokedKeys none
"""


@dataclass
class SshdEvidence:
    """Asks throw-away instances; a context manager, for their files.

    Attributes:
        is_root: whether this process may start them; without, nothing is answered.
    """

    is_root: bool = field(default_factory=lambda: os.geteuid() == 0)
    _stack: ExitStack = field(default_factory=ExitStack, repr=False)
    _bench: Bench | None = field(default=None, repr=False)
    _trials: dict[tuple[str, tuple[str, ...], bool], Trial] = field(
        default_factory=dict, repr=False
    )
    _allowed: dict[tuple[str, str, LoginOrigin], tuple[bool | None, str]] = field(
        default_factory=dict, repr=False
    )

    def __enter__(self) -> SshdEvidence:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def user_is_allowed(
        self, sshd: Sshd, user: str, origin: LoginOrigin
    ) -> tuple[bool | None, str]:
        """Whether sshd looks at any key of a user from a place; None, and why, if not known.

        A key of ours is put in the place of the user's own for that.
        """
        asked = (_words(sshd), user, origin)
        if asked not in self._allowed:
            self._allowed[asked] = self._ask_user(sshd, user, origin)
        return self._allowed[asked]

    def _ask_user(self, sshd: Sshd, user: str, origin: LoginOrigin) -> tuple[bool | None, str]:
        if not self.is_root:
            return None, NOT_ROOT
        try:
            server = self._trial(sshd, probe=True)
            text = _own_key(self._opened())
        except (FidokitError, OSError) as error:
            return None, str(error)
        (answer,) = server.ask(KeyQuestion(user, (text,), origin))
        return answer.accepted, answer.why

    def keys_are_taken(
        self, sshd: Sshd, user: str, keys: Sequence[PublicText], origins: Sequence[LoginOrigin]
    ) -> dict[str, tuple[bool | None, str]]:
        """Which keys sshd takes from some place, by fingerprint; None, and why, if not known.

        A key that one place takes is taken; one that no place refuses for certain is not known.
        """
        if not self.is_root:
            return {key.fingerprint: (None, NOT_ROOT) for key in keys}
        try:
            server = self._trial(sshd, probe=False)
        except (FidokitError, OSError) as error:
            return {key.fingerprint: (None, str(error)) for key in keys}
        found: dict[str, tuple[bool | None, str]] = {}
        questions = [KeyQuestion(user, tuple(keys), origin) for origin in origins]
        for _, answers in server.ask_all(questions):
            for answer in answers:
                name = answer.key.fingerprint
                found[name] = _worse(found.get(name), (answer.accepted, answer.why))
        return found

    def _opened(self) -> Bench:
        if self._bench is None:
            self._bench = self._stack.enter_context(trial.bench())
        return self._bench

    def _trial(self, sshd: Sshd, *, probe: bool) -> Trial:
        asked = (sshd.program, sshd.arguments, probe)
        if asked not in self._trials:
            self._trials[asked] = self._made(sshd, probe=probe)
        return self._trials[asked]

    def _made(self, sshd: Sshd, *, probe: bool) -> Trial:
        bench, name = self._opened(), f"check{len(self._trials)}"
        if probe:
            folder = self._stack.enter_context(TemporaryDirectory(prefix="fidokit-"))
            Path(folder).chmod(0o711)  # sshd looks into it with the user's rights
            Path(folder, "probe").write_text(f"{_own_key(bench).text}\n")
            more = _PROBE.format(folder=folder)
            always = bench.stage(f"{name}.always", _PROBED.format(folder=folder).encode())
        else:
            more, always = "", bench.stage(f"{name}.always", _KEYS_ALONE.encode())
        config = bench.stage_original(name, sshd, f"{more}Include {always}\n")
        own = _without_methods(trial.own_arguments(sshd.arguments))
        return Trial(bench, sshd.program, config, trial.environment(), (*_FIRST, *own))


def _without_methods(arguments: Sequence[str]) -> tuple[str, ...]:
    """Arguments that leave AuthenticationMethods to the trial, which asks about keys alone."""
    found: list[str] = []
    for word in arguments:
        if found and found[-1] == "-o" and word.lower().startswith("authenticationmethods"):
            found.pop()
        else:
            found.append(word)
    return tuple(found)


def _words(sshd: Sshd) -> str:
    return "\0".join((sshd.program, *sshd.arguments))


def _own_key(bench: Bench) -> PublicText:
    kind, blob, *_ = bench.host_key.with_suffix(".pub").read_text().split()
    return PublicText(f"{kind} {blob}", sha256(a2b_base64(blob)))


def _worse(
    one: tuple[bool | None, str] | None, other: tuple[bool | None, str]
) -> tuple[bool | None, str]:
    """Of two answers the one that speaks more against a rule: taken, not known, refused."""
    if one is None or other[0] is True or one[0] is False:
        return other
    return one


# --- the keys that a line may hold -----------------------------------------------------------

_BLOB: Final = re.compile(rb"AAAA[A-Za-z0-9+/=\v\f\r]{20,}")
_MOST_KEYS: Final = 4
_FROM: Final = re.compile(rb'(?i)(?:^|[\s,])from="((?:[^"\\]|\\.)*)"')
_MPINTS: Final = {b"ssh-rsa": 2, b"ssh-dss": 4}
_MAX_TYPE: Final = 100


def keys_in(raw: bytes) -> tuple[PublicText, ...]:
    """Every key that an sshd might read from a line, however odd the line is.

    sshd passes over white space within base64 and over needless zeros before a number.
    """
    found: dict[str, PublicText] = {}
    for text in _BLOB.findall(raw)[:_MOST_KEYS]:
        for key in _decoded(re.sub(rb"[\v\f\r]", b"", text)):
            found[key.fingerprint] = key
    return tuple(found.values())


def _decoded(text: bytes) -> Iterator[PublicText]:
    try:
        blob = a2b_base64(text)
        name = bytes(Reader(blob, "public key").string())
        canonical = _canonical(name, blob)
    except (Malformed, BinasciiError, ValueError):
        return
    if 3 < len(name) < _MAX_TYPE and re.fullmatch(rb"[A-Za-z0-9@.-]+", name):
        shown = b2a_base64(canonical, newline=False).decode()
        yield PublicText(f"{name.decode()} {shown}", sha256(canonical))


def _canonical(name: bytes, blob: bytes) -> bytes:
    """A key's blob with its numbers as sshd would write them."""
    if name not in _MPINTS:
        return blob
    reader = Reader(blob, "public key")
    parts = [bytes(reader.string()) for _ in range(_MPINTS[name] + 1)]
    numbers = [part.lstrip(b"\0") for part in parts[1:]]
    signed = [b"\0" + n if n[:1] >= b"\x80" else n for n in numbers]
    return b"".join(len(part).to_bytes(4, "big") + part for part in (parts[0], *signed))


def origins_of(
    raw: bytes, usual: Sequence[LoginOrigin], *, use_dns: bool
) -> tuple[list[LoginOrigin], str]:
    """Where a login by a line may come from: the usual places, and those of its own `from=`.

    Also why that may not be all of them; else empty.
    """
    places = Places()
    for patterns in _FROM.findall(raw):
        places.add_from(patterns.decode("utf-8", "surrogateescape"))
    if b"from=" not in raw.lower():
        return list(usual), ""
    found = [o for one in usual for o in places.origins(one, use_dns=False)[0]]
    unread = places.is_empty
    named = use_dns and any(re.search("[g-zG-Z]", name) for name in places.hosts)
    doubt = "its from= names places that cannot be tried" if unread or named else ""
    return list(dict.fromkeys(found)), doubt


def texts(lines: Iterable[bytes]) -> list[PublicText]:
    """The keys of several lines, each once."""
    found = {key.fingerprint: key for line in lines for key in keys_in(line)}
    return list(found.values())

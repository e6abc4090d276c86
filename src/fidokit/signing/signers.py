"""Whoever can sign for a public key: a token, a key file, or the running agent.

Which of them it is, `ssh-keygen -Y sign` decides by the file that is named: a private file, or a
public one (also a certificate) whose private half is in the agent or beside it. So does this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from fidokit.client.ports import QUIET, Backend, Interaction
from fidokit.errors import CredentialNotFound, FidokitError, UsageError
from fidokit.keys.holder import read_key_file, read_named
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.keys.plain_private import PlainPrivate, SignFlag
from fidokit.openssh.keys.private import PrivateFile
from fidokit.openssh.keys.public import PublicLine
from fidokit.openssh.signatures.signature import parse_signature
from fidokit.prompt.text import note
from fidokit.tokens.access import token_holding
from fidokit.types import PassphraseSource

if TYPE_CHECKING:
    from pathlib import Path

    from fidokit.agent_client import AgentClient
    from fidokit.client.session import Session
    from fidokit.keys.holder import NamedKey
    from fidokit.openssh.keys.public import PublicKey, SkPublic
    from fidokit.openssh.signatures.signature import Signature
    from fidokit.types import Application, KeyHandle

_SUFFIXES: Final = ("-cert.pub", ".pub")


class Signer(Protocol):
    """Makes signatures that `public` verifies."""

    @property
    def public(self) -> PublicKey | Certificate:
        """What a signature names as its signer: a key, or a certificate of one."""

    @property
    def name(self) -> str:
        """Who it is, for errors."""

    def sign(self, message: bytes) -> Signature:
        """A signature over `message`; raises what the token, the file or the agent raises."""


@dataclass(frozen=True, slots=True)
class SessionSigner:
    """A key on a token that is open; `certificate` is named in the key's place.

    With `noted`, its signature counter goes into the user's inventory.
    """

    session: Session
    key: PrivateFile
    certificate: Certificate | None = None
    noted: bool = False

    @property
    def public(self) -> PublicKey | Certificate:
        """The certificate, or the key."""
        return self.certificate or self.key.key.public

    @property
    def name(self) -> str:
        """The name of the token."""
        return self.session.name

    def sign(self, message: bytes) -> Signature:
        """A signature by the token, with touch and PIN as the key's flags say."""
        from fidokit.client.credentials.signature import sign

        began = time.time()
        made = sign(self.session, self.key.key, message)
        if self.noted:
            counted(self.key.key.public, made, began)
        return made


def counted(key: SkPublic, made: Signature, began: float) -> None:
    """Note the signature counter of a key on a token, and warn if it went back.

    Args:
        key: the key.
        made: a new signature by it.
        began: when it was asked for, seconds since 1970.
    """
    from fidokit.keys.bookkeeping import clone_sentence, note_counter

    counter = getattr(made, "counter", None)
    if counter is None:
        return
    line = PublicLine(key, "").encode()
    if alarm := note_counter(note, line, counter, began=began, by="a signature"):
        note(f"WARNING: {clone_sentence(sha256(key.blob()), alarm)}; see: fidokit doctor")


@dataclass(frozen=True, slots=True)
class FileSigner:
    """An ordinary private key; RSA signs with SHA-512, as ssh-keygen has it."""

    key: PlainPrivate
    name: str
    certificate: Certificate | None = None

    @property
    def public(self) -> PublicKey | Certificate:
        """The certificate, or the key."""
        return self.certificate or self.key.public

    def sign(self, message: bytes) -> Signature:
        """A signature by the key in the file."""
        return parse_signature(self.key.sign(message, SignFlag.RSA_SHA2_512))


@dataclass(frozen=True, slots=True)
class AgentSigner:
    """A key that the agent shows."""

    agent: AgentClient
    public: PublicKey | Certificate
    name: str = "the agent"

    def sign(self, message: bytes) -> Signature:
        """A signature by the agent.

        Raises:
            FidokitError: it refuses, or answers with something else.
        """
        return self.agent.sign(self.public.blob(), message, SignFlag.RSA_SHA2_512)


# --- which one -----------------------------------------------------------------------------


@contextmanager
def open_signer(
    path: Path,
    interaction: Interaction = QUIET,
    *,
    agent: bool | None = None,
    passphrase: PassphraseSource | None = None,
    selector: str | None = None,
    spend_last_try: bool = False,
    backends: Sequence[Backend] | None = None,
) -> Iterator[Signer]:
    """Whoever signs for the key in a file; what it needs is open inside the block.

    Args:
        path: a private key file; or a public one or a certificate, where the agent holds the
            private half or it stands beside, under the name without `.pub` or `-cert.pub`.
        agent: True: the agent alone; False: never; None: where it shows the key.
        passphrase: asks for the passphrase of a private file, at most once.
        selector: the token, for a key on one; found by the key if it is None.

    Raises:
        CredentialNotFound: neither the agent nor a file nor a token has the private half.
        UsageError: the private file is that of another key.
        MalformedKey, PassphraseRequired, PassphraseWrong, NoPermission: a file cannot be opened.
        TokenNotFound, TokenBusy, FidokitError: a token or the agent cannot be reached.
    """
    open_token = partial(
        token_holding,
        interaction=interaction,
        selector=selector,
        spend_last_try=spend_last_try,
        backends=backends,
    )

    named = read_named(path)
    with _agent_signer(named.key, agent) as held:
        if held is not None:
            yield held
        else:
            with _private_signer(path, named, passphrase, agent, open_token) as signer:
                yield signer


@contextmanager
def _agent_signer(
    named: PublicKey | Certificate, wanted: bool | None
) -> Iterator[AgentSigner | None]:
    from fidokit.agent_client import AgentClient, is_named

    if wanted is False or (wanted is None and not is_named()):
        yield None
        return
    try:
        client = AgentClient.of_environment()
    except FidokitError:
        if wanted:
            raise
        yield None
        return
    with client:
        held = client.keys()
        if named.blob() in (blob for blob, _ in held):
            yield AgentSigner(client, named)
        elif wanted:
            raise CredentialNotFound(
                "the agent does not hold this key", hint="see what it holds: ssh-add -L"
            )
        else:
            yield None


def private_path(path: Path) -> Path:
    """The private file that belongs to a key file: its name without `-cert.pub` or `.pub`."""
    for suffix in _SUFFIXES:
        if path.name.endswith(suffix) and path.name != suffix:
            return path.with_name(path.name.removesuffix(suffix))
    return path


@contextmanager
def _private_signer(
    path: Path,
    named: NamedKey,
    passphrase: PassphraseSource | None,
    agent: bool | None,
    open_token: Callable[[KeyHandle, Application], AbstractContextManager[Session]],
) -> Iterator[Signer]:
    private = private_path(path)
    if private == path and not named.is_private:
        raise CredentialNotFound(
            f"{path} is a public key, whose private half is neither beside it nor in the agent",
            hint="see what the agent holds with ssh-add -L, or name the private file",
        )
    if private != path and not private.exists():
        raise CredentialNotFound(
            f"{path} is a public key, and {private} does not exist; {_said_by_agent(agent)}",
            hint="see what the agent holds with ssh-add -L, or name the private file",
        )
    key, comment = read_key_file(private, passphrase)
    certificate = _certificate(path, private, named.key, key.public)
    if isinstance(key, PlainPrivate):
        yield FileSigner(key, str(private), certificate)
        return
    with open_token(key.key_handle, key.public.application) as session:
        yield SessionSigner(session, PrivateFile(key, comment), certificate, noted=True)


def _said_by_agent(wanted: bool | None) -> str:
    """Why the agent does not sign in its place."""
    from fidokit.agent_client import VARIABLE, AgentClient, is_named

    if wanted is False:
        return "the agent was not asked"
    if not is_named():
        return f"there is no agent ({VARIABLE} is not set)"
    try:
        with AgentClient.of_environment():
            return "the agent does not hold its key"
    except FidokitError as error:
        return error.message


def _certificate(
    path: Path, private: Path, named: PublicKey | Certificate, held: PublicKey
) -> Certificate | None:
    """The certificate that was named; the private half has to be that of its key."""
    plain = named.public if isinstance(named, Certificate) else named
    if plain != held:
        raise UsageError(
            f"{private} is not the private half of {path}",
            hint="give the private file, or put the key into the agent",
        )
    return named if isinstance(named, Certificate) else None

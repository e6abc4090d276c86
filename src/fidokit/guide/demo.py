"""The tour: the whole life of two keys on a virtual token, checked at each step."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.client.ports import Candidate, PinCode, Quiet
from fidokit.errors import FidokitError
from fidokit.keys import holder
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.keys.key_files import describe_key_file
from fidokit.keys.resident_keys import download_keys, list_keys
from fidokit.signing import signatures
from fidokit.signing.signers import SessionSigner
from fidokit.types import KeyType, Transport

if TYPE_CHECKING:
    from fidokit.client.session import Session
    from fidokit.keys.generation import GeneratedKey
    from fidokit.keys.resident_keys import DownloadResult
    from fidokit.virtual.token import VirtualToken

PIN: Final = "2580"
MESSAGE: Final = b"A challenge that nobody could have signed beforehand.\n"
SIGNER: Final = "demo@example.org"
KEYS: Final = ((KeyType.ED25519_SK, "ssh:work"), (KeyType.ECDSA_SK, "ssh:home"))


class DemoMismatch(FidokitError):
    """The tour found a difference where there must be none."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the tour, done and checked.

    Attributes:
        title: a few words.
        explanation: two or three sentences for a newcomer.
        commands: what one would type for this, each without prompt sign.
        result: lines of what happened.
    """

    title: str
    explanation: str
    commands: tuple[str, ...]
    result: tuple[str, ...]


def tour(
    place: Path | None = None, *, ssh_keygen: str | None = "ssh-keygen"
) -> Generator[Step, None, None]:
    """Run the tour step by step; what is yielded has been checked.

    Args:
        place: a folder to use and keep; a temporary one, removed at the end, if None.
        ssh_keygen: program to compare with, where it is installed; None leaves that out.

    Raises:
        DemoMismatch at the first difference; any other FidokitError where a step fails.
    """
    from fidokit.virtual.token import VirtualToken

    with workspace(place) as folder, VirtualToken(folder / "token") as token:
        yield from _Tour(folder, token, ssh_keygen).steps()


@contextmanager
def workspace(chosen: Path | None) -> Iterator[Path]:
    """The folder that was chosen, else a temporary one that goes with the block."""
    if chosen is not None:
        yield chosen
        return
    folder = Path(tempfile.mkdtemp(prefix="fidokit-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class _Owner(Quiet):
    """The newcomer: knows the PIN, touches when asked, and counts both."""

    def __init__(self) -> None:
        self.pins = 0

    def ask_pin(
        self,
        token: str,  # noqa: ARG002
        retries: int | None,  # noqa: ARG002
        why: str,  # noqa: ARG002
        previous_was_wrong: bool,
    ) -> PinCode:
        """Give the tour's PIN."""
        if previous_was_wrong:
            raise DemoMismatch("the token did not accept the PIN that it was given")
        self.pins += 1
        return PinCode.parse(PIN)


@dataclass(slots=True)
class _Tour:
    """The steps and what they hand on to one another."""

    folder: Path
    token: VirtualToken
    ssh_keygen: str | None
    owner: _Owner = field(default_factory=_Owner)
    made: list[GeneratedKey] = field(default_factory=list)
    recovered: list[DownloadResult] = field(default_factory=list)
    signatures: list[Path] = field(default_factory=list)

    def steps(self) -> Iterator[Step]:
        """All of them, in order."""
        yield self.meet()
        yield self.set_pin()
        for key_type, application in KEYS:
            yield self.create(key_type, application)
        yield self.list_keys()
        yield self.lose()
        yield self.recover()
        yield self.compare()
        yield self.sign()
        yield self.ask_ssh_keygen()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """The token, opened for one step."""
        from fidokit.client.discovery import open_session

        candidate = Candidate(
            transport=Transport.VIRTUAL,
            path="demo",
            product="virtual token",
            serial=self.token.identity.serial,
            selector="virtual:demo",
            durable=True,
            open=self.token.link,
        )
        with open_session(candidate, self.owner) as session:
            yield session

    @property
    def old(self) -> Path:
        """The folder of the first computer."""
        return self.folder / "old-computer"

    @property
    def new(self) -> Path:
        """The folder of the second computer."""
        return self.folder / "new-computer"

    def meet(self) -> Step:
        """A token without anything on it."""
        for folder in (self.old, self.new):
            folder.mkdir(mode=0o700)
        with self.session() as session:
            info = session.info
        _same("whether the new token has a PIN", info.pin_set, False)
        return Step(
            "Meet a token",
            "This tour needs no hardware: a virtual token stands in for one. It speaks the same "
            "protocol as a token on USB, and keeps its keys in a file in a temporary folder.",
            (
                "fidokit virtual create demo",
                "export FIDOKIT_TOKEN=virtual:demo",
                "fidokit token info",
            ),
            (f"speaks {', '.join(info.versions)}", "has no PIN and no keys yet"),
        )

    def set_pin(self) -> Step:
        """The token gets its PIN."""
        from fidokit.tokens import owner as pin

        with self.session() as session:
            pin.set_pin(session, PinCode.parse(PIN))
            status = pin.pin_status(session)
        _same("whether the PIN is set", status.set, True)
        return Step(
            "Set a PIN",
            "Keys that live on the token are protected by a PIN, which the token itself checks. "
            "After eight wrong tries in total the token blocks the PIN, so nobody can guess it.",
            ("fidokit pin set",),
            (f"the PIN is set; {status.retries} tries are left",),
        )

    def create(self, key_type: KeyType, application: str) -> Step:
        """One resident key and its files."""
        request = GenerateRequest(
            key_type,
            self.old / f"id_{application.removeprefix('ssh:')}",
            application=application,
            user="demo",
            comment=f"{application.removeprefix('ssh:')} key",
            resident=True,
            verify_required=True,
        )
        with self.session() as session:
            made = generate_key(session, request)
        self.made.append(made)
        return Step(
            f"Create an {key_type} key for {application}",
            "The private key is made inside the token and never leaves it. The file beside the "
            "public key only says which key is meant. Resident means that the token can list it; "
            "verify-required means that each use asks for the PIN and a touch.",
            (
                (
                    f"fidokit key generate -t {key_type} -O resident -O verify-required "
                    f"-O application={application} -O user=demo -f {made.path.name}"
                ),
            ),
            (made.public_line, made.fingerprint),
        )

    def list_keys(self) -> Step:
        """What the token and the folder hold together."""
        with self.session() as session:
            rows = list_keys(session, folders=[self.old], search_home=False)
        listed = {row.fingerprint: row for row in rows}
        _same("the keys listed", set(listed), {made.fingerprint for made in self.made})
        for made in self.made:
            row = listed[made.fingerprint]
            _same("the key's application", row.application, made.application)
            _same("the key's file", row.files, (made.path,))
            _same("whether the key wants the PIN", row.verify_required, True)
        return Step(
            "List the keys",
            "The list shows the keys on the token together with their files.",
            ("fidokit key list .",),
            tuple(
                f"{row.key_type}  {row.application}  {row.user}  verify-required  "
                f"{row.files[0].name}  {row.fingerprint}"
                for row in rows
            ),
        )

    def lose(self) -> Step:
        """All local files are gone."""
        lost = sorted(path.name for path in self.old.iterdir())
        _same("how many files there are", len(lost), 2 * len(self.made))
        shutil.rmtree(self.old)
        return Step(
            "Lose the files",
            "A disk dies, a laptop is stolen. Whoever has the files has nothing without the token.",
            (f"rm {' '.join(lost)}",),
            tuple(f"{name} is gone" for name in lost),
        )

    def recover(self) -> Step:
        """Back from the token."""
        with self.session() as session:
            self.recovered = list(download_keys(session, self.new, search_home=False))
        for result in self.recovered:
            if result.error:
                raise result.error
        _same("how many keys came back", len(self.recovered), len(self.made))
        return Step(
            "Recover them on a new computer",
            "Resident keys can be written to files again, on any computer. The file names are the "
            "ones that `ssh-keygen -K` would give.",
            ("fidokit key download",),
            tuple(f"wrote {result.path.name}" for result in self.recovered),
        )

    def compare(self) -> Step:
        """Old and new public lines."""
        before = {made.fingerprint: made.public_line for made in self.made}
        after = {}
        for result in self.recovered:
            found = describe_key_file(result.path)
            _same("the recovered key's flags", found.flags, 0x25)
            _same(
                "the public file",
                result.path.with_name(result.path.name + ".pub").read_text(),
                found.public_line + "\n",
            )
            after[found.fingerprint] = found.public_line
        _same("the recovered public keys", after, before)
        return Step(
            "They are the same keys",
            "Public keys, comments and flags came back exactly, so every server that knew the old "
            "ones knows these.",
            tuple(f"fidokit key show {result.path.name}" for result in self.recovered),
            tuple(f"{fingerprint}  as before" for fingerprint in sorted(after)),
        )

    def sign(self) -> Step:
        """A challenge, with each recovered key."""
        lines = []
        for result in self.recovered:
            message = self.new / f"{result.path.name}.challenge"
            message.write_bytes(MESSAGE)
            with self.session() as session:
                signature = signatures.sign_file(
                    SessionSigner(session, holder.open_key_file(result.path)), message
                )
            public = result.path.with_name(result.path.name + ".pub")
            good = signatures.verify_signature(message, signature, public_key=public)
            _same("who signed", good.fingerprint, result.row.fingerprint)
            _same(
                "whether PIN and touch are in the signature",
                (good.touched, good.verified),
                (True, True),
            )
            self.signatures.append(signature)
            lines.append(f"{result.path.name} signed, by touch and PIN; the signature verifies")
        return Step(
            "Sign a challenge with each",
            "This is what a login does: the server sends something to sign, the token signs it "
            "after PIN and touch, and the public key proves it.",
            tuple(
                command
                for signature in self.signatures
                for command in _sign_and_verify(signature.name.removesuffix(".challenge.sig"))
            ),
            tuple(lines),
        )

    def ask_ssh_keygen(self) -> Step:
        """What OpenSSH itself says of keys and signatures."""
        program = shutil.which(self.ssh_keygen) if self.ssh_keygen else None
        lines = ["ssh-keygen is not installed, so this comparison is left out"]
        if program:
            pairs = zip(self.recovered, self.signatures, strict=True)
            lines = [
                line
                for result, signature in pairs
                for line in self._judge(program, result, signature)
            ]
        return Step(
            "Ask OpenSSH",
            "What fidokit writes is OpenSSH's own format, so stock ssh-keygen reads it, names the "
            "same fingerprints, and verifies the same signatures.",
            tuple(
                command
                for result in (self.recovered if program else ())
                for command in _asked_of_ssh_keygen(result.path.name)
            ),
            tuple(lines),
        )

    def _judge(self, program: str, result: DownloadResult, signature: Path) -> list[str]:
        public = result.path.with_name(result.path.name + ".pub")
        listed = _run([program, "-lf", str(public)])
        _same("ssh-keygen's fingerprint", listed.split()[1], result.row.fingerprint)
        printed = _run([program, "-y", "-f", str(result.path)])
        _same("ssh-keygen's public key", printed.split()[:2], result.public_line.split()[:2])
        signers = self.new / "allowed_signers"
        signers.write_text(f"{SIGNER} {result.public_line}\n")
        verify = ["-Y", "verify", "-f", str(signers), "-I", SIGNER, "-n", "file"]
        verdict = _run([program, *verify, "-s", str(signature)], MESSAGE)
        _same("ssh-keygen's verdict", verdict.startswith("Good "), True)
        return [listed.strip(), verdict.strip()]


def _asked_of_ssh_keygen(key: str) -> Sequence[str]:
    verify = f"ssh-keygen -Y verify -f allowed_signers -I {SIGNER} -n file"
    return (
        f"ssh-keygen -lf {key}.pub",
        f"ssh-keygen -y -f {key}",
        f'echo "{SIGNER} $(cat {key}.pub)" > allowed_signers',
        f"{verify} -s {key}.challenge.sig < {key}.challenge",
    )


def _sign_and_verify(key: str) -> Sequence[str]:
    return (
        f'echo "{MESSAGE.decode().strip()}" > {key}.challenge',
        f"fidokit key sign -f {key} {key}.challenge",
        f"fidokit key verify -k {key}.pub {key}.challenge",
    )


def _run(argv: Sequence[str], stdin: bytes = b"") -> str:
    import subprocess

    done = subprocess.run(argv, input=stdin, capture_output=True, check=False)  # noqa: S603
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    if done.returncode:
        raise DemoMismatch(
            f"{Path(argv[0]).name} {argv[1]} failed: {output.strip()}",
            hint="OpenSSH 8.2 or newer is needed to read keys on tokens",
        )
    return output


def require_same_keys(printed: Sequence[str]) -> None:
    """Hold what the commands of a tour printed against each other: they tell of the same keys.

    Raises:
        DemoMismatch: they do not.
    """
    import re

    found = {print_ for line in printed for print_ in re.findall(r"SHA256:[\w+/]{43}", line)}
    _same("how many keys the commands tell of", len(found), len(KEYS))


def _same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise DemoMismatch(
            f"{what}: found {found!r} where {wanted!r} was expected",
            hint="this is a defect in fidokit; please report it",
        )

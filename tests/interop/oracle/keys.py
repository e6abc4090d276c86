"""The keys of every site: in files, made by ssh-keygen, and as tokens hold them, with an agent."""

from __future__ import annotations

import base64
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.support.signers import Token, ecdsa_token, ed25519_token

from fidokit.openssh.agent_messages import (
    FAILURE,
    REQUEST_IDENTITIES,
    FrameReader,
    SignRequest,
    encode_identities,
    encode_signature,
    frame,
    parse_request,
)

FOLDER = Path("/run/keys")
AGENT = Path("/run/agent")
TOUCH, VERIFY = 1, 4

IN_FILES = {
    "plain": ("ed25519",),
    "second": ("ed25519",),
    "ecdsa": ("ecdsa",),
    "rsa": ("rsa", "-b", "2048"),
    "rsa1024": ("rsa", "-b", "1024"),
    "dsa": ("dsa",),
    "mldsa": ("mldsa44-ed25519",),
    "ca": ("ed25519",),
}
"""What ssh-keygen is asked for; a root whose ssh-keygen knows no such type has no such key."""

TOKENS = {
    "quiet": (ed25519_token(11), 0),
    "token": (ed25519_token(12), TOUCH),
    "ectoken": (ecdsa_token(13), TOUCH),
    "verified": (ed25519_token(14), TOUCH | VERIFY),
}
"""What a token signs with, and the flags that it sets."""

CERTIFIED = {
    "certified": ("-n", "alice,bob,root"),
    "stale": ("-n", "alice,bob,root", "-V", "20200101:20200102"),
    "nobodys": (),
    "admin": ("-n", "admin"),
    "forced": ("-n", "alice,bob,root", "-O", "force-command=true"),
    "verifying": ("-n", "alice,bob,root", "-O", "verify-required"),
    "placed": ("-n", "alice,bob,root", "-O", "source-address=10.0.0.0/8"),
}
"""Certificates of keys in files, by `ca`; each is a key of its own, NAME, beside NAME-cert.pub."""


@dataclass(frozen=True)
class Key:
    """A key: `kind` is file, token or verified."""

    name: str
    kind: str
    public: str

    @property
    def path(self) -> str:
        """What ssh's -i takes."""
        return str(FOLDER / self.name) + ("" if self.kind == "file" else ".pub")

    @property
    def certificate(self) -> str | None:
        """What ssh's CertificateFile takes."""
        return f"{FOLDER / self.name}-cert.pub" if self.name in CERTIFIED else None


def make_keys() -> dict[str, Key]:
    """Make all of them, in FOLDER."""
    FOLDER.mkdir()
    found = {}
    for name, words in {**IN_FILES, **dict.fromkeys(CERTIFIED, ("ed25519",))}.items():
        if _keygen("-t", *words, "-N", "", "-C", "", "-f", str(FOLDER / name)):
            public = (FOLDER / f"{name}.pub").read_text().strip()
            found[name] = Key(name, "file", public)
    for name, (token, flags) in TOKENS.items():
        public = f"{token.public.type_name} {base64.b64encode(token.public.blob()).decode()}"
        (FOLDER / f"{name}.pub").write_text(public + "\n")
        found[name] = Key(name, "verified" if flags & VERIFY else "token", public)
    for name, words in CERTIFIED.items():
        _keygen("-s", str(FOLDER / "ca"), "-I", name, *words, str(FOLDER / f"{name}.pub"))
    _keygen("-t", "ed25519", "-N", "", "-f", str(FOLDER / "host"))
    return found


def _keygen(*words: str) -> bool:
    done = subprocess.run(["ssh-keygen", "-q", *words], capture_output=True, check=False)
    return done.returncode == 0


def serve_tokens() -> None:
    """An agent that signs as the tokens would, in a thread."""
    held = {token.public.blob(): (token, flags) for token, flags in TOKENS.values()}
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(AGENT))
    listener.listen()

    def accept() -> None:
        while True:
            channel, _ = listener.accept()
            threading.Thread(target=_answer_all, args=(channel, held), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def _answer_all(channel: socket.socket, held: dict[bytes, tuple[Token, int]]) -> None:
    reader = FrameReader()
    with channel:
        while data := channel.recv(1 << 16):
            reader.feed(data)
            while (payload := reader.next()) is not None:
                channel.sendall(frame(_answer(payload, held)))


def _answer(payload: bytes, held: dict[bytes, tuple[Token, int]]) -> bytes:
    if payload == REQUEST_IDENTITIES:
        return encode_identities([(blob, "") for blob in held])
    request = parse_request(payload)
    if not isinstance(request, SignRequest) or request.blob not in held:
        return FAILURE
    token, flags = held[request.blob]
    return encode_signature(token.sign(request.data, flags=flags).blob())

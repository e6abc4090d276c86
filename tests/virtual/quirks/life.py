"""The whole life of keys on one token, by the command, as a user lives it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.support.sandbox import Done, Sandbox

APPLICATION = "ssh:an-application-whose-name-is-longer-than-forty-eight-bytes"

Step = tuple[str, Sequence[str]]


def _resident(name: str, *more: str) -> Sequence[str]:
    made = ("key", "generate", "-f", name, "--no-passphrase", "--pin-file", "pin", "-O", "resident")
    return (*made, *more)


LIFE: tuple[Step, ...] = (
    ("info", ("token", "info")),
    ("set the PIN", ("pin", "set", "--new-pin-file", "pin")),
    ("list an empty token", ("key", "list", "--pin-file", "pin")),
    ("make a key", ("key", "generate", "-f", "plain", "--no-passphrase", "--pin-file", "pin")),
    ("make a resident key", _resident("kept", "-C", "comment", "-O", f"application={APPLICATION}")),
    ("make another", _resident("other", "-O", "user=bob")),
    ("make a third", _resident("third", "-O", "user=eve")),
    ("list them", ("key", "list", "--pin-file", "pin")),
    ("sign", ("key", "sign", "-f", "plain", "--pin-file", "pin", "data")),
    ("sign by a resident key", ("key", "sign", "-f", "other", "--pin-file", "pin", "more")),
    (
        "download",
        (
            f"key download --dir down --no-passphrase --pin-file pin --application {APPLICATION}"
        ).split(),
    ),
    ("rename", ("key", "rename", "--pin-file", "pin", "other.pub", "bob@new")),
    ("delete two", ("key", "delete", "-y", "--pin-file", "pin", "other.pub", "third.pub")),
    (
        "delete by application",
        f"key delete -y --pin-file pin --application {APPLICATION} kept.pub".split(),
    ),
    ("list what is left", ("key", "list", "--only-token", "--pin-file", "pin")),
    ("change the PIN", ("pin", "change", "--pin-file", "pin", "--new-pin-file", "new")),
    ("always-uv on", ("config", "always-uv", "on", "--pin-file", "new")),
    ("reset", ("token", "reset", "--confirm", "odd")),
)


@dataclass(frozen=True)
class Lived:
    """How each step ended.

    Args:
        codes: exit status by step.
        said: what the user read, by step.
    """

    codes: Mapping[str, int]
    said: Mapping[str, str]

    @property
    def failed(self) -> dict[str, int]:
        """The steps that did not succeed, with their status."""
        return {step: code for step, code in self.codes.items() if code}


def live(sandbox: Sandbox, *quirks: str) -> Lived:
    """Live on a fresh token with these quirks; a PIN of digits suits all."""
    for name, text in (("pin", "258014\n"), ("new", "801452\n"), ("data", "x"), ("more", "y")):
        (sandbox.home / name).write_text(text)
    (sandbox.home / "down").mkdir(exist_ok=True)
    named = [word for quirk in quirks for word in ("--quirk", quirk)]
    made = sandbox.run("virtual", "create", "odd", *named)
    assert made.code == 0, made.err
    done = {step: sandbox.run("--token", "virtual:odd", *words) for step, words in LIFE}
    for one in done.values():
        assert "Traceback" not in one.err
    return Lived(
        {step: one.code for step, one in done.items()}, {s: _text(d) for s, d in done.items()}
    )


def _text(done: Done) -> str:
    return re.sub(r"\s+", " ", done.out + done.err)

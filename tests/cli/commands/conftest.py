"""A virtual token with a PIN, in a sandbox."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.sandbox import Done, Sandbox

from fidokit.lab.named_tokens import create_virtual

PIN = "9472-pin"
PASSPHRASE = "words-never-shown"


@dataclass(frozen=True)
class Bench:
    """A sandbox with the virtual token `t`, and files that hold its secrets."""

    sandbox: Sandbox
    in_process: Callable[..., int]

    @property
    def home(self) -> Path:
        return self.sandbox.home

    def run(self, *args: str, stdin: bytes = b"", **env: str) -> Done:
        """Run fidokit on the token; no secret may ever be shown.

        A process of its own is only started where standard input or the environment matter.
        """
        if stdin or env:
            done = self.sandbox.run(*args, stdin=stdin, **{"FIDOKIT_TOKEN": "virtual:t"} | env)
        else:
            done = self._run_here(*args)
        for text in (done.out, done.err):
            assert PIN not in text
            assert PASSPHRASE not in text
            assert "Traceback" not in text
        return done

    def _run_here(self, *args: str) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = self.in_process("--token", "virtual:t", *args)
        return Done(code, out.getvalue(), err.getvalue())

    def ok(self, *args: str) -> str:
        """Run what must succeed; returns standard output."""
        done = self.run(*args)
        assert done.code == 0, done.err
        return done.out

    def json(self, *args: str, code: int = 0) -> dict[str, Any]:
        """Run with --json and return the document."""
        done = self.run(*args, "--json")
        assert done.code == code, done.err
        document = json.loads(done.out)
        assert document.pop("schema") == 1
        assert isinstance(document, dict)
        return document

    def plug(
        self,
        name: str,
        profile: str | None = None,
        *,
        pin: bool = False,
        quirks: Sequence[str] = (),
    ) -> tuple[str, str]:
        """Make another virtual token, of another model; returns the option that names it."""
        create_virtual(name, profile=profile, quirks=quirks)
        if pin:
            where = ("--new-pin-file", str(self.home / "pin"))
            self.ok("--token", f"virtual:{name}", "pin", "set", *where)
        return "--token", f"virtual:{name}"

    def with_pin(self, *args: str) -> tuple[str, ...]:
        return (*args, "--pin-file", str(self.home / "pin"))

    def generate(self, name: str, *options: str) -> dict[str, Any]:
        """Make a key in the file `name`; returns the JSON of it."""
        args = ("key", "generate", "-f", str(self.home / name), "--no-passphrase", *options)
        document = self.json(*self.with_pin(*args))
        key = document["key"]
        assert isinstance(key, dict)
        return key


@pytest.fixture
def fresh(sandbox: Sandbox, in_process: Callable[..., int]) -> Bench:
    """A token without PIN."""
    bench = Bench(sandbox, in_process)
    bench.ok("virtual", "create", "t")
    (sandbox.home / "pin").write_text(PIN + "\n")
    (sandbox.home / "passphrase").write_text(PASSPHRASE + "\n")
    return bench


@pytest.fixture
def bench(fresh: Bench) -> Bench:
    """A token with PIN."""
    fresh.ok("pin", "set", "--new-pin-file", str(fresh.home / "pin"))
    return fresh

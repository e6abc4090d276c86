"""Programs in the place of ssh and of the audit, for talks without a network."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

from fidokit.fleet.hosts.conversation import AuditRequest
from fidokit.fleet.hosts.program import TravelingProgram

FRAME = """
import json, sys
def main(request):
    asked = json.loads(request)
    sys.stdout.write("\\n%s document\\n" % asked["nonce"])
    sys.stdout.write({document!r})
    sys.stdout.write("\\n%s end\\n" % asked["nonce"])
    sys.stdout.flush()
"""


BEGUN = """
import json, sys
def main(request):
    sys.stdout.write("\\n%s document\\n{" % json.loads(request)["nonce"])
    sys.stdout.flush()
"""


def traveling(source: str) -> TravelingProgram:
    """A program of one module, with `main` in it."""
    return TravelingProgram("traveler", zlib.compress(json.dumps({"traveler": source}).encode()))


def sending(document: object) -> TravelingProgram:
    """A program that sends this document."""
    return traveling(FRAME.replace("{document!r}", repr(json.dumps(document))))


def ssh(folder: Path, script: str = 'eval "$last"') -> str:
    """A program in the place of ssh, which has the remote command in `$last`.

    Args:
        script: what it does, for sh.
    """
    program = folder / "ssh"
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >"$0.words"\nfor last; do :; done\n{script}\n'
    )
    program.chmod(0o755)
    return str(program)


def request(program: TravelingProgram, called: str, **options: object) -> AuditRequest:
    """What is asked."""
    return AuditRequest(program, (called,), **options)  # type: ignore[arg-type]

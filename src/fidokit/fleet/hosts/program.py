"""The program that travels to a host: our own modules, sent over standard input, never on a disk.

It is made from the modules of the fidokit that runs, whether installed or a source tree, so it
always fits it, and there is no second copy on this disk that could be stale or exchanged. Making it
takes a few tenths of a second for a whole fleet; so it is kept in memory alone.

The far side needs Python 3.9 and its standard library. It gets two lines of Python, then the length
of the modules, the modules (zlib over a JSON object of name and source), and a line with the
request. Modules are compiled as they are imported.
"""

from __future__ import annotations

import json
import shlex
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import fidokit
from fidokit.fleet.hosts.imports import reached

OLDEST: Final = (3, 9)
"""The oldest Python that the far side may have."""

_READ_A_LINE: Final = 'exec(open(0,"rb",0,closefd=0).readline())'
"""Unbuffered, so that the next line is there for a newer Python that takes over. No quotation mark
or sign in it means anything to a shell between single quotes, be it sh, csh or fish."""

_FLAGS: Final = "-ISBc"
"""Isolated from the host's variables and packages, and no compiled files are written."""

_GATE: Final = f"""
import os, sys
if sys.version_info < {OLDEST}:
    for minor in range(40, {OLDEST[1] - 1}, -1):
        name = "python3.%d" % minor
        try:
            os.execvp(name, [name, "{_FLAGS}", {_READ_A_LINE!r}])
        except OSError:
            pass
    sys.stdout.write("\\n@NONCE@ python\\n%d.%d\\n@NONCE@ end\\n" % sys.version_info[:2])
    sys.stdout.flush()
    sys.exit(0)
{_READ_A_LINE}
"""

_LOADER: Final = """
import json, sys, zlib
from importlib.machinery import ModuleSpec
stream = open(0, "rb", closefd=False)
sources = json.loads(zlib.decompress(stream.read(int(stream.readline()))))
packages = {name.rpartition(".")[0] for name in sources}
class Traveling:
    def find_spec(self, name, path=None, target=None):
        if name in sources:
            return ModuleSpec(name, self, is_package=name in packages)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        name = module.__spec__.name
        module.__file__ = "<traveling>/%s.py" % name.replace(".", "/")
        exec(compile(sources[name], module.__file__, "exec", dont_inherit=True), module.__dict__)
sys.meta_path.insert(0, Traveling())
import @ENTRY@
sys.modules["@ENTRY@"].main(stream.readline().decode())
"""


@dataclass(frozen=True, slots=True)
class TravelingProgram:
    """What is sent to each host.

    Attributes:
        entry: the module that starts there; `main` of it gets the request.
        modules: all that it needs, packed.
    """

    entry: str
    modules: bytes

    @staticmethod
    def packed(entry: str) -> TravelingProgram:
        """Pack a module and what it imports.

        Args:
            entry: its dotted name.
        """
        return _packed(entry)

    def input(self, nonce: str, request: str) -> bytes:
        """What a host reads: the program, and what it is asked.

        Args:
            nonce: a word of letters and digits.
            request: one line of text for `main`.
        """
        gate = _GATE.replace("@NONCE@", nonce)
        loader = _LOADER.replace("@ENTRY@", self.entry)
        size = f"{len(self.modules)}\n".encode()
        return b"".join([_line(gate), _line(loader), size, self.modules, _ended(request)])


def far_command(python: str = "python3", *, sudo: bool = False) -> str:
    """What ssh asks the login shell there to run.

    Args:
        python: the interpreter, by name or path.
        sudo: as root, by a sudo that asks for no password.
    """
    words = [*(("sudo", "-n", "--") if sudo else ()), python, _FLAGS, _READ_A_LINE]
    return shlex.join(words)


@cache
def _packed(entry: str) -> TravelingProgram:
    source = Path(fidokit.__file__).parents[1]
    found = reached(source, [entry])
    texts = {name: path.read_text(encoding="utf-8") for name, path in found.items()}
    return TravelingProgram(entry, zlib.compress(json.dumps(texts).encode(), 9))


def _line(source: str) -> bytes:
    return _ended(f"exec({source!r})")


def _ended(line: str) -> bytes:
    return f"{line}\n".encode()

"""Sites judged and tried in a root, and what is wrong with the verdicts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop.oracle.keys import TOKENS, VERIFY
from tests.interop.oracle.maker import Version
from tests.interop.oracle.site import Site
from tests.support.children import popen

NAMES = re.compile(r"/\S+|[0-9]+")
REPOSITORY = Path(__file__).parents[3]
RULES = ("hardware", "verify", "no-password")


@dataclass
class Outcome:
    """What became of one site.

    Attributes:
        site: itself.
        result: what the cell said.
    """

    site: Site
    result: dict[str, Any]

    @property
    def is_taken(self) -> bool:
        """Whether sshd took the configuration, and fidokit had something to judge."""
        return "logins" in self.result

    @property
    def failure(self) -> str:
        """Why the trial itself failed; else empty."""
        return str(self.result.get("failed", ""))

    def broken(self) -> dict[tuple[str, str], list[str]]:
        """The rules that logins broke, by user and rule: how."""
        found: dict[tuple[str, str], list[str]] = {}
        for login in self.result.get("logins", ()):
            for rule in breaks(login["by"]):
                found.setdefault((login["user"], rule), []).append(json.dumps(login))
        return found

    def denied(self) -> set[tuple[str, str]]:
        """The rules of which fidokit says that they do not hold, by user; `` is every user."""
        if "violations" not in self.result:  # it said nothing: nothing holds
            return {("", rule) for rule in RULES}
        return {(found["user"] or "", found["rule"]) for found in self.result["violations"]}

    def holds(self, user: str, rule: str) -> bool:
        """Whether fidokit says so."""
        return not {(user, rule), ("", rule)} & self.denied()

    def false_holds(self) -> list[str]:
        """Verdicts that a login disproves, with the login."""
        return [
            f"{user}: {rule}: {how[0]}"
            for (user, rule), how in self.broken().items()
            if self.holds(user, rule)
        ]

    def needless(self) -> Iterator[str]:
        """Why fidokit does not say that a rule holds which no login broke; names left out."""
        broken = self.broken()
        for found in self.result.get("violations", ()):
            if not any(rule == found["rule"] for _, rule in broken):
                doubt = "doubt" if found["doubt"] else "broken"
                yield f"{doubt} {found['id']}: {re.sub(NAMES, '…', found['why'])[:110]}"

    def pairs(self) -> Iterator[tuple[str, str, bool, bool]]:
        """User, rule, whether fidokit says that it holds, whether a login broke it."""
        broken = self.broken()
        for person in self.site.people if self.is_taken else ():
            for rule in RULES:
                yield (
                    person.name,
                    rule,
                    self.holds(person.name, rule),
                    (person.name, rule) in broken,
                )


def breaks(chain: list[list[str]]) -> Iterator[str]:
    """The rules that a login breaks, by its methods and their keys."""
    if not chain:
        return
    keys = [key for method, key in chain if method == "publickey"]
    if not keys:
        yield "no-password"
    if any(key not in TOKENS for key in keys):
        yield "hardware"
    if any(key not in TOKENS or not TOKENS[key][1] & VERIFY for key in keys):
        yield "verify"


@dataclass
class Cell:
    """A root in namespaces of its own, that takes one site after the other."""

    process: subprocess.Popen[str]
    banner: str = ""
    version: Version = (0, 0)
    cpu: float = field(default=0.0)

    def judge(self, site: Site) -> Outcome:
        """Set it up, ask fidokit, try to log in."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(site.to_json() + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the cell has ended"
        result = json.loads(line)
        self.cpu = result.get("cpu", self.cpu)
        return Outcome(site, result)


@contextmanager
def cell(root: str | Path) -> Iterator[Cell]:
    """Start one; it ends with the block."""
    folder = tempfile.mkdtemp(prefix="oracle-")
    scratch = Path(folder) / "mounts"
    scratch.mkdir()
    source = Path(__file__).with_name("hidden_users.c")
    library = ["-shared", "-fPIC", "-o", f"{folder}/libnss_hidden.so.2", str(source)]
    subprocess.run(["cc", *library], check=True)
    command = [
        *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"),
        *("--propagation", "private", sys.executable, "-m", "tests.interop.oracle.cell"),
        *(str(root), str(scratch)),
    ]
    process = popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert process.stdin
    assert process.stdout
    try:
        line = process.stdout.readline()
        assert line, "the cell did not start"
        said = json.loads(line)
        yield Cell(process, said["ssh"], tuple(said["version"]))
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)

"""The tables for people who come from other tools: each of our commands runs, and ends well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.machines import two_machines
from tests.docs.terminal import Shell

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from.md").read_text()
ROW = re.compile(r"^\| `[^|]+\| (`fidokit [^|]+)\|", re.MULTILINE)
SECTIONS = PAGE.split("\n## ")[1:]
NAMES = {
    "FILE": "id_file",
    "ALLOWED": "allowed",
    "CA": "ca",
    "CERT": "id_file-cert.pub",
    "NAME": "thumb",
    "me@host": "root@server.example",
}
"""What stands for the words that a reader replaces."""

WORK = "fidokit key generate -q -O resident -O application=ssh:work --large-blob --force"
WORK += " -f work --no-passphrase"
FRESH = 'export FIDOKIT_TOKEN=virtual:$((RANDOM)); fidokit virtual create "${FIDOKIT_TOKEN#*:}"'
BEFORE = {
    "key generate": "rm -rf ~/.ssh/id_ed25519_sk* id_file*",
    "key download": "rm -f id_*_rk*",
    "key show": "[ -e id_file ] || fidokit key generate -q -f id_file --no-passphrase",
    "key sign": "echo 'Pay no one.' >letter; ssh-keygen -q -p -N '' -P '' -f id_file",
    "key verify": 'echo "me $(cat id_file.pub)" >allowed',
    "key rename": WORK,
    "key delete": WORK,
    "cert sign": "fidokit key generate -q -f ca --no-passphrase",
    "agent add": 'eval "$(fidokit agent serve --background)"',
    "agent list": 'eval "$(fidokit agent serve --background)"',
    "pin set": FRESH,
    "pin force-change": f"{FRESH} && fidokit pin set",
    "config enterprise-attestation": f"{FRESH} --profile ctap2.3-enterprise && fidokit pin set",
    "bio list": "fidokit bio enroll --name thumb",
    "blob get": f"rm -f id_file; {WORK} && echo hello | fidokit blob set ssh:work -",
    "token reset": FRESH,
}
AFTER = {
    "agent add": "ssh-agent -k",
    "agent list": "ssh-agent -k",
    "agent serve": "ssh-agent -k",
    "key passphrase": "ssh-keygen -q -p -N '' -P 'correct horse battery' -f id_file",
    "pin force-change": f"{FRESH} && fidokit pin set",
    "token reset": f"{FRESH} && fidokit pin set",
}


def commands(section: str) -> Iterator[str]:
    for cell in ROW.findall(section):
        yield from re.findall(r"`(fidokit [^`]+)`", cell)


def typed(command: str) -> str:
    for word, name in NAMES.items():
        command = re.sub(rf"(?<![\w@-]){re.escape(word)}\b", name, command)
    if command == "fidokit agent serve":
        return f'eval "$({command} --background)"'
    return command


def confirmed(shown: str) -> str:
    """A reset is confirmed by the token's name."""
    asked = re.search(r"Type (\S+) to go on", shown)
    assert asked
    return asked[1]


def run(shell: Shell, command: str) -> None:
    said = shell.run(command)
    assert said.status == 0, f"$ {command}\n{said.text}\n(exit status {said.status})"


@pytest.mark.interop
@pytest.mark.root
def test_each_command_of_ours_runs() -> None:
    with two_machines() as shell:
        shell.more_answers = {**shell.more_answers, r"to go on: ?$": confirmed}
        run(shell, "export SSH_SK_PROVIDER=$(fidokit provider path)")
        for section in SECTIONS:
            run(shell, f"{FRESH} && fidokit pin set")
            run(shell, WORK)
            for command in commands(section):
                verb = " ".join(command.split()[1:3])
                run(shell, BEFORE.get(verb, "true"))
                run(shell, typed(command))
                run(shell, AFTER.get(verb, "true"))


def test_every_row_names_a_command_of_both() -> None:
    rows = re.findall(r"^\| (?!OpenSSH|fido2-token \||ykman \||-)(.*)$", PAGE, re.MULTILINE)
    rows = [row for row in rows if not row.startswith("---")]
    assert len(rows) == len(ROW.findall(PAGE))
    assert len(rows) > 40


def test_what_is_typed_for_the_words_of_the_page() -> None:
    line = "fidokit key sign -n file -f FILE letter; FILE.pub me@host CA"
    assert typed(line) == (
        "fidokit key sign -n file -f id_file letter; id_file.pub root@server.example ca"
    )

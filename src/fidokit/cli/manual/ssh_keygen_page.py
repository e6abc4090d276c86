"""The man page of fidokit-ssh-keygen, from the help that it prints."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fidokit import __version__
from fidokit.cli import ssh_keygen
from fidokit.cli.manual.pages import escape
from fidokit.cli.settings import PROGRAM

DESCRIPTION = """Does what ssh-keygen -Y does, with the same output and the same exit status, and
reaches every token that fidokit reaches. git calls it if gpg.ssh.program names it. The token is
the one that FIDOKIT_TOKEN or the configuration file names."""

EXAMPLES = (
    "git config --global gpg.format ssh",
    "git config --global gpg.ssh.program fidokit-ssh-keygen",
    "fidokit-ssh-keygen -Y sign -n file -f ~/.ssh/id_ed25519_sk letter",
    "fidokit-ssh-keygen -Y check-novalidate -n file -s letter.sig <letter",
)


def page() -> str:
    """The page of fidokit-ssh-keygen."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    name = escape(ssh_keygen.PROGRAM)
    usage, _, said = ssh_keygen.HELP.rpartition("]\n")
    yield f'.TH {name.upper()} 1 "" "{PROGRAM} {__version__}" "User Commands"'
    yield f".SH NAME\n{name} \\- sign and verify as ssh\\-keygen \\-Y does, with keys on tokens"
    yield ".SH SYNOPSIS\n.nf"
    yield escape(re.sub(r"^(usage:|      ) ", "", f"{usage}]", flags=re.MULTILINE))
    yield ".fi\n.SH DESCRIPTION"
    yield escape(said.strip())
    yield f".PP\n{escape(DESCRIPTION)}"
    yield ".SH EXAMPLES\n.RS 4\n.nf"
    yield escape("\n".join(EXAMPLES))
    yield ".fi\n.RE"
    yield ".SH SEE ALSO\n.BR fidokit (1),\n.BR ssh\\-keygen (1),\n.BR git\\-config (1)"

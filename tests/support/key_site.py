"""A stand-in for GitHub or GitLab on loopback, with programs that behave as gh and glab.

The programs take the verbs and flags that the real ones take (gh 2.x, glab 1.x) and refuse all else
with their exit statuses; what they know is in a folder: `account` (who is logged in), `scopes`,
`others` (keys of other accounts), and what they wrote, `authentication`, `signing`, `usage`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.agent_keys import executable

ACCOUNT = "alice"
PROGRAM = r"""
import json, os, sys
from pathlib import Path

site, program = Path({site!r}), {program!r}
args = sys.argv[1:]
with (site / "calls").open("a") as log:
    print(json.dumps([program, *args]), file=log)
host = os.environ.get({variable!r}, "")
if host != {host!r}:
    sys.exit(f"{{program}}: asked about {{host!r}}")
if not sys.stdin.isatty() and sys.stdin.read():
    sys.exit("something was on standard input")
account = site / "account"
if not account.exists():
    print("To get started with the CLI, please run:  " + program + " auth login", file=sys.stderr)
    sys.exit(4)

def entries(name):
    path = site / name
    return path.read_text().splitlines() if path.exists() else []

def blob(line):
    return line.split()[1]

def fail(*lines):
    print(*lines, sep="\n", file=sys.stderr)
    sys.exit(1)

LISTS = {{
    "user/keys?per_page=100": ("authentication", "admin:public_key"),
    "user/ssh_signing_keys?per_page=100": ("signing", "admin:ssh_signing_key"),
}}
if args == ["api", "user"]:
    print(json.dumps({{{key!r}: account.read_text(), "id": 1}}))
elif args == ["api", "user/keys?per_page=100"] and program == "glab":
    use = (site / "usage").read_text() if (site / "usage").exists() else "auth_and_signing"
    print(json.dumps([{{"id": 7 + number, "key": line, "usage_type": use}}
                      for number, line in enumerate(entries("authentication"))]))
elif args[0] == "api" and args[-1] in LISTS:
    if program == "gh" and LISTS[args[-1]][1] not in entries("scopes"):
        fail("HTTP 404: Not Found", "This API operation needs the \"" + LISTS[args[-1]][1]
             + "\" scope. To request it, run:  gh auth refresh -h github.com -s x")
    print(json.dumps([{{"id": 7 + number, "key": line}}
                      for number, line in enumerate(entries(LISTS[args[-1]][0]))]))
elif args[:3] == ["api", "--method", "DELETE"] and len(args) == 4:
    path, _, number = args[3].rpartition("/")
    kind, scope = LISTS[path + "?per_page=100"]
    lines = entries(kind)
    if program == "gh" and scope not in entries("scopes"):
        fail("HTTP 404: Not Found", "This API operation needs the \"" + scope + "\" scope.")
    del lines[int(number) - 7]
    (site / kind).write_text("".join(line + "\n" for line in lines))
elif args[:2] == ["ssh-key", "add"] and len(args) > 3 and not args[2].startswith("-"):
    flags = dict(word.partition("=")[::2] for word in args[3:])
    allowed = {{"--title", "--type"}} if program == "gh" else {{"--title", "--usage-type"}}
    if set(flags) - allowed or not flags.get("--title"):
        fail("unknown flag: " + " ".join(args[3:]))
    kind = flags.get("--type", "authentication")
    if kind not in ("authentication", "signing"):
        fail("invalid argument for --type")
    line = Path(args[2]).read_text().strip()
    if len(line.splitlines()) != 1 or len(line.split()) < 2:
        fail("HTTP 422: key is invalid. You must supply a key in OpenSSH public key format")
    scope = "admin:ssh_signing_key" if kind == "signing" else "admin:public_key"
    if program == "gh" and scope not in entries("scopes"):
        fail("HTTP 404: Not Found (https://api.github.com/user/keys)",
             "This API operation needs the \"" + scope + "\" scope. To request it, run:  "
             "gh auth refresh -h github.com -s " + scope)
    mine = [blob(one) for one in entries(kind)]
    if program == "gh" and blob(line) in mine:
        print("\u2713 Public key already exists on your account", file=sys.stderr)
    elif blob(line) in mine + [blob(one) for one in entries("others")]:
        if program == "gh":
            fail("HTTP 422: Validation Failed", "key is already in use")
        fail("POST /api/v4/user/keys: 400", "{{message: {{key: [has already been taken]}}}}")
    else:
        with (site / kind).open("a") as file:
            file.write(line + "\n")
else:
    fail("unknown command " + " ".join(args))
"""


@dataclass(frozen=True)
class StandIn:
    """A site that runs.

    Attributes:
        folder: what it knows.
        bin: the folder of its program.
        host: its address.
        variable: that of the environment by which the program is given the host.
    """

    folder: Path
    bin: Path
    host: str
    variable: str

    def log_in(self, account: str = ACCOUNT, *scopes: str) -> None:
        """Have the program be logged in, with these scopes."""
        (self.folder / "account").write_text(account)
        (self.folder / "scopes").write_text("\n".join(scopes))

    def keys(self, kind: str = "authentication") -> list[str]:
        """The lines that the account has."""
        path = self.folder / kind
        return path.read_text().splitlines() if path.exists() else []

    def put(self, kind: str, line: str) -> None:
        """Have a key there, of `authentication`, `signing` or `others`."""
        with (self.folder / kind).open("a") as file:
            file.write(line.strip() + "\n")

    def calls(self) -> list[list[str]]:
        """What the program was called with."""
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def environ(self, path: str) -> dict[str, str]:
        """Variables by which our code meets this site and its program."""
        return {"PATH": f"{self.bin}:{path}", self.variable: self.host}


@contextmanager
def key_site(folder: Path, prefix: str, *, installed: bool = True) -> Iterator[StandIn]:
    """A site for the `with` block.

    Args:
        folder: for what it knows.
        prefix: `gh` or `gl`.
        installed: whether its program is.
    """
    program, variable, key = {
        "gh": ("gh", "GH_HOST", "login"),
        "gl": ("glab", "GITLAB_HOST", "username"),
    }[prefix]
    site, bin_ = folder / f"{prefix}-site", folder / f"{prefix}-bin"
    site.mkdir()
    bin_.mkdir()

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = _page(site, self.path)
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Length", str(len(answer or b"")))
            self.end_headers()
            self.wfile.write(answer or b"")

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"http://127.0.0.1:{server.server_port}"
    if installed:
        text = PROGRAM.format(
            site=str(site), program=program, variable=variable, host=host, key=key
        )
        executable(bin_ / program, text)
    try:
        yield StandIn(site, bin_, host, variable)
    finally:
        server.shutdown()
        server.server_close()


def _page(site: Path, path: str) -> bytes | None:
    """What an address answers with: lists as GitHub and GitLab publish them."""
    account = (site / "account").read_text() if (site / "account").exists() else ACCOUNT
    lists = {
        f"/{account}.keys": "authentication",
        f"/api/v3/users/{account}/ssh_signing_keys?per_page=100": "signing",
    }
    if path not in lists or (site / "hidden").exists():
        return None
    file = site / lists[path]
    # comments are not published
    lines = (
        [" ".join(line.split()[:2]) for line in file.read_text().splitlines()]
        if file.exists()
        else []
    )
    if path.endswith(".keys"):
        return "".join(f"{line}\n" for line in lines).encode()
    return json.dumps(
        [{"id": n, "key": line, "title": "t"} for n, line in enumerate(lines)]
    ).encode()

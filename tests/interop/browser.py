"""A real browser in a window of its own: keys are pressed, and a local page says what it did."""

from __future__ import annotations

import http.server
import json
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    UserVerificationRequirement,
)
from tests.support.agent_host import stock
from tests.support.children import popen

PAGE = """<!doctype html><title>Door</title>
<button id=register autofocus>Register</button> <button id=login>Log in</button>
<script>
const fetched = async (what, body) =>
  (await fetch(what, {method: "POST", body: JSON.stringify(body ?? null)})).json();
let busy = false;
async function run(what, act) {
  if (busy) return;
  busy = true;
  try {
    const options = await fetched(`${what}/begin`);
    const made = await act(options.publicKey);
    await fetched(`${what}/complete`, made.toJSON());
    login.focus();
  } catch (error) {
    await fetched("failed", String(error));
  }
  busy = false;
}
const P = PublicKeyCredential;
register.onclick = () => run("register", (options) =>
  navigator.credentials.create({publicKey: P.parseCreationOptionsFromJSON(options)}));
login.onclick = () => run("login", (options) =>
  navigator.credentials.get({publicKey: P.parseRequestOptionsFromJSON(options)}));
fetched("loaded");
</script>
"""
PATIENCE_S = 90
SHARED = "--disable-dev-shm-usage"  # containers have little of it


class Door:
    """A page that registers keys and lets them in, judged by python-fido2's server.

    Args:
        verification: whether the PIN is wanted.
    """

    def __init__(self, verification: UserVerificationRequirement) -> None:
        self.happened: queue.Queue[str] = queue.Queue()
        self._known: list[AttestedCredentialData] = []
        self._state: Any = None
        self._verification = verification
        door = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(PAGE.encode(), "text/html")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                said = door.answer(self.path.strip("/"), body)
                self._answer(json.dumps(said).encode(), "application/json")

            def _answer(self, data: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self._http.server_port}"
        self._server = Fido2Server(
            PublicKeyCredentialRpEntity(id="localhost", name="Door"),
            verify_origin=lambda origin: origin == self.url,
        )
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def answer(self, what: str, body: Any) -> object:
        """Answer the page, and tell the test what happened."""
        said: object = {}
        try:
            said = self._answer(what, body)
        except Exception as error:  # noqa: BLE001  the test hears of it
            what = f"failed: {what} {type(error).__name__} {error}"
        self.happened.put(f"{what} {body}" if what == "failed" else what)
        return said

    def _answer(self, what: str, body: Any) -> object:
        if what == "register/begin":
            user = PublicKeyCredentialUserEntity(id=b"ada", name="ada", display_name="Ada")
            options, self._state = self._server.register_begin(
                user, user_verification=self._verification
            )
            return dict(options)
        if what == "register/complete":
            made = self._server.register_complete(self._state, body)
            assert made.credential_data
            self._known.append(made.credential_data)
        if what == "login/begin":
            asked, self._state = self._server.authenticate_begin(self._known, self._verification)
            return dict(asked)
        if what == "login/complete":
            self._server.authenticate_complete(self._state, self._known, body)
        return {}

    def until(self, wanted: str, act: Callable[[], None], every_s: float = 5) -> None:
        """Act, again after some seconds, until the page did what is wanted."""
        for _ in range(int(PATIENCE_S / every_s)):
            act()
            try:
                while (what := self.happened.get(timeout=every_s)) != wanted:
                    assert not what.startswith("failed"), what
            except queue.Empty:
                continue
            return
        raise AssertionError(f"{wanted} did not come")

    def close(self) -> None:
        """End the server."""
        self._http.shutdown()
        self._http.server_close()


@contextmanager
def screen() -> Iterator[str]:
    """A display that nobody sees: its name for DISPLAY."""
    read, write = os.pipe()
    command = [stock("Xvfb"), "-displayfd", str(write), "-screen", "0", "1100x800x24"]
    with popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as server:
        os.close(write)
        with os.fdopen(read) as told:
            number = told.readline().strip()
        try:
            yield f":{number}"
        finally:
            server.terminate()


def chromium(profile: Path, url: str) -> list[str]:
    """How Chromium is started; root cannot have its sandbox."""
    quiet = ["--no-first-run", "--no-default-browser-check", "--password-store=basic"]
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    where = f"--user-data-dir={profile}"
    return [stock("chromium"), *quiet, *as_root, "--disable-gpu", SHARED, where, url]


def firefox(profile: Path, url: str) -> list[str]:
    """How Firefox is started, without its pages for newcomers."""
    profile.mkdir()
    off = ["browser.aboutwelcome.enabled", "datareporting.policy.dataSubmissionEnabled"]
    off += ["browser.shell.checkDefaultBrowser", "app.normandy.enabled"]
    lines = "".join(f'user_pref("{name}", false);\n' for name in off)
    (profile / "user.js").write_text(lines)
    return [stock("firefox-esr"), "--no-remote", "--profile", str(profile), url]


class Keyboard:
    """Presses keys in whatever has the focus of a display."""

    def __init__(self, display: str, environ: Mapping[str, str]) -> None:
        self._env = {**environ, "DISPLAY": display}

    def press(self, *keys: str) -> None:
        self._xdotool("key", *keys)

    def type_over(self, text: str) -> None:
        """Type a text in place of what is in the field, and Return."""
        self._xdotool("key", "ctrl+a")
        self._xdotool("type", text)
        self._xdotool("key", "Return")

    def focus(self, title: str) -> None:
        """Focus the window of this title; without a window manager nobody else does."""
        self._xdotool("search", "--sync", "--onlyvisible", "--name", title, "windowfocus")

    def _xdotool(self, *words: str) -> None:
        subprocess.run(
            [stock("xdotool"), *words],
            env=self._env,
            check=True,
            timeout=PATIENCE_S,
            stdout=subprocess.DEVNULL,
        )

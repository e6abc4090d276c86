"""A virtual token in the hands of a user at a browser, which Playwright or Selenium drives."""

from __future__ import annotations

import base64
import binascii
import contextlib
import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import urlsplit

from fidokit.errors import Unsupported
from fidokit.testing.browser.devtools import BINDING, CALL, DevTools

if TYPE_CHECKING:
    from fidokit.virtual.token import VirtualToken

LONGEST_REQUEST: Final = 1 << 20
"""Characters of what a page asks."""

REQUESTS_KEPT: Final = 1000
_BYTES: Final = "$bytes"
_OPTIONS_OF: Final = ("goog:chromeOptions", "ms:edgeOptions")
_END_S: Final = 10.0

Json = dict[str, Any]


class PlaywrightFrame(Protocol):
    """What is asked of Playwright's Frame."""

    @property
    def url(self) -> str:
        """The URL of the document in the frame."""
        ...

    @property
    def parent_frame(self) -> PlaywrightFrame | None:
        """The frame that it is in."""
        ...


class PlaywrightTarget(Protocol):
    """What is asked of Playwright's BrowserContext or Page, of either API."""

    def expose_binding(self, name: str, callback: Callable[..., str]) -> Any:
        """Let pages call a function."""
        ...

    def add_init_script(self, script: str) -> Any:
        """Run a script in every document, before its own."""
        ...


class SeleniumDriver(Protocol):
    """What is asked of Selenium's WebDriver."""

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What the browser said of itself."""
        ...


@dataclass(slots=True)
class PageRequest:
    """What a page asked of `navigator.credentials`.

    Attributes:
        kind: "create" or "get".
        origin: of the page.
        options: the member publicKey, with bytes for each BufferSource.
        credential: what the page got, as JSON (RegistrationResponseJSON,
            AuthenticationResponseJSON); None while the token waits, and where it failed.
        error: why it failed, which the page is not told so plainly.
    """

    kind: str
    origin: str
    options: Any
    credential: Json | None = None
    error: Exception | None = None


@dataclass(slots=True)
class _Ceremony:
    """A request that a thread works on."""

    place: Hashable
    canceled: threading.Event
    thread: threading.Thread | None = None
    answer: Json | None = None


class BrowserToken:
    """A virtual token that answers `navigator.credentials` in a browser.

    The browser's own security keys and virtual authenticators are left out of it. What it does
    between page and token (WebAuthn's client) is done here, by python-fido2's client.

    Args:
        token: plugged in.
        pin: what the user types where a PIN is asked for; None cancels.

    Attributes:
        token: another may take its place at any time.
        pin: as given.
        account: the user name or user id that the user chooses if the token has several
            accounts for a page; None for the first.
        requests: what pages asked, the newest last.
    """

    def __init__(self, token: VirtualToken, pin: str | None = None) -> None:
        self.token = token
        self.pin = pin
        self.account: str | bytes | None = None
        self.requests: deque[PageRequest] = deque(maxlen=REQUESTS_KEPT)
        self._turn = threading.Lock()
        self._numbers = itertools.count(1)
        self._ceremonies: dict[int, _Ceremony] = {}
        self._lines: list[DevTools] = []

    def playwright(self, target: PlaywrightTarget) -> None:
        """Answer the pages of a BrowserContext, or one Page, of Playwright's sync API.

        Documents that are open already are not changed: call it before `goto`.
        """
        target.expose_binding(BINDING, self._asked_by_frame)
        target.add_init_script(page_script(f"self.{BINDING}"))

    async def playwright_async(self, target: PlaywrightTarget) -> None:
        """Answer the pages of a BrowserContext, or one Page, of Playwright's async API."""
        await target.expose_binding(BINDING, self._asked_by_frame)
        await target.add_init_script(page_script(f"self.{BINDING}"))

    def selenium(self, driver: SeleniumDriver) -> None:
        """Answer the pages of a Chromium, Chrome or Edge that Selenium drives on this machine.

        Raises:
            Unsupported: the browser has no DevTools, as Firefox has none.
            FidokitError: it does not answer.
        """
        for name in _OPTIONS_OF:
            if address := driver.capabilities.get(name, {}).get("debuggerAddress"):
                self._lines.append(DevTools(address, page_script(CALL), self.call))
                return
        raise Unsupported(
            "this browser has no DevTools, by which Selenium's pages reach the token",
            hint="use Chromium, Chrome or Edge; Firefox and WebKit: by Playwright",
        )

    def close(self) -> None:
        """End what is going on, and hang up."""
        for line in self._lines:
            line.close()
        self._lines.clear()
        for ceremony in [*self._ceremonies.values()]:
            ceremony.canceled.set()
            if ceremony.thread:
                ceremony.thread.join(_END_S)

    # --- what pages send -------------------------------------------------------------------------

    def _asked_by_frame(self, source: Mapping[str, Any], text: str) -> str:
        frame: PlaywrightFrame = source["frame"]
        place = frame
        while frame.url.startswith("about:") and frame.parent_frame:
            frame = frame.parent_frame  # such a document has the origin of the one that made it
        return self.call(text, origin_of(frame.url), cast("Hashable", place))

    def call(self, text: str, origin: str, place: Hashable) -> str:
        """The answer to one text of `page.js`; never raises for what a page sent.

        Args:
            text: JSON: {"do": "begin", "create", "get", "poll" or "cancel", ...}.
            origin: of the document, by what the browser says.
            place: the frame that it is in.
        """
        if len(text) > LONGEST_REQUEST:
            return json.dumps(_failed("TypeError", "the request is too long"))
        try:
            answer = self._answer(json.loads(text, object_hook=_with_bytes), origin, place)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            answer = _failed("TypeError", f"the request is not valid: {error}")
        return json.dumps(answer)

    def _answer(self, message: Json, origin: str, place: Hashable) -> Json:
        match message["do"]:
            case "begin":
                self._end_at(place)
                return {}
            case "create" | "get" as kind:
                ancestors = [str(around) for around in message.get("ancestors") or []]
                return self._start(PageRequest(kind, origin, message["options"]), ancestors, place)
            case "poll":
                return self._poll(message["id"])
            case "cancel":
                self._ceremonies[message["id"]].canceled.set()
                return {}
            case _:
                raise ValueError("nothing of this name can be done")

    def _end_at(self, place: Hashable) -> None:
        for ceremony in [*self._ceremonies.values()]:
            if ceremony.place == place:
                ceremony.canceled.set()

    def _start(self, request: PageRequest, ancestors: list[str], place: Hashable) -> Json:
        with self._turn:
            going = [c for c in self._ceremonies.values() if not c.canceled.is_set()]
            if any(ceremony.answer is None for ceremony in going):
                return _failed("OperationError", "A request is already pending.")
            ended = [c.thread for c in self._ceremonies.values() if c.thread]
            number, ceremony = next(self._numbers), _Ceremony(place, threading.Event())
            self._ceremonies[number] = ceremony
        self.requests.append(request)
        work = (ceremony, request, ancestors, ended)
        ceremony.thread = threading.Thread(target=self._work, args=work, daemon=True)
        ceremony.thread.start()
        return {"pending": True, "id": number}

    def _poll(self, number: int) -> Json:
        answer = self._ceremonies[number].answer
        if answer is None:
            return {"pending": True}
        del self._ceremonies[number]
        return answer

    def _work(
        self,
        ceremony: _Ceremony,
        request: PageRequest,
        ancestors: list[str],
        ended: Sequence[threading.Thread],
    ) -> None:
        from fidokit.testing.browser.client import (
            PageOrigin,
            PageRejection,
            PageUser,
            create,
            get,
        )

        for thread in ended:  # the token attends to one at a time
            thread.join(_END_S)
        page, user = PageOrigin(request.origin, ancestors), PageUser(self.pin, self.account)
        act = create if request.kind == "create" else get
        try:
            made = act(self.token, page, request.options, user, ceremony.canceled)
        except PageRejection as rejection:
            request.error = rejection
            ceremony.answer = _failed(rejection.name, rejection.message)
        except Exception as error:  # noqa: BLE001  the token broke: a page is told what users are
            request.error = error
            ceremony.answer = _failed("NotAllowedError", PageRejection("").message)
        else:
            request.credential = made
            ceremony.answer = {"credential": made}


def page_script(call: str) -> str:
    """What every document runs before its own scripts.

    Args:
        call: JavaScript for a function of a text that gives a promise of a text.
    """
    return f"{Path(__file__).with_name('page.js').read_text()}({call})"


def origin_of(url: str) -> str:
    """The origin of a document with this URL; "null" if it has none."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "null"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _failed(name: str, message: str) -> Json:
    return {"error": {"name": name, "message": message}}


def _with_bytes(members: Json) -> Any:
    text = members.get(_BYTES)
    if len(members) != 1 or not isinstance(text, str):
        return members
    padded = text + "=" * (-len(text) % 4)
    with contextlib.suppress(binascii.Error):
        return base64.b64decode(padded, b"-_", validate=True)
    raise ValueError("bytes are not base64url")

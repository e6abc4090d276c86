"""What pages send to a test's process, and what they get, without a browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import Unsupported
from fidokit.testing import BrowserToken, TokenFactory, WatchedToken
from fidokit.testing.browser.token import LONGEST_REQUEST, REQUESTS_KEPT, origin_of

ORIGIN = "https://example.org"
BYTES = {"$bytes": "AAECAw"}
CREATION = {
    "rp": {"id": "example.org", "name": "Example"},
    "user": {"id": BYTES, "name": "ada", "displayName": "Ada"},
    "challenge": BYTES,
    "pubKeyCredParams": [],
}
REQUEST = {"do": "create", "options": CREATION, "ancestors": []}


@pytest.fixture
def script() -> Iterator[WatchedToken]:
    factory = TokenFactory()
    yield factory(presence="script")
    assert factory.close() == []


@pytest.fixture
def browser(script: WatchedToken) -> Iterator[BrowserToken]:
    made = BrowserToken(script)
    yield made
    made.close()


def call(browser: BrowserToken, message: object, place: object = "frame") -> Any:
    return json.loads(browser.call(json.dumps(message), ORIGIN, str(place)))


def ended(browser: BrowserToken, number: int) -> Any:
    """The answer that a page polls for."""
    thread = browser._ceremonies[number].thread
    assert thread is not None
    thread.join(20)
    return call(browser, {"do": "poll", "id": number})


def test_a_request_goes_on_while_the_page_polls(
    browser: BrowserToken, script: WatchedToken
) -> None:
    begun = call(browser, REQUEST)
    assert begun["pending"]
    assert script.waits.until_one(60) == "touch"
    assert call(browser, {"do": "poll", "id": begun["id"]}) == {"pending": True}
    script.touch()
    answer = ended(browser, begun["id"])
    assert answer["credential"]["type"] == "public-key"
    (request,) = browser.requests
    assert (request.kind, request.origin, request.error) == ("create", ORIGIN, None)
    assert request.options["challenge"] == bytes(range(4))
    assert request.credential == answer["credential"]
    assert call(browser, {"do": "poll", "id": begun["id"]})["error"]["name"] == "TypeError"


def test_one_at_a_time(browser: BrowserToken, script: WatchedToken) -> None:
    begun = call(browser, REQUEST)
    assert call(browser, REQUEST)["error"]["name"] == "OperationError"
    script.touch()
    assert "credential" in ended(browser, begun["id"])
    script.touch()
    assert "credential" in ended(browser, call(browser, REQUEST)["id"])


@pytest.mark.parametrize(
    "message", [{"do": "cancel"}, {"do": "begin"}], ids=["aborted", "a document is left"]
)
def test_it_ends_without_an_answer(
    browser: BrowserToken, script: WatchedToken, message: dict[str, object]
) -> None:
    begun = call(browser, REQUEST)
    script.waits.until_one(60)
    call(browser, {"do": "begin"}, "another frame")
    assert script.waits.now == "touch"
    call(browser, message | {"id": begun["id"]})
    assert ended(browser, begun["id"])["error"]["name"] == "NotAllowedError"


def test_closing_ends_what_goes_on(browser: BrowserToken, script: WatchedToken) -> None:
    begun = call(browser, REQUEST)
    script.waits.until_one(60)
    browser.close()
    assert script.waits.now is None
    assert "error" in ended(browser, begun["id"])


def test_a_token_that_broke_is_named_to_the_test_alone(
    browser: BrowserToken, script: WatchedToken
) -> None:
    script.unplug()
    answer = ended(browser, call(browser, REQUEST)["id"])
    assert answer["error"]["name"] == "NotAllowedError"
    assert "unplugged" not in json.dumps(answer)
    assert isinstance(browser.requests[-1].error, OSError)


def test_requests_are_bounded(browser: BrowserToken, script: WatchedToken) -> None:
    long = {"do": "create", "options": "x" * LONGEST_REQUEST}
    assert call(browser, long)["error"]["name"] == "TypeError"
    assert browser.requests.maxlen == REQUESTS_KEPT
    for text in (
        "{",
        "[" * 10_000,
        "null",
        '{"do": []}',
        '{"$bytes": "!"}',
        '{"do":{"$bytes":"A"}}',
    ):
        assert json.loads(browser.call(text, ORIGIN, "frame"))["error"]["name"] == "TypeError"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just(BYTES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
NAMES = st.sampled_from([*CREATION, "extensions", "excludeCredentials", "authenticatorSelection"])


@given(
    kind=st.sampled_from(["create", "get", "poll", "begin"]),
    options=st.dictionaries(NAMES, JSON, max_size=3),
)
def test_whatever_a_page_sends_is_answered(kind: str, options: dict[str, object]) -> None:
    factory = TokenFactory()
    browser = BrowserToken(factory())
    answer = call(browser, {"do": kind, "options": CREATION | options, "id": 7})
    if "id" in answer:
        answer = ended(browser, answer["id"])
        assert answer.keys() <= {"credential", "error"}
    browser.close()
    assert factory.close() == []


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://example.org/path?x#y", "https://example.org"),
        ("http://localhost:3000/", "http://localhost:3000"),
        ("https://user:word@example.org/", "https://example.org"),
        ("http://[::1]:80/", "http://[::1]:80"),
        ("file:///etc/passwd", "null"),
        ("data:text/html,x", "null"),
        ("about:blank", "null"),
        ("", "null"),
    ],
)
def test_origins(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@dataclass
class Frame:
    url: str
    parent_frame: Frame | None = None


@dataclass
class Target:
    """Stands in for Playwright's page."""

    bindings: dict[str, Callable[..., str]] = field(default_factory=dict)
    scripts: list[str] = field(default_factory=list)

    def expose_binding(self, name: str, callback: Callable[..., str]) -> None:
        self.bindings[name] = callback

    def add_init_script(self, script: str) -> None:
        self.scripts.append(script)


@pytest.mark.parametrize(
    ("frame", "origin"),
    [
        (Frame("https://a.example/x"), "https://a.example"),
        (Frame("about:srcdoc", Frame("https://a.example/x")), "https://a.example"),
        (Frame("https://b.example/", Frame("https://a.example/")), "https://b.example"),
        (Frame("about:blank"), "null"),
    ],
)
def test_the_origin_is_the_frames(browser: BrowserToken, frame: Frame, origin: str) -> None:
    target = Target()
    browser.playwright(target)
    (script,) = target.scripts
    assert script.endswith("(self.__fidokit)")
    begun = json.loads(target.bindings["__fidokit"]({"frame": frame}, json.dumps(REQUEST)))
    assert browser.requests[-1].origin == origin
    assert ended(browser, begun["id"])["error"]["name"] == "SecurityError"


@pytest.mark.parametrize("capabilities", [{}, {"goog:chromeOptions": {}}, {"moz:headless": True}])
def test_a_driver_without_devtools(browser: BrowserToken, capabilities: dict[str, Any]) -> None:
    @dataclass
    class Driver:
        capabilities: dict[str, Any]

    with pytest.raises(Unsupported, match="DevTools"):
        browser.selenium(Driver(capabilities))

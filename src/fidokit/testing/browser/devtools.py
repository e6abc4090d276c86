"""A second line to a Chromium that WebDriver drives: Chrome's DevTools Protocol.

WebDriver has no way for a page to ask the test's process something while a command waits for that
page. This has: a function that pages call, and answers into the document that called it.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Hashable
from typing import Any, Final

from fidokit.errors import FidokitError, Unsupported

Call = Callable[[str, str, Hashable], str]
"""Text, the document's origin and its frame to the answer."""

BINDING: Final = "__fidokit"
CALL: Final = """(() => {
  const waiting = new Map()
  const send = self.__fidokit
  let last = 0
  Object.defineProperty(self, "__fidokitAnswer", {
    value: (number, text) => { waiting.get(number)?.(text); waiting.delete(number) },
  })
  return text => new Promise(done => {
    waiting.set(++last, done)
    send(JSON.stringify([last, text]))
  })
})()"""

PATIENCE_S: Final = 30.0
_KINDS: Final = ("page", "iframe")


class DevTools:
    """A script in every document of a browser, and a function by which it asks.

    Args:
        address: host and port where the browser listens (its `debuggerAddress`).
        script: runs in every document before its own scripts, those that are open included.
        call: answers it; called in a thread of its own.

    Raises:
        Unsupported: the package websocket-client, which selenium brings, is not installed.
        FidokitError: the browser does not answer.
    """

    def __init__(self, address: str, script: str, call: Call) -> None:
        try:
            import websocket
        except ImportError:
            raise Unsupported(
                "websocket-client is not installed", hint="pip install selenium brings it"
            ) from None
        self._script, self._call = script, call
        self._turn = threading.Condition()
        self._last = 0
        self._unanswered: set[int] = set()
        self._documents: dict[tuple[str, int], tuple[str, Hashable]] = {}
        try:
            self._line = websocket.create_connection(_door(address), suppress_origin=True)
        except (OSError, ValueError, KeyError, websocket.WebSocketException) as error:
            raise FidokitError(f"the browser at {address} does not answer: {error}") from error
        self._closed = websocket.WebSocketException
        self._reader = threading.Thread(target=self._read, name="devtools", daemon=True)
        self._reader.start()
        self._attach(None)
        with self._turn:
            if not self._turn.wait_for(lambda: not self._unanswered, PATIENCE_S):
                raise FidokitError(f"the browser at {address} does not answer")

    def close(self) -> None:
        """Hang up; the script stays in documents that are open."""
        with contextlib.suppress(OSError, self._closed):
            self._line.close()
        self._reader.join(PATIENCE_S)

    def _attach(self, session: str | None) -> None:
        """Hear of pages and frames there are and will be; new ones wait for the script."""
        settings = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}
        self._send("Target.setAutoAttach", session, **settings)

    def _send(self, method: str, session: str | None, **parameters: object) -> None:
        with self._turn:
            self._last += 1
            self._unanswered.add(self._last)
            message = {"id": self._last, "method": method, "params": parameters}
            self._line.send(json.dumps(message | ({"sessionId": session} if session else {})))

    def _read(self) -> None:
        with contextlib.suppress(OSError, self._closed):
            while text := self._line.recv():
                self._hear(json.loads(text))

    def _hear(self, message: dict[str, Any]) -> None:
        session, given = message.get("sessionId", ""), message.get("params", {})
        match message.get("method"):
            case None:
                with self._turn:
                    self._unanswered.discard(message.get("id", 0))
                    self._turn.notify_all()
            case "Target.attachedToTarget":
                self._prepare(given["sessionId"], given["targetInfo"]["type"])
            case "Runtime.executionContextCreated":
                context = given["context"]
                place = context.get("auxData", {}).get("frameId")
                self._documents[session, context["id"]] = (context["origin"], place)
            case "Runtime.executionContextDestroyed":
                self._documents.pop((session, given["executionContextId"]), None)
            case "Runtime.bindingCalled":
                self._asked(session, given)

    def _prepare(self, session: str, kind: str) -> None:
        if kind in _KINDS:
            self._attach(session)
            self._send("Page.enable", session)
            self._send("Runtime.enable", session)
            self._send("Runtime.addBinding", session, name=BINDING)
            self._send(
                "Page.addScriptToEvaluateOnNewDocument",
                session,
                source=self._script,
                runImmediately=True,
            )
        self._send("Runtime.runIfWaitingForDebugger", session)

    def _asked(self, session: str, given: dict[str, Any]) -> None:
        origin, place = self._documents.get((session, given["executionContextId"]), ("", None))
        try:
            number, text = json.loads(given["payload"])
            answer = self._call(str(text), origin, place)
        except (ValueError, TypeError):
            return  # not our script: a page that calls the function itself
        self._send(
            "Runtime.evaluate",
            session,
            expression=f"__fidokitAnswer({json.dumps(number)}, {json.dumps(answer)})",
            contextId=given["executionContextId"],
        )


def _door(address: str) -> str:
    """Where the browser takes connections; asked past any proxy."""
    import http.client  # few tests use it, and it takes 15 ms

    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/json/version")
        return str(json.load(connection.getresponse())["webSocketDebuggerUrl"])
    except http.client.HTTPException as error:
        raise ValueError(error) from error
    finally:
        connection.close()

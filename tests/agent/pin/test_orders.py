"""What a child does for the agent: sign once, or list; as values that go over a pipe."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from tests.support.desk import Desk

from fidokit.agent.pin import orders
from fidokit.client.credentials.resident import ResidentCredential
from fidokit.errors import FidokitError, Malformed, PinRequired, PinWrong, TouchRefused
from fidokit.keys import generation
from fidokit.keys.generation import GenerateRequest
from fidokit.keys.holder import read_key_file
from fidokit.openssh.keys.private import SkPrivate
from fidokit.openssh.signatures.signature import parse_signature, verify
from fidokit.tokens import access
from fidokit.types import Application, CredentialId, CredProtect, KeyType, UserId

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def key(desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> SkPrivate:
    """A resident key that wants the PIN; children reach the desk's token."""
    path = folder / "k"
    with desk.open() as session:
        request = GenerateRequest(
            KeyType.ED25519_SK, path=path, comment="me", resident=True, verify_required=True
        )
        generation.generate(session, request)
    real = access.open_token
    monkeypatch.setattr(
        access, "open_token", lambda selector, person: real(selector, person, backends=[desk])
    )
    private, _ = read_key_file(path, None)
    assert isinstance(private, SkPrivate)
    return private


def through_a_pipe(order: dict[str, object]) -> dict[str, object]:
    value = json.loads(json.dumps(order))
    assert isinstance(value, dict)
    return value


def test_signing(desk: Desk, key: SkPrivate) -> None:
    order = through_a_pipe(orders.sign_request("usb:ONE", key, b"message"))
    result = through_a_pipe(orders.perform(order, desk.person, threading.Event()))
    signature = parse_signature(orders.signature_of(result))
    verify(key.public, signature, b"message", require_touch=True, require_verification=True)


def test_listing(desk: Desk, key: SkPrivate) -> None:
    order = through_a_pipe(orders.list_request("usb:ONE", remember=False))
    result = through_a_pipe(orders.perform(order, desk.person, threading.Event()))
    [(listed, comment)] = orders.keys_of(result)
    assert (listed.public, listed.key_handle, listed.flags) == (
        key.public,
        key.key_handle,
        key.flags,
    )
    assert comment == "me"


def test_listing_with_a_right_that_lasts_asks_once(desk: Desk, key: SkPrivate) -> None:
    for remember in (True, False):
        order = orders.list_request("usb:ONE", remember=remember)
        orders.perform(order, desk.person, threading.Event())
    desk.person.asked.clear()
    orders.perform(order, desk.person, threading.Event())
    assert desk.person.asked == []


def test_an_order_that_is_not_wanted_any_more(desk: Desk, key: SkPrivate) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(FidokitError):
        orders.perform(orders.sign_request("usb:ONE", key, b"m"), desk.person, stop)


@pytest.mark.parametrize("order", [{}, {"do": "sign"}, {"do": "sign", "token": 7}])
def test_orders_that_make_no_sense(order: dict[str, object], desk: Desk, key: SkPrivate) -> None:
    with pytest.raises(FidokitError):
        orders.perform(order, desk.person, threading.Event())


@pytest.mark.parametrize(
    "result", [{}, {"signature": 1}, {"signature": "!"}, {"keys": 1}, {"keys": [{}]}]
)
def test_results_that_make_no_sense(result: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        orders.signature_of(result)
    with pytest.raises(Malformed):
        orders.keys_of(result)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PinRequired("a", hint="b"), PinRequired),
        (TouchRefused("a", hint="b"), TouchRefused),
        (PinWrong("a", retries=3, hint="b"), FidokitError),
    ],
)
def test_errors_go_over_the_pipe(error: FidokitError, kind: type[FidokitError]) -> None:
    with pytest.raises(kind) as caught:
        orders.raise_error(through_a_pipe(orders.error_of(error)))
    assert (caught.value.message, caught.value.hint) == ("a", "b")


def test_a_result_is_no_error_and_a_strange_name_is_ours() -> None:
    orders.raise_error({"signature": ""})
    with pytest.raises(FidokitError):
        orders.raise_error({"error": "annotations", "message": "a", "hint": "b"})


def credential(**changed: object) -> ResidentCredential:
    values: dict[str, object] = {
        "credential_id": CredentialId(b"id"),
        "application": Application("ssh:work"),
        "user_id": UserId(b"alice".ljust(32, b"\0")),
        "user_name": "",
        "display_name": "",
        "public": None,
        "cred_protect": CredProtect.UV_OPTIONAL,
        **changed,
    }
    return ResidentCredential(**values)  # type: ignore[arg-type]


def test_what_a_resident_key_is_called() -> None:
    assert orders.comment_of(credential()) == "ssh:work alice"
    assert orders.comment_of(credential(user_id=UserId(bytes(32)))) == "ssh:work"
    assert "\x1b" not in orders.comment_of(credential(application=Application("ssh:\x1b[2J")))
    assert orders.private_of(credential()) is None

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import pytest
from tests.support.fake_link import Person, session_on

from fidokit.client import pin_protocol
from fidokit.client.credentials import enrollment, resident
from fidokit.client.links import trace
from fidokit.client.owner import pin
from fidokit.client.ports import PinCode
from fidokit.types import Application, CtapCommand, KeyType
from fidokit.virtual.token import VirtualToken

SECRET = b"\xc0\xff\xee" * 11
EXCHANGE = trace.Exchange(1, 2, 0.003)


def told(
    caplog: pytest.LogCaptureFixture,
    command: int,
    params: Mapping[int, object] | None,
    value: object = None,
) -> str:
    caplog.set_level("DEBUG", "fidokit.trace")
    logger = logging.getLogger("fidokit.trace")
    trace.ctap2(logger, command, params, (0, value), EXCHANGE)
    return caplog.messages[-1]


@pytest.mark.parametrize(
    ("command", "member"),
    [
        pytest.param(CtapCommand.CLIENT_PIN, 4, id="pinUvAuthParam of clientPIN"),
        pytest.param(CtapCommand.CLIENT_PIN, 5, id="newPinEnc"),
        pytest.param(CtapCommand.CLIENT_PIN, 6, id="pinHashEnc"),
        pytest.param(CtapCommand.MAKE_CREDENTIAL, 8, id="pinUvAuthParam of makeCredential"),
        pytest.param(CtapCommand.GET_ASSERTION, 6, id="pinUvAuthParam of getAssertion"),
        pytest.param(CtapCommand.CREDENTIAL_MANAGEMENT, 4, id="pinUvAuthParam of credMgmt"),
        pytest.param(CtapCommand.CREDENTIAL_MANAGEMENT_PREVIEW, 4, id="and of its preview"),
        pytest.param(CtapCommand.CONFIG, 4, id="pinUvAuthParam of config"),
        pytest.param(CtapCommand.BIO_ENROLLMENT, 5, id="pinUvAuthParam of bioEnrollment"),
        pytest.param(CtapCommand.BIO_ENROLLMENT_PREVIEW, 5, id="the same of its preview"),
        pytest.param(CtapCommand.LARGE_BLOBS, 5, id="pinUvAuthParam of largeBlobs"),
    ],
)
def test_what_proves_the_owner_is_never_shown(
    caplog: pytest.LogCaptureFixture, command: int, member: int
) -> None:
    said = told(caplog, command, {1: 2, member: SECRET})
    assert SECRET.hex() not in said
    assert f"{member}: <secret, 33 bytes>" in said
    assert "1: 2" in said


@pytest.mark.parametrize(
    ("command", "member"),
    [
        pytest.param(CtapCommand.CLIENT_PIN, 2, id="pinUvAuthToken"),
        pytest.param(CtapCommand.MAKE_CREDENTIAL, 5, id="largeBlobKey of makeCredential"),
        pytest.param(CtapCommand.GET_ASSERTION, 7, id="largeBlobKey of getAssertion"),
        pytest.param(CtapCommand.GET_NEXT_ASSERTION, 7, id="and of the next"),
        pytest.param(CtapCommand.CREDENTIAL_MANAGEMENT, 0x0B, id="largeBlobKey of credMgmt"),
    ],
)
def test_what_is_worth_stealing_from_an_answer_is_never_shown(
    caplog: pytest.LogCaptureFixture, command: int, member: int
) -> None:
    assert SECRET.hex() not in told(caplog, command, None, {member: SECRET})


def test_extensions_show_their_numbers_alone(caplog: pytest.LogCaptureFixture) -> None:
    inputs = {
        "credProtect": 3,
        "credBlob": SECRET,
        "hmac-secret": {2: SECRET},
        "minPinLength": True,
    }
    said = told(caplog, CtapCommand.MAKE_CREDENTIAL, {6: inputs})
    assert said.splitlines()[1] == (
        '  > {6: {"credProtect": 3, "credBlob": <secret, 33 bytes>, '
        '"hmac-secret": <secret>, "minPinLength": true}}'
    )


def test_of_auth_data_the_head_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    said = told(caplog, CtapCommand.GET_ASSERTION, None, {2: bytes(37) + SECRET})
    assert said.endswith(f"{{2: h'{bytes(37).hex()}' and 33 bytes more}}")


def test_of_unknown_commands_the_size_is_told(caplog: pytest.LogCaptureFixture) -> None:
    said = told(caplog, 0xC1, {1: SECRET}, {1: SECRET})
    assert said == "command 0xc1: 1 bytes out, 2 in, 3.0 ms, status 0x00 OK"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({1: [1, "two", b"\3"]}, "{1: [1, \"two\", h'03']}"),
        ({"k": None, -1: False}, '{"k": null, -1: false}'),
        ('\x1b[2J\n\u202e"', '"\\x1b[2J\\n\\u202e\\""'),
        (b"\0" * 66, f"h'{bytes(64).hex()}' and 2 bytes more"),
        ({}, "{}"),
    ],
)
def test_diagnostic_notation(value: object, text: str) -> None:
    assert trace.shown(value) == text
    assert trace.shown(value).isprintable()


@pytest.mark.parametrize(
    ("status", "name"),
    [(None, "no status"), (0x31, "status 0x31 PIN_INVALID"), (0xF3, "status 0xf3")],
)
def test_statuses_are_named(status: int | None, name: str) -> None:
    assert trace.status_name(status) == name


def test_every_command_that_we_send_was_judged() -> None:
    sent = set(CtapCommand)
    assert sent == set(trace.FORMS)


def test_nothing_secret_is_in_the_trace_of_a_life(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets: list[bytes] = []

    def kept(function: Callable[..., bytes]) -> Callable[..., bytes]:
        def wrapper(*args: object) -> bytes:
            secrets.append(function(*args))
            return secrets[-1]

        return wrapper

    for name in ("encrypt", "authenticate", "open_token"):
        original = getattr(pin_protocol.Secret, name)
        monkeypatch.setattr(pin_protocol.Secret, name, kept(original))
    monkeypatch.setattr(pin_protocol, "authenticate", kept(pin_protocol.authenticate))
    caplog.set_level("DEBUG", "fidokit.trace")
    with VirtualToken() as token, session_on(token.link(), Person("2580")) as session:
        pin.set_pin(session, PinCode.parse("2580"))
        wish = enrollment.Enrollment(KeyType.ED25519_SK, Application("ssh:"), resident=True)
        enrollment.enroll(session, wish)
        resident.delete(session, resident.list_credentials(session)[0])
    assert len(secrets) > 6
    assert len(caplog.messages) == session.round_trips
    assert [s.hex() for s in secrets if s.hex() in caplog.text] == []

"""What a browser does between page and token, judged by python-fido2's server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key
from fido2.server import Fido2Server
from fido2.utils import websafe_decode
from fido2.webauthn import (
    AttestationObject,
    AuthenticatorData,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
)

from fidokit.testing import Credential, TokenFactory, WatchedToken
from fidokit.testing.browser.client import (
    Json,
    PageOrigin,
    PageRejection,
    PageUser,
    create,
    get,
)

RP = "example.org"
PAGE = PageOrigin("https://login.example.org")
CHALLENGE = bytes(range(32))
NOBODY = PageUser()
Make = Callable[..., WatchedToken]


@pytest.fixture
def make() -> Iterator[Make]:
    factory = TokenFactory()
    yield factory
    assert factory.close() == []


def creation(**changes: Any) -> Json:
    whole = {
        "rp": {"id": RP, "name": "Example"},
        "user": {"id": b"ada", "name": "ada", "displayName": "Ada"},
        "challenge": CHALLENGE,
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def registered(token: WatchedToken, who: PageUser = NOBODY, **changes: Any) -> Json:
    return create(token, PAGE, creation(**changes), who, Event())


def asked(**changes: Any) -> Json:
    whole = {"rpId": RP, "challenge": CHALLENGE}
    return {name: value for name, value in (whole | changes).items() if value is not None}


def logged_in(token: WatchedToken, who: PageUser = NOBODY, **changes: Any) -> Json:
    return get(token, PAGE, asked(**changes), who, Event())


def rejected(act: Callable[..., Json], *arguments: Any, **changes: Any) -> str:
    with pytest.raises(PageRejection) as rejection:
        act(*arguments, **changes)
    return rejection.value.name


def listed(made: Json) -> list[Json]:
    return [{"type": "public-key", "id": websafe_decode(made["rawId"])}]


@pytest.mark.parametrize("profile", ["u2f", "ctap2.0", "ctap2.1", "ctap2.3"])
def test_a_server_accepts_what_comes(make: Make, profile: str) -> None:
    token = make(profile=profile)
    server = Fido2Server(PublicKeyCredentialRpEntity(id=RP, name="Example"))
    user = PublicKeyCredentialUserEntity(id=b"ada", name="ada")
    options, state = server.register_begin(user)
    made = create(token, PAGE, dict(options.public_key) | creation(), PageUser(), Event())
    state["challenge"] = json.loads(websafe_decode(made["response"]["clientDataJSON"]))["challenge"]
    data = server.register_complete(state, made).credential_data
    assert data is not None
    options_of_login, state = server.authenticate_begin([data])
    given = {
        "rpId": RP,
        "challenge": options_of_login.public_key.challenge,
        "allowCredentials": listed(made),
    }
    found = get(token, PAGE, given, PageUser(), Event())
    server.authenticate_complete(state, [data], found)


def test_json_has_what_browsers_add(make: Make) -> None:
    made = registered(make())
    response = made["response"]
    whole = AttestationObject(websafe_decode(response["attestationObject"]))
    data = AuthenticatorData(websafe_decode(response["authenticatorData"]))
    assert whole.auth_data == data
    assert response["transports"] == ["usb"]
    assert response["publicKeyAlgorithm"] == -7
    assert data.credential_data is not None
    key: Any = load_der_public_key(websafe_decode(response["publicKey"]))
    x = data.credential_data.public_key[-2]
    assert key.public_numbers().x == int.from_bytes(x)
    assert made["authenticatorAttachment"] == "cross-platform"


@pytest.mark.parametrize(
    ("alg", "known"),
    [(-7, True), (-8, True), (-257, True), (-35, True), (-47, False), (-48, False)],
)
def test_public_keys_that_browsers_know(make: Make, alg: int, known: bool) -> None:
    params = [{"type": "public-key", "alg": alg}]
    response = registered(make(), pubKeyCredParams=params)["response"]
    assert response["publicKeyAlgorithm"] == alg
    assert ("publicKey" in response) == known
    if known:
        load_der_public_key(websafe_decode(response["publicKey"]))


@pytest.mark.parametrize(
    ("attestation", "form"),
    [(None, "none"), ("none", "none"), ("indirect", "packed"), ("direct", "packed")],
)
def test_attestation_is_real_where_it_is_asked_for(
    make: Make, attestation: str | None, form: str
) -> None:
    made = registered(make(), attestation=attestation)
    whole = AttestationObject(websafe_decode(made["response"]["attestationObject"]))
    assert whole.fmt == form
    assert bool(whole.att_stmt.get("x5c")) == (form == "packed")
    assert whole.auth_data.credential_data is not None
    assert bool(whole.auth_data.credential_data.aaguid)


@pytest.mark.parametrize(
    ("origin", "rp_id", "accepted"),
    [
        ("https://example.org", "example.org", True),
        ("https://login.example.org:8443", "example.org", True),
        ("http://localhost:3000", "localhost", True),
        ("https://example.org", "login.example.org", False),
        ("https://example.org", "org", False),
        ("https://badexample.org", "example.org", False),
        ("http://example.org", "example.org", False),
        ("http://127.0.0.1", "127.0.0.1", False),
        ("null", "example.org", False),
        ("https://example.org", "", False),
    ],
)
def test_rp_ids_fit_the_origin(make: Make, origin: str, rp_id: str, accepted: bool) -> None:
    given = creation(rp={"id": rp_id, "name": "x"})
    if accepted:
        create(make(), PageOrigin(origin), given, PageUser(), Event())
        return
    name = rejected(create, make(), PageOrigin(origin), given, PageUser(), Event())
    assert name == "SecurityError"
    login = asked(rpId=rp_id)
    assert rejected(get, make(), PageOrigin(origin), login, PageUser(), Event()) == "SecurityError"


def test_the_rp_id_is_the_host_where_none_is_given(make: Make) -> None:
    token = make()
    made = registered(token, rp={"name": "x"})
    data = AuthenticatorData(websafe_decode(made["response"]["authenticatorData"]))
    assert data.rp_id_hash == hashlib.sha256(b"login.example.org").digest()
    found = logged_in(token, rpId=None, allowCredentials=listed(made))
    assert found["rawId"] == made["rawId"]


@pytest.mark.parametrize(
    ("ancestors", "crosses"),
    [
        ([], False),
        ([PAGE.origin], False),
        ([PAGE.origin, "https://shop.example"], True),
    ],
)
def test_client_data_name_frames_around(make: Make, ancestors: list[str], crosses: bool) -> None:
    made = create(make(), PageOrigin(PAGE.origin, ancestors), creation(), PageUser(), Event())
    data = json.loads(websafe_decode(made["response"]["clientDataJSON"]))
    assert data["type"] == "webauthn.create"
    assert data["origin"] == PAGE.origin
    assert data["crossOrigin"] == crosses
    assert data.get("topOrigin") == ("https://shop.example" if crosses else None)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"challenge": None}, "TypeError"),
        ({"challenge": "AAAA"}, "TypeError"),
        ({"rp": None}, "TypeError"),
        ({"user": None}, "TypeError"),
        ({"user": {"id": "ada", "name": "a", "displayName": "A"}}, "TypeError"),
        ({"user": {"id": b"", "name": "a", "displayName": "A"}}, "TypeError"),
        ({"user": {"id": bytes(65), "name": "a", "displayName": "A"}}, "TypeError"),
        ({"pubKeyCredParams": None}, "TypeError"),
        ({"pubKeyCredParams": [5]}, "TypeError"),
        ({"pubKeyCredParams": [{"type": "other", "alg": -7}]}, "NotSupportedError"),
        ({"pubKeyCredParams": [{"type": "public-key", "alg": -65535}]}, "NotAllowedError"),
        ({"excludeCredentials": [{"type": "public-key", "id": "AAAA"}]}, "TypeError"),
        ({"excludeCredentials": 5}, "TypeError"),
        ({"extensions": 5}, "TypeError"),
        ({"authenticatorSelection": 5}, "TypeError"),
        ({"authenticatorSelection": {"authenticatorAttachment": "platform"}}, "NotAllowedError"),
        ({"authenticatorSelection": {"userVerification": "required"}}, "NotAllowedError"),
        ({"timeout": "soon"}, "TypeError"),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_page_may_not_ask(make: Make, changes: Json, name: str) -> None:
    assert rejected(registered, make(), **changes) == name


def test_options_that_are_no_dictionary(make: Make) -> None:
    for act in (create, get):
        assert rejected(act, make(), PAGE, None, PageUser(), Event()) == "TypeError"


def test_no_algorithms_are_the_usual_ones(make: Make) -> None:
    assert registered(make(), pubKeyCredParams=[])["response"]["publicKeyAlgorithm"] == -7


def test_a_key_is_registered_once(make: Make) -> None:
    token = make()
    made = registered(token)
    assert rejected(registered, token, excludeCredentials=listed(made)) == "InvalidStateError"
    registered(make(), excludeCredentials=listed(made))
    strangers = [{"type": "future", "id": b"x"}]
    registered(token, excludeCredentials=strangers)
    assert rejected(logged_in, token, allowCredentials=strangers) == "NotAllowedError"


def test_a_key_that_the_site_does_not_know(make: Make) -> None:
    made = registered(make())
    assert rejected(logged_in, make(), allowCredentials=listed(made)) == "NotAllowedError"
    assert rejected(logged_in, make()) == "NotAllowedError"


@pytest.mark.parametrize("wish", ["required", "preferred", "discouraged"])
@pytest.mark.parametrize("profile", ["ctap2.0", "ctap2.1", "ctap2.3"])
def test_verification_by_a_pin(make: Make, profile: str, wish: str) -> None:
    token = make(profile=profile, pin="123456")
    given = {"authenticatorSelection": {"userVerification": wish}}
    made = registered(token, PageUser("123456"), **given)
    allowed = listed(made)
    found = logged_in(token, PageUser("123456"), userVerification=wish, allowCredentials=allowed)
    data = AuthenticatorData(websafe_decode(found["response"]["authenticatorData"]))
    assert data.is_user_verified() == (wish != "discouraged")
    if wish != "discouraged":
        assert rejected(registered, token, PageUser(None), **given) == "NotAllowedError"
        assert rejected(registered, token, PageUser("999999"), **given) == "NotAllowedError"


def test_extensions(make: Make) -> None:
    token = make(pin="123456")
    user = PageUser("123456")
    made = registered(
        token,
        user,
        authenticatorSelection={"residentKey": "required", "userVerification": "required"},
        extensions={
            "credProps": True,
            "prf": {"eval": {"first": b"one"}},
            "largeBlob": {"support": "required"},
            "credentialProtectionPolicy": "userVerificationRequired",
            "unheardOf": b"x",
        },
    )
    results = made["clientExtensionResults"]
    assert results["credProps"] == {"rk": True}
    assert results["largeBlob"] == {"supported": True}
    secret = results["prf"]["results"]["first"]
    assert set(results["prf"]["results"]) == {"first"}
    verified = {"userVerification": "required", "allowCredentials": listed(made)}
    again = logged_in(
        token, user, extensions={"prf": {"eval": {"first": b"one", "second": b"two"}}}, **verified
    )["clientExtensionResults"]["prf"]["results"]
    assert again["first"] == secret
    assert len(websafe_decode(again["second"])) == 32
    written = logged_in(token, user, extensions={"largeBlob": {"write": b"letter"}}, **verified)
    assert written["clientExtensionResults"] == {"largeBlob": {"written": True}}
    read = logged_in(token, user, extensions={"largeBlob": {"read": True}}, **verified)
    assert websafe_decode(read["clientExtensionResults"]["largeBlob"]["blob"]) == b"letter"


@pytest.mark.parametrize(
    ("account", "handle"), [(None, b"bob"), ("ada", b"ada"), (b"ada", b"ada"), ("eve", None)]
)
def test_one_of_several_accounts(
    make: Make, account: str | bytes | None, handle: bytes | None
) -> None:
    people = [Credential(RP, name, cred_protect=1) for name in ("ada", "bob")]
    token = make(credentials=people, pin="123456")
    user = PageUser("123456", account)
    if handle is None:
        assert rejected(logged_in, token, user) == "NotAllowedError"
        return
    found = logged_in(token, user, userVerification="required")
    assert websafe_decode(found["response"]["userHandle"]) == handle


def test_a_refusal_and_a_cancel(make: Make) -> None:
    assert rejected(registered, make(presence="deny")) == "NotAllowedError"
    canceled = Event()
    canceled.set()
    waiting = make(presence="script")
    name = rejected(create, waiting, PAGE, creation(), PageUser(), canceled)
    assert name == "NotAllowedError"
    assert rejected(registered, waiting, timeout=1) == "NotAllowedError"


def test_a_model_shows_its_own(make: Make) -> None:
    token = make(model="ee882879-721c-4913-9775-3dfcce97072a")
    made = registered(token, attestation="direct")
    whole = AttestationObject(websafe_decode(made["response"]["attestationObject"]))
    assert whole.auth_data.credential_data is not None
    assert str(whole.auth_data.credential_data.aaguid) == "ee882879-721c-4913-9775-3dfcce97072a"

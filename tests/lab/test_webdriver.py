"""Credentials in WebDriver's form, in and out of tokens, judged by python-fido2."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fido2.cose import CoseKey
from fido2.ctap import CtapError
from fido2.ctap1 import Ctap1
from fido2.ctap2 import Ctap2
from fido2.ctap2.base import AssertionResponse
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import FidokitError, MalformedFile, StoreFull, Unsupported, WouldOverwrite
from fidokit.lab import export_credentials, import_credentials
from fidokit.lab.webdriver import read_credentials, write_credentials
from fidokit.testing import Credential, TokenFactory, WatchedToken, open_device
from fidokit.types import CoseAlg, CredentialId
from fidokit.virtual import VirtualToken

RP = "relying.example"
HASH = bytes(range(32))
Json = dict[str, Any]


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def private(key: Any) -> str:
    encoding, form = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    return text(key.private_bytes(encoding, form, serialization.NoEncryption()))


KEY = ec.derive_private_key(7, ec.SECP256R1())


def foreign(**changes: Any) -> Json:
    """A credential that this toolkit did not make."""
    whole = {
        "credentialId": text(b"a foreign id"),
        "isResidentCredential": True,
        "rpId": RP,
        "privateKey": private(KEY),
        "userHandle": text(b"ada"),
        "signCount": 41,
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


@pytest.fixture
def make() -> Iterator[Callable[..., WatchedToken]]:
    factory = TokenFactory()
    yield factory
    assert factory.close() == []


def asserted(token: VirtualToken, allowed: bytes | None = None) -> AssertionResponse:
    with open_device(token) as device:
        one = {"type": "public-key", "id": allowed}
        listed: list[Mapping[str, Any]] | None = [one] if allowed else None
        return Ctap2(device).get_assertion(RP, HASH, listed)


def public(key: Any = KEY) -> CoseKey:
    return CoseKey.for_alg(-7).from_cryptography_key(key.public_key())


@pytest.mark.parametrize("profile", ["ctap2.0", "ctap2.1", "ctap2.3"])
def test_a_foreign_resident_credential_signs(
    make: Callable[..., WatchedToken], profile: str
) -> None:
    token = make(profile=profile)
    assert import_credentials(token, foreign()) == [b"a foreign id"]
    found = asserted(token)
    found.verify(HASH, public())
    assert found.user == {"id": b"ada"}
    assert found.auth_data.counter > 41


@pytest.mark.parametrize("profile", ["u2f", "ctap2.0", "ctap2.3"])
def test_one_that_is_not_resident_is_known_by_its_id_alone(
    make: Callable[..., WatchedToken], profile: str
) -> None:
    token = make(profile=profile)
    import_credentials(token, foreign(isResidentCredential=False, userHandle=None))
    if profile == "u2f":
        with open_device(token) as device:
            rp_hash = hashlib.sha256(RP.encode()).digest()
            signed = Ctap1(device).authenticate(HASH, rp_hash, b"a foreign id")
            signed.verify(rp_hash, HASH, b"\x04" + public()[-2] + public()[-3])
            assert signed.counter > 41
        return
    with pytest.raises(CtapError) as unknown:
        asserted(token)
    assert unknown.value.code == CtapError.ERR.NO_CREDENTIALS
    found = asserted(token, b"a foreign id")
    found.verify(HASH, public())
    assert not found.user
    (out,) = export_credentials(token).credentials
    assert not out["isResidentCredential"]
    assert "userHandle" not in out


@pytest.mark.parametrize(
    "alg", [a for a in VirtualToken().profile.algorithms if a is not CoseAlg.PS256]
)
def test_keys_of_every_algorithm_come_back(make: Callable[..., WatchedToken], alg: CoseAlg) -> None:
    one, other = make(credentials=[Credential(RP, "ada", algorithm=alg)]), make()
    (out,) = export_credentials(one).credentials
    assert out["userName"] == "ada"
    (made,) = import_credentials(other, [out])
    key = one.credentials[0].public_key
    if alg in {CoseAlg.ESP256, CoseAlg.ESP384, CoseAlg.ESP512, CoseAlg.ED25519}:
        usual = {-9: -7, -51: -35, -52: -36, -19: -8}[alg]
        key = CoseKey.parse({**key, 3: usual})  # the same key by its older number
    found = asserted(other, made)
    found.verify(HASH, key)
    assert found.auth_data.counter > out["signCount"]


def test_what_the_form_cannot_hold_is_named(make: Callable[..., WatchedToken]) -> None:
    token = make(credentials=[Credential(RP, "ada", algorithm=CoseAlg.PS256)])
    out = export_credentials(token)
    assert out.credentials == []
    assert out.left_out == [CredentialId(token.credentials[0].credential_id)]


@pytest.mark.parametrize("profile", ["ctap2.3", "ctap2.3-largeblob"])
def test_large_blobs_go_along(make: Callable[..., WatchedToken], profile: str) -> None:
    one, other = make(profile=profile), make()
    import_credentials(one, foreign(largeBlob=text(b"a letter")))
    (out,) = export_credentials(one).credentials
    assert out["largeBlob"] == text(b"a letter")
    import_credentials(other, out)
    import_credentials(other, out)
    assert export_credentials(other).credentials[0]["largeBlob"] == text(b"a letter")
    with other.memory(changes=False) as store:
        assert store.load().large_blob_array[0] == 0x81  # one entry, however often it comes


def test_a_file_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "token.sqlite"
    ids = [b"one", b"two"]
    with VirtualToken(path) as token:
        wanted = [foreign(credentialId=text(one), userHandle=text(one)) for one in ids]
        import_credentials(token, [*wanted, foreign(isResidentCredential=False, signCount=9000)])
    with VirtualToken(path) as token:
        out = export_credentials(token).credentials
        assert [one["isResidentCredential"] for one in out] == [True, True, False]
        assert min(one["signCount"] for one in out) > 9000
        assert asserted(token, b"a foreign id").auth_data.counter > 9000
        with token.memory(changes=False) as store:
            assert store.count() == 2


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"credentialId": "!"}, MalformedFile, "credentialId is not base64url"),
        ({"credentialId": ""}, MalformedFile, "1 to 1023 bytes"),
        ({"credentialId": text(bytes(1024))}, MalformedFile, "1 to 1023 bytes"),
        ({"isResidentCredential": None}, MalformedFile, "isResidentCredential is missing"),
        ({"isResidentCredential": 1}, MalformedFile, "not true or false"),
        ({"rpId": ""}, MalformedFile, "rpId"),
        ({"privateKey": text(b"0")}, MalformedFile, "PKCS #8"),
        ({"privateKey": text(bytes(9000))}, MalformedFile, "privateKey"),
        ({"userHandle": None}, MalformedFile, "userHandle"),
        ({"userHandle": text(bytes(65))}, MalformedFile, "userHandle"),
        ({"signCount": -1}, MalformedFile, "signCount"),
        ({"signCount": True}, MalformedFile, "signCount"),
        ({"signCount": 1 << 32}, MalformedFile, "signCount"),
        ({"userName": 5}, MalformedFile, "userName"),
        ({"backupEligibility": True}, Unsupported, "backed up"),
        ({"backupState": True}, Unsupported, "backed up"),
        ({"privateKey": private(rsa.generate_private_key(3, 2048))}, Unsupported, "kind"),
        ({"privateKey": private(ec.generate_private_key(ec.SECP192R1()))}, Unsupported, "kind"),
        ({"largeBlob": text(b"x"), "isResidentCredential": False}, Unsupported, "large blobs"),
        ({"largeBlob": text(os.urandom(9000))}, StoreFull, "large blobs"),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_others_are_refused_and_nothing_is_kept(
    make: Callable[..., WatchedToken], changes: Json, error: type[FidokitError], says: str
) -> None:
    token = make()
    good = foreign(credentialId=text(b"good"), userHandle=text(b"bob"))
    with pytest.raises(error, match=says):
        import_credentials(token, [good, foreign(**changes)])
    assert export_credentials(token).credentials == []


@pytest.mark.parametrize("given_one", [None, 5, "x", [[]], [None]])
def test_no_credentials_at_all(make: Callable[..., WatchedToken], given_one: object) -> None:
    with pytest.raises(MalformedFile, match="not a JSON object"):
        import_credentials(make(), given_one)
    with pytest.raises(MalformedFile, match="more than"):
        import_credentials(make(), [{}] * 10_001)


def test_nothing_is_lost(make: Callable[..., WatchedToken]) -> None:
    token = make()
    import_credentials(token, foreign())
    import_credentials(token, foreign())
    other_key = private(ec.derive_private_key(8, ec.SECP256R1()))
    for changes in ({"privateKey": other_key}, {"credentialId": text(b"other id")}):
        with pytest.raises(WouldOverwrite):
            import_credentials(token, foreign(**changes))
    twice = [foreign(credentialId=text(one), userHandle=text(b"bob")) for one in (b"x", b"y")]
    with pytest.raises(WouldOverwrite):
        import_credentials(token, twice)
    assert len(export_credentials(token).credentials) == 1


def test_a_full_token_takes_no_more(make: Callable[..., WatchedToken]) -> None:
    token = make(profile=replace(VirtualToken().profile, max_resident=2))
    wanted = [
        foreign(credentialId=text(bytes([n, 9])), userHandle=text(bytes([n]))) for n in range(3)
    ]
    with pytest.raises(StoreFull):
        import_credentials(token, wanted)
    import_credentials(token, wanted[:2])
    import_credentials(token, wanted[:2])
    import_credentials(token, wanted[2] | {"isResidentCredential": False})


def test_tokens_without_room_for_them(make: Callable[..., WatchedToken]) -> None:
    with pytest.raises(Unsupported, match="resident"):
        import_credentials(make(profile="u2f"), foreign())
    with pytest.raises(Unsupported, match="large blobs"):
        import_credentials(make(profile="ctap2.0"), foreign(largeBlob="AQ"))


@given(
    changes=st.dictionaries(
        st.sampled_from([*foreign(), "largeBlob", "backupState", "userName"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.none(), max_size=2),
    )
)
def test_whatever_comes_is_judged(changes: Json) -> None:
    with VirtualToken() as token:
        made: list[CredentialId] = []
        with suppress(FidokitError):
            made = import_credentials(token, foreign() | changes)
        assert len(export_credentials(token).credentials) == len(made)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_credentials(path, [foreign()])
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_credentials(path) == [foreign()]
    with pytest.raises(WouldOverwrite):
        write_credentials(path, [])
    for text_of_file in ("{", "[" * 100_000, "\ud800"):
        path.write_bytes(text_of_file.encode(errors="surrogatepass"))
        with pytest.raises(MalformedFile):
            read_credentials(path)
    assert json.loads(json.dumps(foreign())) == foreign()

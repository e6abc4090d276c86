"""Credentials of virtual tokens as WebDriver's virtual authenticators have them, in and out.

The form is "credential parameters" of WebAuthn Level 3, section 11.5: what Selenium's
`add_credential` and `get_credentials`, Chrome's DevTools and other tools take and give. Bytes are
base64url without padding, private keys PKCS #8 (RFC 5958).

    {"credentialId", "isResidentCredential", "rpId", "privateKey", "userHandle", "signCount",
     "largeBlob", "backupEligibility", "backupState", "userName", "userDisplayName"}

The form has no room for credProtect, credBlob and payments; what a token derives with hmac-secret
(prf) follows from the token, too, and is another on another token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import secrets
from binascii import crc32
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fidokit.client.blobs.array import pack, parse_array, read_entry, seal, serialize, unpack
from fidokit.errors import MalformedFile, StoreFull, Unsupported, WouldOverwrite
from fidokit.files import atomic
from fidokit.files.keyfile import read_bounded
from fidokit.types import CoseAlg, CredentialId, UserId
from fidokit.virtual.core.commands.make_credential import MAX_USER_ID, stored_name
from fidokit.virtual.core.context import CREDENTIAL_COUNTERS
from fidokit.virtual.core.keys.credentials import LONGEST_ID
from fidokit.virtual.core.ports import LargeBlob, Store, StoredCredential
from fidokit.virtual.store.schema import REPLAY

if TYPE_CHECKING:
    from fidokit.virtual.core.profile import Profile
    from fidokit.virtual.token import VirtualToken

MOST_CREDENTIALS: Final = 10_000
MOST_SIGNATURES: Final = 0xF000_0000
"""A count above it leaves too few signatures before the 32 bits are used up."""

LONGEST_FILE: Final = 64 << 20
LONGEST_RP_ID: Final = 253
_LONGEST_KEY: Final = 8192
_BLOB_KEY: Final = 32
_KINDS: Final = {bool: "true or false", int: "a whole number", str: "text"}
_LONGEST_TEXT: Final = 1 << 21
_HINT: Final = "see WebAuthn Level 3, section 11.5: credential parameters"

Json = dict[str, Any]


class CredentialExport(NamedTuple):
    """What leaves a token.

    Args:
        credentials: as WebDriver has them, oldest first.
        left_out: ids of those whose keys the form has no room for: RSA with PSS.
    """

    credentials: list[Json]
    left_out: list[CredentialId]


def export_credentials(token: VirtualToken) -> CredentialExport:
    """Every credential that a token keeps, with its private key.

    Credentials whose keys are in their ids alone (not resident, made by this token) are not among
    them: a token does not know of them.

    Args:
        token: plugged in; it is not changed but for its counter.

    Raises:
        Unsupported: it answers from a recording, and has no keys.
        TokenGone, StateUnusable: it was unplugged, or its file cannot be used.
    """
    _require_keys(token)
    with token.memory(changes=False) as store:
        kept = store.all_credentials()
        usable = [credential for credential in kept if credential.alg is not CoseAlg.PS256]
        credentials = [_exported(store, token.profile, credential) for credential in usable]
        return CredentialExport(credentials, [c.id for c in kept if c.alg is CoseAlg.PS256])


def import_credentials(token: VirtualToken, given: object) -> list[CredentialId]:
    """Put credentials onto a token, all or none; its power is cycled.

    A credential that is there already, by the same id and key, is put in its place again.

    Args:
        token: plugged in.
        given: credential parameters, as `json.loads` gives them: one, or a list of at most 10,000.

    Returns:
        Their ids, in order.

    Raises:
        MalformedFile: they are not credential parameters.
        Unsupported: the token has no keys of this kind, no large blobs, or no resident keys; or
            the credential can be backed up, which no security key's can.
        WouldOverwrite: another credential has its id, or its account at the relying party.
        StoreFull: they do not fit.
        TokenGone, StateUnusable: it was unplugged, or its file cannot be used.
    """
    _require_keys(token)
    listed = given if isinstance(given, list) else [given]
    if len(listed) > MOST_CREDENTIALS:
        raise MalformedFile(f"there are more than {MOST_CREDENTIALS} credentials", hint=_HINT)
    wanted = [_imported(token.profile, one) for one in listed]
    with token.memory(changes=True) as store:
        _require_place(store, token.profile, [one.credential for one in wanted])
        kept = _with_blobs(store, token.profile, wanted)
        for credential, one in zip(kept, wanted, strict=True):
            store.raise_counter(_counter(token.profile, credential), one.signatures)
            store.put(credential)
    return [one.credential.id for one in wanted]


def read_credentials(path: Path) -> object:
    """What a file of credential parameters has, not yet judged.

    Raises:
        MalformedFile: it is not JSON, or has more than 64 MiB.
        NoPermission, FidokitError: it cannot be read.
    """
    try:
        return json.loads(read_bounded(path, LONGEST_FILE))
    except (ValueError, RecursionError):
        raise MalformedFile(f"{path} is not valid JSON", hint=_HINT) from None


def write_credentials(path: Path, credentials: Sequence[Json]) -> None:
    """Write them as a JSON list (mode 0600).

    Raises:
        WouldOverwrite: something has this path.
        NoPermission, FidokitError: the disk refused.
    """
    if os.path.lexists(path):
        raise WouldOverwrite(f"{path} already exists", hint="choose another name")
    atomic.write_new(path, f"{json.dumps(credentials, indent=1)}\n".encode())


def _require_keys(token: VirtualToken) -> None:
    if token.profile.name == REPLAY:
        raise Unsupported("this token answers from a recording, and has no keys")


# --- out -----------------------------------------------------------------------------------------


def _exported(store: Store, profile: Profile, credential: StoredCredential) -> Json:
    made: Json = {
        "credentialId": base64url(credential.id),
        "isResidentCredential": credential.discoverable,
        "rpId": credential.rp_id,
        "privateKey": base64url(_pkcs8(credential)),
        "signCount": store.next_counter(_counter(profile, credential)),
        "backupEligibility": False,
        "backupState": False,
    }
    if credential.discoverable:
        names = {"userName": credential.user_name, "userDisplayName": credential.user_display_name}
        made["userHandle"] = base64url(credential.user_id)
        made |= {name: value for name, value in names.items() if value is not None}
    blob = _blob_of(store, credential)
    return made if blob is None else made | {"largeBlob": base64url(blob)}


def _pkcs8(credential: StoredCredential) -> bytes:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    from fidokit.virtual.core.keys.algorithms import EC_FORMS, SEED_FORMS, load_rsa

    secret = credential.secret
    if credential.alg in EC_FORMS:
        curve = EC_FORMS[credential.alg].curve
        key: Any = ec.derive_private_key(int.from_bytes(secret), curve)
    elif credential.alg in SEED_FORMS:
        key = SEED_FORMS[credential.alg].load(secret)
    else:
        key = load_rsa(secret)
    made: bytes = key.private_bytes(
        form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption()
    )
    return made


def _blob_of(store: Store, credential: StoredCredential) -> bytes | None:
    if credential.large_blob is not None:
        return unpack(credential.large_blob.data, credential.large_blob.original_size)
    if credential.large_blob_key is None:
        return None
    for raw in parse_array(store.load().large_blob_array).items:
        entry = read_entry(raw)
        if entry is not None and entry.fits(credential.large_blob_key):
            return entry.open(credential.large_blob_key)
    return None


def _counter(profile: Profile, credential: StoredCredential) -> int:
    """The number of the counter that it has; see `TokenContext.next_counter`."""
    own = profile.behavior.counter_per_credential
    return 1 + crc32(credential.id) % CREDENTIAL_COUNTERS if own else 0


# --- in ------------------------------------------------------------------------------------------


class _Imported(NamedTuple):
    credential: StoredCredential
    signatures: int
    blob: bytes | None


def _imported(profile: Profile, given: object) -> _Imported:
    if not isinstance(given, dict):
        raise MalformedFile("a credential is not a JSON object", hint=_HINT)
    resident = _member(given, "isResidentCredential", bool)
    rp_id = _member(given, "rpId", str)
    if not 1 <= len(rp_id.encode()) <= LONGEST_RP_ID:
        raise MalformedFile(f"rpId is not 1 to {LONGEST_RP_ID} bytes long", hint=_HINT)
    count = _member(given, "signCount", int)
    if not 0 <= count <= MOST_SIGNATURES:
        raise MalformedFile(f"signCount is not between 0 and {MOST_SIGNATURES}", hint=_HINT)
    _require_fits(profile, given, resident=resident)
    made = CredentialId(_octets(given, "credentialId", 1, LONGEST_ID))
    if len(made) > profile.max_credential_id_length:
        raise Unsupported(
            f"credentialId has {len(made)} bytes, and those of this token have at most "
            f"{profile.max_credential_id_length}"
        )
    alg, secret = _key(profile, _octets(given, "privateKey", 1, _LONGEST_KEY))
    credential = StoredCredential(
        id=made,
        rp_id=rp_id,
        rp_id_hash=hashlib.sha256(rp_id.encode()).digest(),
        user_id=_user(given, made, resident=resident),
        user_name=_name(given, "userName"),
        user_display_name=_name(given, "userDisplayName"),
        alg=alg,
        secret=secret,
        discoverable=resident,
    )
    blob = None if given.get("largeBlob") is None else _octets(given, "largeBlob", 0, _LONGEST_TEXT)
    return _Imported(credential, count, blob)


def _require_fits(profile: Profile, given: Mapping[str, Any], *, resident: bool) -> None:
    for name in ("backupEligibility", "backupState"):
        if given.get(name) is not None and _member(given, name, bool):
            raise Unsupported(
                f"{name} is true, and a security key's credentials cannot be backed up"
            )
    if resident and not profile.offers("rk"):
        raise Unsupported("this token has no resident keys")
    if given.get("largeBlob") is not None:
        keeps = profile.extends("largeBlob") or profile.extends("largeBlobKey")
        if not (resident and keeps):
            raise Unsupported("this token has no large blobs, or none for this credential")


def _user(given: Mapping[str, Any], made: CredentialId, *, resident: bool) -> UserId:
    if not resident:
        return UserId(hashlib.sha256(made).digest())
    return UserId(_octets(given, "userHandle", 1, MAX_USER_ID))


def _member(given: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    value = given.get(name)
    if type(value) is not kind:
        raise MalformedFile(
            f"the credential's {name} is missing, or not {_KINDS[kind]}", hint=_HINT
        )
    return value


def _name(given: Mapping[str, Any], name: str) -> str | None:
    return None if given.get(name) is None else stored_name(_member(given, name, str))


def _octets(given: Mapping[str, Any], name: str, least: int, most: int) -> bytes:
    text = _member(given, name, str)[: 2 * most]
    try:
        made = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise MalformedFile(f"the credential's {name} is not base64url", hint=_HINT) from None
    if not least <= len(made) <= most:
        raise MalformedFile(f"{name} is not {least} to {most} bytes long", hint=_HINT)
    return made


def base64url(data: bytes) -> str:
    """Bytes as WebDriver writes them."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _key(profile: Profile, encoded: bytes) -> tuple[CoseAlg, bytes]:
    """The algorithm that a token uses with a private key, and its secret."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    try:
        key = load_der_private_key(encoded, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise MalformedFile("privateKey is not PKCS #8 of a known kind", hint=_HINT) from None
    algorithms, secret = _secret(key)
    known = {*profile.algorithms, *([CoseAlg.ES256] if profile.has_u2f else [])}
    for algorithm in algorithms:
        if algorithm in known:
            return algorithm, secret
    raise Unsupported("this token has no keys of the kind that privateKey is")


def _secret(key: Any) -> tuple[Sequence[CoseAlg], bytes]:
    """The algorithms of a key, the usual one first, and what `algorithms` makes it of."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    from fidokit.virtual.core.keys.algorithms import (
        EC_FORMS,
        RSA_SECRET,
        SEED_FORMS,
        coordinate_size,
    )

    if isinstance(key, ec.EllipticCurvePrivateKey):
        value = key.private_numbers().private_value.to_bytes(coordinate_size(key.curve))
        return [a for a, form in EC_FORMS.items() if form.curve.name == key.curve.name], value
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        size = RSA_SECRET // 2
        fits = max(numbers.p, numbers.q).bit_length() <= 8 * size and key.key_size == 16 * size
        if not fits or numbers.public_numbers.e != 65537:
            return [], b""
        return [CoseAlg.RS256], numbers.p.to_bytes(size) + numbers.q.to_bytes(size)
    for form in SEED_FORMS.values():
        if type(form.load(bytes(form.size))) is type(key):
            same = [a for a, other in SEED_FORMS.items() if other.load == form.load]
            return same, key.private_bytes_raw()
    return [], b""


def _require_place(store: Store, profile: Profile, wanted: Sequence[StoredCredential]) -> None:
    """Let nothing be lost: not to one another either, and nothing that is on the token."""
    ids: dict[CredentialId, StoredCredential] = {}
    accounts: dict[tuple[bytes, UserId], StoredCredential] = {}
    new = 0
    for one in wanted:
        account = one.rp_id_hash, one.user_id
        found = store.find(one.id)
        taken = [found, store.of_user(*account), ids.get(one.id), accounts.get(account)]
        if any(other is not None and not _same(one, other) for other in taken):
            raise WouldOverwrite(
                f"another credential at {one.rp_id} has this id, or is of the same user",
                hint="delete it first, or take another token",
            )
        new += found is None and one.discoverable and one.id not in ids
        ids[one.id] = accounts[account] = one
    if new and store.count() + new > profile.max_resident:
        raise StoreFull(f"this token keeps {profile.max_resident} resident keys at most")


def _same(one: StoredCredential, other: StoredCredential) -> bool:
    return (one.id, one.rp_id, one.secret) == (other.id, other.rp_id, other.secret)


def _with_blobs(
    store: Store, profile: Profile, wanted: Sequence[_Imported]
) -> list[StoredCredential]:
    """The credentials with their large blobs: each has its own, or they share the token's array."""
    made = []
    state = store.load()
    items = parse_array(state.large_blob_array).items
    for credential, _, blob in wanted:
        old = store.find(credential.id)
        if old is not None and old.large_blob_key is not None:
            items = tuple(raw for raw in items if not _opens(raw, old.large_blob_key))
        if blob is None:
            made.append(credential)
        elif profile.extends("largeBlob"):
            kept = LargeBlob(pack(blob), len(blob))
            _require_room(len(kept.data), profile)
            made.append(replace(credential, large_blob_supported=True, large_blob=kept))
        else:
            key = secrets.token_bytes(_BLOB_KEY)
            items += (seal(blob, key, secrets.token_bytes).encode(),)
            made.append(replace(credential, large_blob_key=key))
    array = serialize(items)
    if array != state.large_blob_array:
        _require_room(len(array), profile)
        store.save(replace(state, large_blob_array=array))
    return made


def _opens(raw: bytes, key: bytes) -> bool:
    entry = read_entry(raw)
    return entry is not None and entry.fits(key)


def _require_room(size: int, profile: Profile) -> None:
    if size > profile.max_large_blob_array:
        raise StoreFull(
            f"the large blobs would take {size} bytes, and this token keeps "
            f"{profile.max_large_blob_array}"
        )

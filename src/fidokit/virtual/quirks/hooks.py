"""What single quirks do to requests and answers; `catalog` says which has which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from fidokit import cbor
from fidokit.types import CoseAlg, CtapStatus
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.profile import Profile
from fidokit.virtual.quirks.quirk import After, Asked, Members, Place, opened, rewriting

MANAGEMENT: Final = frozenset({0x0A, 0x41})
INFO: Final = Place(frozenset({0x04}))
RPS: Final = Place(MANAGEMENT, frozenset({0x02, 0x03}))
CREDENTIALS: Final = Place(MANAGEMENT, frozenset({0x04, 0x05}))
_FIRST_RP: Final = Place(MANAGEMENT, frozenset({0x02}))
_FIRST_CREDENTIAL: Final = Place(MANAGEMENT, frozenset({0x04}))
_DELETION: Final = Place(MANAGEMENT, frozenset({0x06}))
USER_UPDATE: Final = Place(MANAGEMENT, frozenset({0x07}))
_PIN_RETRIES: Final = Place(frozenset({0x06}), frozenset({0x01}), member=0x02)
_PIN_PROVED: Final = Place(frozenset({0x06}), frozenset({0x03, 0x05, 0x09}), member=0x02)
_SET_PIN: Final = Place(frozenset({0x06}), frozenset({0x03}), member=0x02)
_ASSERTIONS: Final = Place(frozenset({0x02, 0x08}))
_SERVED_WHEN_BLOCKED: Final = frozenset({0x04, 0x06, 0x07})
_RESET: Final = 0x07
_BEFORE_RESET: Final = frozenset({0x01, 0x04, 0x07, 0x0B})

_OPTIONS: Final = 0x04
_GET_ASSERTION: Final = 0x02
_LOCKING_MISSES: Final = 3
_PIN_PARAM: Final = 0x06
_MADE_UP: Final = {0x01: {"id": b"\0\1" * 8, "type": "public-key"}, 0x03: b"\x0b" * 64}
_ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}".encode()


# --- getInfo -------------------------------------------------------------------------------------


def unsorted_options(asked: Asked, answer: bytes) -> bytes:
    """Options in the reverse of canonical order."""
    members = opened(answer) if asked.is_for(INFO) else None
    if members is None:
        return answer
    body = b"".join(
        cbor.encode(number) + (_reversed(value) if number == _OPTIONS else cbor.encode(value))
        for number, value in members.items()
    )
    return answer[:1] + _map_head(len(members)) + body


def _reversed(options: Members) -> bytes:
    items = [cbor.encode(name) + cbor.encode(value) for name, value in sorted(options.items())]
    by_size = sorted(items, key=len, reverse=True)
    return _map_head(len(items)) + b"".join(by_size)


def _map_head(count: int) -> bytes:
    return bytes([0xA0 | count]) if count < 24 else bytes([0xB8, count])


def without(number: int) -> After:
    """getInfo lacks a member."""
    return rewriting(INFO, lambda _asked, members: members.pop(number, None))


def with_option(name: str, value: bool) -> After:
    """getInfo shows an option so, whatever is true."""

    def change(_asked: Asked, members: Members) -> None:
        members[_OPTIONS] = {**members.get(_OPTIONS, {}), name: value}

    return rewriting(INFO, change)


def _add_unknown(_asked: Asked, members: Members) -> None:
    members[0x21] = 0xFFFF_FFFF_FFFF_FFFF
    members[0x03E4_3F56_B342_85E2] = True


unknown_members: Final = rewriting(INFO, _add_unknown)


def _list_unheard_of(_asked: Asked, members: Members) -> None:
    if 0x0A in members:
        members[0x0A] = [*members[0x0A], {"alg": -48, "type": "public-key"}]


minus_48_listed: Final = rewriting(INFO, _list_unheard_of)


def without_algorithms(*gone: CoseAlg) -> Callable[[Profile], Profile]:
    """A model that has not these algorithms; one always stays."""

    def change(profile: Profile) -> Profile:
        kept = tuple(alg for alg in profile.algorithms if alg not in gone)
        return replace(profile, algorithms=kept or (CoseAlg.ES256,))

    return change


def pin_turns_on_always_uv(asked: Asked, answer: bytes) -> bytes:
    """alwaysUv comes on with the first PIN; a model without the option has none to show."""
    known = "alwaysUv" in asked.token.profile.options
    if answer == b"\0" and known and asked.is_for(_SET_PIN):
        asked.token.save(always_uv=True)
    return answer


def _locked(asked: Asked) -> bool:
    """Whether a PIN is set, and none was proved since power came."""
    return asked.token.pin_set and "pin proved" not in asked.memory


def made_up_until_pin(asked: Asked, answer: bytes) -> bytes:
    """Assertions for an allow list without proof are made up, and alwaysUv is shown, until then."""
    if answer[:1] == b"\0" and asked.is_for(_PIN_PROVED):
        asked.memory["pin proved"] = 1
    if not _locked(asked):
        return answer
    if asked.command == _GET_ASSERTION and 0x03 in asked.members:
        return answer if _PIN_PARAM in asked.members else _made_up(asked, answer)
    return _always_uv_shown(asked, answer)


_always_uv_shown: Final = with_option("alwaysUv", value=True)
_made_up: Final = rewriting(
    Place(frozenset({_GET_ASSERTION})), lambda _asked, members: members.update(_MADE_UP)
)


# --- PINs and their tokens -----------------------------------------------------------------------


def _stay_locked(asked: Asked, members: Members) -> None:
    spent = asked.token.profile.pin_attempts - members[0x03]
    if asked.token.pin_set and spent >= _LOCKING_MISSES:
        members[0x04] = True


lasting_power_cycle_state: Final = rewriting(_PIN_RETRIES, _stay_locked)


def deletion_ends_token(asked: Asked, answer: bytes) -> bytes:
    """The PIN token dies with each deletion."""
    if answer[:1] == b"\0" and asked.is_for(_DELETION):
        asked.token.tokens.revoke()
    return answer


def listing_ends_token(asked: Asked) -> CtapStatus | None:
    """The PIN token dies once, before the second relying party's credentials are listed."""
    if asked.is_for(_FIRST_CREDENTIAL):
        begun = asked.memory["listings"] = asked.memory.get("listings", 0) + 1
        if begun == 2:
            asked.token.tokens.revoke()
    return None


def refuse_when_blocked(asked: Asked) -> CtapStatus | None:
    """No operation at all once no PIN try is left."""
    if asked.token.state.pin_retries or asked.command in _SERVED_WHEN_BLOCKED:
        return None
    return CtapStatus.PIN_BLOCKED


def reset_comes_first(asked: Asked) -> CtapStatus | None:
    """No reset once another command came; getInfo and those that ask for a touch do not count."""
    if asked.command not in _BEFORE_RESET:
        asked.memory["spoke"] = 1
    late = asked.command == _RESET and "spoke" in asked.memory
    return CtapStatus.NOT_ALLOWED if late else None


def pin_blocked(token: TokenContext) -> bool:
    """Whether no PIN try is left."""
    return token.state.pin_retries == 0


def six_digits(profile: Profile) -> Profile:
    """PINs of six digits or more."""
    return replace(profile, min_pin_length=max(6, profile.min_pin_length))


# --- what is listed ------------------------------------------------------------------------------


def empty_list_is_ok(asked: Asked, answer: bytes) -> bytes:
    """No relying parties: OK, and nothing behind it."""
    nothing = answer == bytes([CtapStatus.NO_CREDENTIALS])
    return b"\0" if nothing and asked.is_for(_FIRST_RP) else answer


def cutting_rp_ids(cut: Callable[[bytes], bytes]) -> After:
    """Relying parties are listed under an id that was cut when it was stored."""

    def change(_asked: Asked, members: Members) -> None:
        rp_id: str = members[0x03]["id"]
        members[0x03] = {"id": cut(rp_id.encode()).decode(errors="ignore")}

    return rewriting(RPS, change)


def cut_at_32(rp_id: bytes) -> bytes:
    """The scheme, an ellipsis, and as much of the end as fits (CTAP 2.3 section 6.8.7)."""
    if len(rp_id) <= 32:
        return rp_id
    scheme = rp_id[: rp_id.find(b":") + 1][:32]
    room = 32 - len(scheme) - len(_ELLIPSIS)
    return scheme if room < 0 else scheme + _ELLIPSIS + rp_id[len(rp_id) - room :]


def cut_at_48(rp_id: bytes) -> bytes:
    """The first 48 bytes."""
    return rp_id[:48]


unlisted_large_blob_key: Final = rewriting(
    CREDENTIALS, lambda _asked, members: members.pop(0x0B, None)
)


def _forget_protection(_asked: Asked, members: Members) -> None:
    if members[0x08].get(3) == CoseAlg.EDDSA:
        members[0x0A] = 1


untrue_protection: Final = rewriting(CREDENTIALS, _forget_protection)


def changing_display_names(change: Callable[[str], str | None]) -> After:
    """Users come back with another display name, in lists and in assertions."""

    def rename(number: int) -> Callable[[Asked, Members], None]:
        def renamed(_asked: Asked, members: Members) -> None:
            user = dict(members.get(number, {}))
            if "displayName" in user:
                name = change(user.pop("displayName"))
                members[number] = user if name is None else {**user, "displayName": name}

        return renamed

    hooks = (rewriting(CREDENTIALS, rename(0x06)), rewriting(_ASSERTIONS, rename(0x04)))

    def after(asked: Asked, answer: bytes) -> bytes:
        for hook in hooks:
            answer = hook(asked, answer)
        return answer

    return after


def up_to_32_bytes(name: str) -> str:
    """A name of 32 bytes loses the last, a longer one everything."""
    return "" if len(name.encode()) > 32 else name.encode()[:31].decode(errors="ignore")


def dropped(_name: str) -> None:
    """No name at all."""

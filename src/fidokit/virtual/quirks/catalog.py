"""The quirks there are, and the firmwares that show them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from fidokit.types import CoseAlg, CtapStatus
from fidokit.virtual.core.profile import InitWhenBusy
from fidokit.virtual.quirks import hooks
from fidokit.virtual.quirks.certificate import with_serial_zero
from fidokit.virtual.quirks.quirk import Quirk, refusing

FIRMWARES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "canokey": "CanoKey core 3.0.x",
        "fido2applet": "FIDO2Applet (Java Card)",
        "gotrust-idem": "GoTrust Idem Key",
        "nitrokey-3": "Nitrokey 3 1.7.0",
        "nitrokey-fido2": "Nitrokey FIDO2 2.2.0 and 2.4.1",
        "opensk": "OpenSK, development branch",
        "pico-fido": "Pico FIDO 8.0",
        "solo1": "Solo 1 4.1.5",
        "token2": "Token2 with a PIN policy",
        "u2f-with-cbor-bit": "U2F keys that claim CBOR",
        "yubikey5-early": "YubiKey 5 before 5.2.3 (inferred)",
    }
)
"""Presets, each all quirks of a firmware; to what the firmware is."""

_FOREVER: Final = 1 << 62
_TOGGLE_ALWAYS_UV: Final = 0x02
_ANSWERS_OF_INFO: Final = frozenset(
    {
        "algorithms-untold",
        "no-remaining-count",
        "sm2-as-minus-48",
        "unknown-info-members",
        "unsorted-options",
        "up-shown-false",
    }
)


def _sets(**changes: Any) -> Mapping[str, Any]:
    return MappingProxyType({name.replace("__", "."): value for name, value in changes.items()})


_ALL: Final = (
    # --- getInfo
    Quirk(
        "algorithms-untold",
        "lists no algorithms in getInfo",
        ("nitrokey-fido2", "yubikey5-early"),
        "6.4 makes member 0A optional",
        after=hooks.without(0x0A),
        excludes=frozenset({"sm2-as-minus-48"}),
    ),
    Quirk(
        "no-ed25519",
        "makes no Ed25519 keys",
        ("nitrokey-fido2", "yubikey5-early"),
        "6.1.2 leaves the algorithms to the model",
        profile=hooks.without_algorithms(CoseAlg.EDDSA, CoseAlg.ED25519),
    ),
    Quirk(
        "sm2-as-minus-48",
        "lists algorithm -48 and means SM2; makes no such key",
        ("canokey",),
        "COSE assigns -48 to ML-DSA-44",
        profile=hooks.without_algorithms(CoseAlg.ML_DSA_44),
        after=hooks.minus_48_listed,
    ),
    Quirk(
        "no-remaining-count",
        "does not say how many resident keys still fit",
        ("canokey", "pico-fido"),
        "6.4 makes member 14 optional",
        after=hooks.without(0x14),
    ),
    Quirk(
        "unknown-info-members",
        "has getInfo members that nobody knows, with numbers and values of 64 bits",
        ("pico-fido",),
        "6.4 lets later versions add members",
        after=hooks.unknown_members,
    ),
    Quirk(
        "up-shown-false",
        "shows option up as false, and asks for touches",
        ("fido2applet",),
        "6.4: up false means that the token cannot test for a touch",
        after=hooks.with_option("up", value=False),
    ),
    Quirk(
        "info-refused",
        "claims CBOR in CTAPHID_INIT, and refuses getInfo",
        ("u2f-with-cbor-bit",),
        "11.2.9.1.3: the bit says that CTAPHID_CBOR is implemented",
        before=refusing(hooks.INFO, CtapStatus.INVALID_COMMAND),
        excludes=_ANSWERS_OF_INFO,
    ),
    # --- PINs and their tokens
    Quirk(
        "lasting-power-cycle-state",
        "shows powerCycleState after a replug, until a right PIN",
        ("pico-fido",),
        "6.5.5.2: true only while a power cycle is needed",
        after=hooks.lasting_power_cycle_state,
    ),
    Quirk(
        "deletion-ends-pin-token",
        "forgets the PIN token with each deletion",
        ("fido2applet",),
        "6.5.2.1: a token lives until its time, a new one or a power cycle ends it",
        after=hooks.deletion_ends_token,
    ),
    Quirk(
        "listing-ends-pin-token",
        "forgets the PIN token in the middle of a list",
        ("nitrokey-3",),
        "6.5.2.1, as deletion-ends-pin-token",
        before=hooks.listing_ends_token,
    ),
    Quirk(
        "digit-pins",
        "accepts PINs of six or more digits only",
        ("token2",),
        "6.5.5.5 lets the model refuse PINs by a policy of its own",
        behavior=_sets(digits_only=True),
        profile=hooks.six_digits,
    ),
    Quirk(
        "pin-block-blocks-all",
        "refuses everything once the PIN is blocked: U2F, and keys that need no PIN",
        ("solo1",),
        "6.5.5.7: a blocked PIN gives no more PIN tokens, and that is all",
        before=hooks.refuse_when_blocked,
        u2f_refused=hooks.pin_blocked,
    ),
    # --- user verification
    Quirk(
        "pin-turns-on-always-uv",
        "switches alwaysUv on with the PIN, and U2F off",
        ("pico-fido",),
        "7.2: alwaysUv changes by authenticatorConfig and reset",
        after=hooks.pin_turns_on_always_uv,
    ),
    Quirk(
        "always-uv-not-enforced",
        "shows alwaysUv, and signs without verification",
        ("pico-fido",),
        "7.2.1",
        behavior=_sets(always_uv_enforced=False),
    ),
    Quirk(
        "always-uv-toggle-ignored",
        "answers OK when alwaysUv is switched, and changes nothing",
        ("pico-fido",),
        "6.11.2",
        behavior=_sets(settings_ignored=frozenset({_TOGGLE_ALWAYS_UV})),
    ),
    Quirk(
        "uv-flag-under-always-uv",
        "sets the flag UV in every assertion under alwaysUv",
        (),
        "6.2.2: the flag says that this user was verified",
        behavior=_sets(uv_flag_under_always_uv=True),
    ),
    Quirk(
        "made-up-assertion",
        "answers OK and a made-up signature, with alwaysUv shown, until the PIN is proved after "
        "power came",
        ("pico-fido",),
        "7.2.1: PUAT_REQUIRED",
        after=hooks.made_up_until_pin,
    ),
    # --- touches
    Quirk(
        "early-touch-counts",
        "takes a touch of the last two seconds for the answer to a request",
        ("solo1",),
        "6.1.2, 6.2.2: presence is asked for after the request came",
        behavior=_sets(touch_lasts_ms=2000),
    ),
    Quirk(
        "touch-notice-when-silent",
        "asks for a touch by keep-alive if none is needed",
        ("nitrokey-fido2", "solo1"),
        "11.2.9.1.7: status 2 says that the token waits for a touch",
        behavior=_sets(notices_silent_requests=True),
    ),
    Quirk(
        "touch-before-no-credentials",
        "waits for a touch before it says that it has no key",
        ("pico-fido",),
        "6.2.2 step 7 answers at once; 2.0 left it open",
        behavior=_sets(touch_before_no_credentials=True),
    ),
    Quirk(
        "timeout-is-denied",
        "answers OPERATION_DENIED where nobody touches in time",
        ("canokey",),
        "6.1.2 and 6.2.2 since 2.1; 2.0 had USER_ACTION_TIMEOUT",
        behavior=_sets(touch_timeout=CtapStatus.OPERATION_DENIED),
    ),
    Quirk(
        "timeout-is-timeout",
        "answers USER_ACTION_TIMEOUT where nobody touches in time",
        ("opensk",),
        "6.1.2 and 6.2.2 have OPERATION_DENIED since 2.1",
        behavior=_sets(touch_timeout=CtapStatus.USER_ACTION_TIMEOUT),
    ),
    # --- what is on the token
    Quirk(
        "rp-ids-cut-at-32",
        "lists application names cut at 32 bytes, with an ellipsis",
        ("canokey",),
        "6.8.7 allows it",
        after=hooks.cutting_rp_ids(hooks.cut_at_32),
        excludes=frozenset({"rp-ids-cut-at-48"}),
    ),
    Quirk(
        "rp-ids-cut-at-48",
        "lists application names cut at 48 bytes",
        ("nitrokey-fido2", "solo1"),
        "6.8.7 allows it, but wants an ellipsis",
        after=hooks.cutting_rp_ids(hooks.cut_at_48),
    ),
    Quirk(
        "empty-list-is-ok",
        "answers OK and nothing else where no resident keys are",
        ("nitrokey-fido2", "solo1"),
        "6.8.3: NO_CREDENTIALS",
        after=hooks.empty_list_is_ok,
    ),
    Quirk(
        "no-user-update",
        "refuses updateUserInformation although it lists credMgmt",
        ("solo1",),
        "6.8: credMgmt stands for all subcommands",
        before=refusing(hooks.USER_UPDATE, CtapStatus.INVALID_SUBCOMMAND),
    ),
    Quirk(
        "long-display-names-lost",
        "keeps no display name of more than 32 bytes",
        ("nitrokey-fido2", "solo1"),
        "6.1.2: at least 64 bytes",
        after=hooks.changing_display_names(hooks.up_to_32_bytes),
        excludes=frozenset({"display-name-dropped"}),
    ),
    Quirk(
        "display-name-dropped",
        "keeps no display names",
        ("fido2applet",),
        "6.1.2: at least 64 bytes",
        after=hooks.changing_display_names(hooks.dropped),
    ),
    Quirk(
        "deleted-keys-sign",
        "signs with a deleted resident key for whoever has its file",
        ("nitrokey-fido2", "solo1"),
        "6.8.5: the credential is deleted",
        behavior=_sets(deleted_keys_sign=True),
    ),
    Quirk(
        "cred-protect-untrue",
        "lists Ed25519 keys with credProtect 1 whatever they have",
        ("solo1",),
        "6.8.4: member 0A is the level",
        after=hooks.untrue_protection,
    ),
    Quirk(
        "large-blob-key-unlisted",
        "gives a largeBlobKey when a key is made or used, and none in lists",
        ("fido2applet",),
        "6.8.4: member 0B",
        after=hooks.unlisted_large_blob_key,
    ),
    Quirk(
        "certificate-serial-zero",
        "attests by a certificate with the serial number 0",
        ("nitrokey-fido2", "solo1"),
        "RFC 5280 section 4.1.2.2: a positive number",
        made=with_serial_zero,
    ),
    # --- the plug
    Quirk(
        "reset-any-time",
        "can be reset at any time after it was plugged in",
        ("solo1",),
        "6.6: within ten seconds",
        behavior=_sets(reset_window_ms=_FOREVER),
    ),
    Quirk(
        "reset-comes-first",
        "is not reset once another command came since it was plugged in",
        ("opensk",),
        "6.6 counts seconds alone",
        before=hooks.reset_comes_first,
        excludes=frozenset({"reset-any-time"}),
    ),
    Quirk(
        "init-is-power-up",
        "takes the opening of a channel for a power cycle",
        ("pico-fido",),
        "11.2.9.1.3: INIT changes the state of its channel alone",
        behavior=_sets(channel_is_power_up=True),
    ),
    Quirk(
        "init-refused-when-busy",
        "refuses INIT with CHANNEL_BUSY, on the broadcast channel, while another program uses it",
        ("canokey",),
        "11.2.5.1; our own profiles do the same",
        behavior=_sets(hid__init_when_busy=InitWhenBusy.REFUSED),
    ),
    Quirk(
        "init-unheard-when-busy",
        "does not answer INIT while another program uses it",
        ("opensk",),
        "11.2.5.1: CHANNEL_BUSY",
        behavior=_sets(hid__init_when_busy=InitWhenBusy.UNHEARD),
    ),
    Quirk(
        "statuses-in-error-frames",
        "sends CTAP2 statuses as CTAPHID_ERROR",
        ("pico-fido",),
        "11.2.9.1.2: a status is the reply of CTAPHID_CBOR",
        behavior=_sets(hid__errors_carry_statuses=True),
    ),
    Quirk(
        "statuses-in-status-words",
        "answers with status word 64xx and no data, on a reader, where the CTAP2 status is xx",
        ("pico-fido",),
        "11.3.5: a status is data, with 9000",
        behavior=_sets(hid__status_words_carry_statuses=True),
    ),
    Quirk(
        "no-wink",
        "does not wink",
        ("canokey",),
        "11.2.9.2.1 makes it optional",
        behavior=_sets(has_wink=False),
    ),
    Quirk(
        "missing-parameter-inside",
        "answers MISSING_PARAMETER where a map inside lacks a member",
        ("canokey", "opensk", "solo1"),
        "8 wants CBOR_UNEXPECTED_TYPE since 2.1",
        behavior=_sets(lacking_inner_member=CtapStatus.MISSING_PARAMETER),
    ),
    # Last: what comes behind it could not read the answer.
    Quirk(
        "unsorted-options",
        "lists getInfo's options out of canonical order",
        ("gotrust-idem", "nitrokey-fido2"),
        "8: keys are sorted",
        after=hooks.unsorted_options,
    ),
)

QUIRKS: Final[Mapping[str, Quirk]] = MappingProxyType({quirk.name: quirk for quirk in _ALL})
"""Every quirk by name, in the order in which they change answers."""

PRESETS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        firmware: tuple(quirk.name for quirk in _ALL if firmware in quirk.shown_by)
        for firmware in FIRMWARES
    }
)
"""The names of each firmware's quirks."""

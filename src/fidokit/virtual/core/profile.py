"""What a model of authenticator offers: everything that differs between models is data here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from types import MappingProxyType

from fidokit.errors import UsageError
from fidokit.types import Aaguid, CoseAlg, CtapStatus

TOKEN_LIFETIME_MS = 600_000
USB_USAGE_LIMIT_MS = 30_000
NFC_USAGE_LIMIT_MS = 19_800
_EXTENSION_FIRST = 0xE0
_FINGERPRINT_INTERNAL = 0x02

CONFIGURABLE = frozenset(
    {"clientPin", "uv", "alwaysUv", "ep", "bioEnroll", "userVerificationMgmtPreview"}
)
"""Options that are known with the value false while their feature waits to be set up."""

_NO_SELECTION = frozenset({"FIDO_2_0", "FIDO_2_1_PRE"})

_INFO_2_0 = frozenset(range(0x01, 0x07))
_INFO_2_1 = frozenset(range(0x01, 0x15)) - {0x13}
_INFO_2_3 = frozenset(range(0x01, 0x20))


class InitWhenBusy(Enum):
    """What CTAPHID_INIT of another channel gets while the token works (HID-14)."""

    REFUSED = auto()
    """ERROR CHANNEL_BUSY, on the channel that it came on."""
    ANSWERED = auto()
    UNHEARD = auto()
    """Nothing at all."""


@dataclass(frozen=True, slots=True)
class HidManners:
    """Where tokens disagree in CTAPHID, and on readers; defaults are those of the text.

    Args:
        init_when_busy: what another channel's INIT gets.
        errors_carry_statuses: a CTAP2 status other than OK comes in an ERROR message.
        busy_before_unknown: while another channel is busy or holds the lock, a channel that was
            never given out is told CHANNEL_BUSY rather than INVALID_CHANNEL (HID-17).
        init_on_unknown: INIT on a channel that was never given out is answered there, and the
            channel is valid from then on (HID-17).
        status_words_carry_statuses: on a reader, a CTAP2 status other than OK comes as status word
            64xx, without data (NFC-09).
    """

    init_when_busy: InitWhenBusy = InitWhenBusy.REFUSED
    errors_carry_statuses: bool = False
    busy_before_unknown: bool = False
    init_on_unknown: bool = False
    status_words_carry_statuses: bool = False


TEXTBOOK_MANNERS = HidManners()


@dataclass(frozen=True, slots=True)
class Behavior:
    """Where specification versions or shipped tokens disagree; defaults are CTAP 2.3's.

    Args:
        touch_timeout: status of makeCredential and getAssertion that nobody touched (MC-28).
        any_up_option_refused: [2.0] makeCredential refuses option up even when true (MC-17).
        unprotected_param: status for a pinUvAuthParam while neither PIN nor UV is configured, or
            None to go on without verification (MC-22).
        bad_salt_auth: status for a wrong hmac-secret saltAuth, E0 in 2.0 (HMS-05).
        rk_in_assertion: status for option rk in getAssertion (GA-06).
        token_usage_ms: first use of a pinUvAuthToken must come this soon (TOK-01), and its user
            presence counts for as long (TOK-03); None for the 2.0 pinToken that never expires.
        token_nfc_usage_ms: the same for tokens that were issued over NFC.
        token_lifetime_ms: a token used in time lives this long (TOK-02).
        token_has_permissions: [2.1] tokens carry permissions and are spent by user presence; a
            2.0 pinToken may do everything until power is lost.
        counter_per_credential: signature counters are not one for all (GA-17).
        reset_window_ms: reset is accepted this long after power-up (RST-01).
        always_uv_fixed: alwaysUv, once on, stays on until a reset (CFG-05).
        u2f_under_always_uv: status word for U2F under alwaysUv without built-in verification
            (U2F-16).
        wrong_reset_transport: status for a reset over a transport that has none (RST-06).
        upload_is_kept: other commands may come between the fragments of a large blob array (LB-09).
        tap_is_touch: being laid on a reader counts as one touch; without it U2F is refused there
            until the token is touched, and CTAP2 waits (NFC-15).
        touch_before_no_credentials: NO_CREDENTIALS waits for a touch (GA-11).
        always_uv_enforced: alwaysUv is not a mere display.
        uv_flag_under_always_uv: assertions under alwaysUv have the flag UV whoever was verified.
        settings_ignored: subcommands of authenticatorConfig that are answered OK and do nothing.
        digits_only: a new PIN is of digits alone (PIN-14).
        touch_lasts_ms: how long a touch counts that nobody waited for; None for good.
        notices_silent_requests: keep-alives ask for a touch that getAssertion with up false does
            not take.
        channel_is_power_up: opening a channel has the effect of unplugging the token.
        has_wink: whether CTAPHID_WINK is served (HID-22).
        hid: see `HidManners`.
        lacking_inner_member: status for a descriptor, algorithm or entity without a member that it
            must have; MISSING_PARAMETER in 2.0 (MC-05, MC-07, MC-11, GA-03, CBR-09).
        odd_unknown_option: status for an option that is neither known nor a bool; None to ignore
            it, as any unknown one (MC-16).
        nesting: levels of arrays and maps that a request may have, what is ignored included
            (CBR-06).
        retries_need_protocol: [2.0] getRetries without pinProtocol is refused (PIN-05).
        retries_without_pin: status of getPINRetries while no PIN is set; None to answer (PIN-05).
        one_pin_token: [2.0] one pinToken for as long as the power lasts (PIN-19, TOK-07).
        short_padded_pin: status for a new PIN whose padded form has not 64 bytes (PIN-12).
        unknown_setting: status for a subcommand of authenticatorConfig that is not there (CFG-01).
        blob_for_wrapped: credBlob of a credential that is not resident is answered false; without
            it there is no answer (CBL-01).
        false_min_pin_length: status for the extension minPinLength with false; None to ignore it
            (MPL-01).
        listings_interleave: a list of relying parties goes on after lists of credentials that were
            begun in between (CM-09).
        deleted_keys_sign: the id of a resident credential holds its key as well, so that it goes on
            signing for whoever has the id after it was deleted (CM-10).
    """

    touch_timeout: CtapStatus = CtapStatus.OPERATION_DENIED
    any_up_option_refused: bool = False
    unprotected_param: CtapStatus | None = None
    bad_salt_auth: int = CtapStatus.PIN_AUTH_INVALID
    rk_in_assertion: CtapStatus = CtapStatus.UNSUPPORTED_OPTION
    token_usage_ms: int | None = USB_USAGE_LIMIT_MS
    token_nfc_usage_ms: int = NFC_USAGE_LIMIT_MS
    token_lifetime_ms: int = TOKEN_LIFETIME_MS
    token_has_permissions: bool = True
    counter_per_credential: bool = False
    reset_window_ms: int = 10_000
    always_uv_fixed: bool = False
    u2f_under_always_uv: int = 0x6986
    wrong_reset_transport: CtapStatus = CtapStatus.OPERATION_DENIED
    upload_is_kept: bool = False
    tap_is_touch: bool = True
    touch_before_no_credentials: bool = False
    always_uv_enforced: bool = True
    uv_flag_under_always_uv: bool = False
    settings_ignored: frozenset[int] = frozenset()
    digits_only: bool = False
    touch_lasts_ms: int | None = None
    notices_silent_requests: bool = False
    channel_is_power_up: bool = False
    has_wink: bool = True
    hid: HidManners = TEXTBOOK_MANNERS
    lacking_inner_member: CtapStatus = CtapStatus.CBOR_UNEXPECTED_TYPE
    odd_unknown_option: CtapStatus | None = None
    nesting: int = 4
    retries_need_protocol: bool = False
    retries_without_pin: CtapStatus | None = None
    one_pin_token: bool = False
    short_padded_pin: CtapStatus = CtapStatus.INVALID_PARAMETER
    unknown_setting: CtapStatus = CtapStatus.INVALID_SUBCOMMAND
    blob_for_wrapped: bool = True
    false_min_pin_length: CtapStatus | None = None
    listings_interleave: bool = False
    deleted_keys_sign: bool = False


@dataclass(frozen=True, slots=True)
class FingerSensor:
    """The sensor of models that enroll fingers.

    Args:
        kind: 1 to touch, 2 to swipe.
        samples: good ones that make a template.
        max_name: of a template's name, in bytes of UTF-8.
        max_templates: how many fingers fit.
    """

    kind: int = 1
    samples: int = 5
    max_name: int = 64
    max_templates: int = 5


@dataclass(frozen=True, slots=True)
class Profile:
    """One model. A feature exists exactly when its option, extension or algorithm is listed.

    Args:
        name: what `profile()` finds it by.
        aaguid: 16 bytes.
        versions: for getInfo; "U2F_V2" also switches CTAP1 on, and without any other CTAP2 is off.
        options: known option ids with the value a fresh token shows; the engine overlays what
            the state decides (clientPin, uv, alwaysUv, makeCredUvNotRqd).
        pin_protocols: 1 and 2 in order of preference.
        algorithms: what makeCredential may choose, in order of preference.
        extensions: identifiers of supported extensions, in the order getInfo lists them.
        transports: as getInfo names them.
        attestation_formats: what attestationFormatsPreference may ask for; the first is default.
        self_attestation: packed attestation by the credential's own key in place of a batch key.
        info_members: which getInfo members this generation of tokens knows.
        max_msg_size: of requests and replies in bytes.
        max_credentials_in_list: longest allowList and excludeList.
        max_credential_id_length: in bytes; a non-resident credential whose sealed id would be
            longer is kept in the token.
        max_resident: capacity for resident credentials.
        min_pin_length: preconfigured minimum in code points.
        max_pin_length: in code points; the padded form bounds it to 63 bytes anyway.
        max_min_pin_rp_ids: how many RP ids may be told the minimum PIN length.
        max_large_blob_array: capacity for largeBlobs in bytes, at least 1024; with the extension
            largeBlob in its place, the most that one credential may keep.
        max_cred_blob: longest credBlob in bytes, at least 32.
        pin_complexity: whether a fresh token judges how simple a new PIN is; None if the model
            knows no such policy.
        pin_complexity_url: where the policy is explained, or None.
        pin_attempts: tries of a fresh token.
        uv_attempts: attempts at built-in verification of a fresh token.
        firmware_version: for getInfo.
        behavior: see `Behavior`.
        fingerprint: the sensor behind bioEnroll and userVerificationMgmtPreview.
        uv_modality: how built-in verification works, bits of the FIDO registry's USER_VERIFY.
        preferred_uv_attempts: how often platforms shall try it before they ask for a PIN.
        certifications: for getInfo, id to level.
        vendor_config_commands: ids that authenticatorConfig FF knows.
        config_commands: subcommands of authenticatorConfig that the model lists, which may be fewer
            than its features offer; None for all of those.
        long_touch_for_reset: whether a fresh token wants it; None if there is no such thing.
        transports_for_reset: those that reset is served over; empty for all.
        enterprise_rp_ids: that vendor-facilitated enterprise attestation is given to.
    """

    name: str
    aaguid: Aaguid
    versions: tuple[str, ...]
    options: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    pin_protocols: tuple[int, ...] = ()
    algorithms: tuple[CoseAlg, ...] = (CoseAlg.ES256,)
    extensions: tuple[str, ...] = ()
    transports: tuple[str, ...] = ("usb",)
    attestation_formats: tuple[str, ...] = ("packed",)
    self_attestation: bool = False
    info_members: frozenset[int] = _INFO_2_3
    max_msg_size: int = 7609
    max_credentials_in_list: int = 64
    max_credential_id_length: int = 128
    max_resident: int = 100
    min_pin_length: int = 4
    max_pin_length: int = 63
    max_min_pin_rp_ids: int = 8
    max_large_blob_array: int = 4096
    max_cred_blob: int = 32
    pin_complexity: bool | None = None
    pin_complexity_url: bytes | None = None
    pin_attempts: int = 8
    uv_attempts: int = 8
    firmware_version: int = 0x010000
    behavior: Behavior = Behavior()
    fingerprint: FingerSensor = FingerSensor()
    uv_modality: int = _FINGERPRINT_INTERNAL
    preferred_uv_attempts: int = 3
    certifications: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    vendor_config_commands: tuple[int, ...] = ()
    config_commands: tuple[int, ...] | None = None
    long_touch_for_reset: bool | None = None
    transports_for_reset: tuple[str, ...] = ()
    enterprise_rp_ids: tuple[str, ...] = ()

    @property
    def has_ctap2(self) -> bool:
        """Whether CBOR commands are served at all."""
        return any(version.startswith("FIDO_2") for version in self.versions)

    @property
    def has_u2f(self) -> bool:
        """Whether U2F raw messages are served."""
        return "U2F_V2" in self.versions

    @property
    def has_selection(self) -> bool:
        """Whether authenticatorSelection is served; it came with CTAP 2.1."""
        return any(v.startswith("FIDO_2") and v not in _NO_SELECTION for v in self.versions)

    @property
    def enrolls_fingers(self) -> bool:
        """Whether templates decide that built-in verification is configured."""
        return self.offers("bioEnroll") or self.offers("userVerificationMgmtPreview")

    @property
    def attests_assertions(self) -> bool:
        """Whether getAssertion can be asked for an attestation; it came with CTAP 2.3."""
        return "FIDO_2_3" in self.versions

    def offers(self, option: str) -> bool:
        """Whether the feature behind an option exists: its value is true, or false means no more
        than "not configured yet"."""
        return self.options.get(option, False) or (
            option in self.options and option in CONFIGURABLE
        )

    def extends(self, extension: str) -> bool:
        """Whether an extension is served."""
        return extension in self.extensions

    def with_options(self, **options: bool | None) -> Profile:
        """A variant with options added, changed, or (None) removed."""
        merged = {**self.options, **options}
        return replace(self, options=_frozen({k: v for k, v in merged.items() if v is not None}))


def with_blobs_in_credentials(base: Profile, name: str, aaguid: Aaguid) -> Profile:
    """A variant with the largeBlob extension of CTAP 2.3 in place of the command largeBlobs and
    the extension largeBlobKey; no token may have both (GI-14).

    Args:
        base: the model to vary.
        name: of the variant.
        aaguid: of the variant, 16 bytes.
    """
    kept = tuple(extension for extension in base.extensions if extension != "largeBlobKey")
    variant = base.with_options(largeBlobs=None)
    return replace(variant, name=name, aaguid=aaguid, extensions=(*kept, "largeBlob"))


def _frozen(options: Mapping[str, bool]) -> Mapping[str, bool]:
    return MappingProxyType(dict(options))


def _aaguid(tail: int) -> Aaguid:
    return Aaguid(b"fidokit virtual"[:14] + tail.to_bytes(2, "big"))


_OPTIONS_2_1 = {
    "rk": True,
    "up": True,
    "plat": False,
    "alwaysUv": False,
    "credMgmt": True,
    "credentialMgmtPreview": True,  # libfido2 1.12, and so ssh-keygen -K, sends the preview alone
    "authnrCfg": True,
    "clientPin": False,
    "pinUvAuthToken": True,
    "setMinPINLength": True,
    "makeCredUvNotRqd": True,
    "largeBlobs": True,
}

_EXTENSIONS_2_1 = ("credProtect", "hmac-secret", "largeBlobKey", "credBlob", "minPinLength")
_EXTENSIONS_2_3 = ("hmac-secret-mc", "pinComplexityPolicy", "thirdPartyPayment", "uvm")
_SENSOR = {
    "uv": False,
    "bioEnroll": False,
    "userVerificationMgmtPreview": False,  # for libfido2 1.12 likewise
    "uvBioEnroll": True,
    "uvAcfg": True,
}

_BOTH = (CoseAlg.ES256, CoseAlg.EDDSA)
_ALGORITHMS = (
    *_BOTH,
    CoseAlg.ESP256,
    CoseAlg.ED25519,
    CoseAlg.ES384,
    CoseAlg.ESP384,
    CoseAlg.ES512,
    CoseAlg.ESP512,
    CoseAlg.ED448,
    CoseAlg.ML_DSA_44,
    CoseAlg.ML_DSA_65,
    CoseAlg.ML_DSA_87,
    CoseAlg.ES256K,
    CoseAlg.PS256,
    CoseAlg.RS256,
)
"""What OpenSSH has, then the same under its fully specified names, then stronger ones, then those
that are there for relying parties which ask for nothing else."""

_LONGEST_WRAPPED_ID = 290
"""Of an RSA credential, see `wrapped_length`."""

U2F = Profile(name="u2f", aaguid=Aaguid(bytes(16)), versions=("U2F_V2",))

CTAP_2_0 = Profile(
    name="ctap2.0",
    aaguid=_aaguid(0x0200),
    versions=("U2F_V2", "FIDO_2_0"),
    options=_frozen({"rk": True, "up": True, "plat": False, "clientPin": False}),
    pin_protocols=(1,),
    extensions=("hmac-secret",),
    info_members=_INFO_2_0,
    max_msg_size=1200,
    max_resident=25,
    behavior=Behavior(
        touch_timeout=CtapStatus.USER_ACTION_TIMEOUT,
        any_up_option_refused=True,
        unprotected_param=CtapStatus.PIN_NOT_SET,
        bad_salt_auth=_EXTENSION_FIRST,
        rk_in_assertion=CtapStatus.INVALID_OPTION,
        token_usage_ms=None,
        token_has_permissions=False,
        one_pin_token=True,
        retries_need_protocol=True,
        short_padded_pin=CtapStatus.PIN_POLICY_VIOLATION,
        lacking_inner_member=CtapStatus.MISSING_PARAMETER,
    ),
)

CTAP_2_1 = Profile(
    name="ctap2.1",
    aaguid=_aaguid(0x0210),
    versions=("U2F_V2", "FIDO_2_0", "FIDO_2_1"),
    options=_frozen(_OPTIONS_2_1),
    pin_protocols=(2, 1),
    algorithms=_BOTH,
    extensions=_EXTENSIONS_2_1,
    info_members=_INFO_2_1,
    max_msg_size=1200,
    behavior=Behavior(unknown_setting=CtapStatus.INVALID_PARAMETER),
)

CTAP_2_3 = Profile(
    name="ctap2.3",
    aaguid=_aaguid(0x0230),
    versions=("FIDO_2_3", "FIDO_2_1", "FIDO_2_0", "U2F_V2"),
    options=_frozen({**_OPTIONS_2_1, **_SENSOR, "perCredMgmtRO": True}),
    pin_protocols=(2, 1),
    algorithms=_ALGORITHMS,
    extensions=(*_EXTENSIONS_2_1, *_EXTENSIONS_2_3),
    attestation_formats=("packed", "fido-u2f"),
    max_credential_id_length=_LONGEST_WRAPPED_ID,
    pin_complexity=False,
    long_touch_for_reset=False,
    transports_for_reset=("usb",),
)

CTAP_2_3_LARGE_BLOB = with_blobs_in_credentials(CTAP_2_3, "ctap2.3-largeblob", _aaguid(0x0231))
"""Stock clients of 2026 know the command largeBlobs alone, so the default keeps to it."""

CTAP_2_3_ENTERPRISE = replace(
    CTAP_2_3.with_options(ep=False),
    name="ctap2.3-enterprise",
    aaguid=_aaguid(0x0232),
    enterprise_rp_ids=("enterprisetest.certinfra.fidoalliance.org",),
)
"""What an enterprise orders: consumers' tokens have no option ep (GI-16)."""

CTAP_2_3_PREVIEW = replace(
    CTAP_2_3,
    name="ctap2.3-preview",
    aaguid=_aaguid(0x0233),
    extensions=(*CTAP_2_3.extensions, "previewSign"),
)
"""What is a draft only is nothing that a token of CTAP 2.3 would have."""

_BUILT_IN = (
    U2F,
    CTAP_2_0,
    CTAP_2_1,
    CTAP_2_3,
    CTAP_2_3_LARGE_BLOB,
    CTAP_2_3_ENTERPRISE,
    CTAP_2_3_PREVIEW,
)

PROFILES: Mapping[str, Profile] = MappingProxyType({profile.name: profile for profile in _BUILT_IN})


def profile(name: str) -> Profile:
    """The built-in profile of that name.

    Raises:
        UsageError: there is none.
    """
    try:
        return PROFILES[name]
    except KeyError:
        raise UsageError(
            f"there is no profile {name!r}", hint=f"choose one of {', '.join(PROFILES)}"
        ) from None

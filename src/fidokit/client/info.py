"""getInfo as a value: what one token says about itself, checked member by member."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from fidokit.client.answer import Answer
from fidokit.client.tolerance import ALGORITHM_TYPE, Notes
from fidokit.types import Aaguid, KeyType

NO_AAGUID = Aaguid(bytes(16))
_NOTHING: Mapping[str, bool] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """The answer to authenticatorGetInfo (CTAP 2.3 section 6.4), or a U2F-only token's stand-in.

    Lengths of PINs are in code points, of messages and credential ids in bytes. A member that
    the token left out has the default that the specification gives, or None if absence
    itself says something.
    """

    versions: tuple[str, ...]
    extensions: tuple[str, ...] = ()
    aaguid: Aaguid = NO_AAGUID
    options: Mapping[str, bool] = field(default_factory=lambda: _NOTHING)
    max_msg_size: int = 1024
    pin_protocols: tuple[int, ...] = ()
    max_credential_count_in_list: int | None = None
    max_credential_id_length: int | None = None
    transports: tuple[str, ...] = ()
    algorithms: tuple[int, ...] = ()
    max_large_blob_array: int | None = None
    force_pin_change: bool = False
    min_pin_length: int = 4
    firmware_version: int | None = None
    max_rp_ids_for_min_pin_length: int = 0
    preferred_uv_attempts: int | None = None
    remaining_resident: int | None = None
    attestation_formats: tuple[str, ...] = ()
    max_pin_length: int = 63
    long_touch_for_reset: bool | None = None
    transports_for_reset: tuple[str, ...] = ()
    pin_complexity: bool | None = None
    config_commands: tuple[int, ...] | None = None
    enc_identifier: bytes | None = None

    @property
    def is_u2f_only(self) -> bool:
        """Whether the token speaks CTAP1 alone."""
        return self.versions == ("U2F_V2",)

    @property
    def pin_set(self) -> bool | None:
        """Whether a PIN is set; None if the token has no PIN at all."""
        return self.options.get("clientPin")

    @property
    def uv_configured(self) -> bool:
        """Whether a built-in sensor is there and has something enrolled."""
        return self.options.get("uv", False)

    @property
    def always_uv(self) -> bool:
        """Whether every use wants the PIN or the sensor."""
        return self.options.get("alwaysUv", False)

    @property
    def has_resident(self) -> bool:
        """Whether the token stores discoverable credentials."""
        return self.options.get("rk", False)

    @property
    def has_cred_mgmt(self) -> str | None:
        """Which credential management the token has: `credMgmt`, `credentialMgmtPreview`, none."""
        for option in ("credMgmt", "credentialMgmtPreview"):
            if self.options.get(option):
                return option
        return None

    @property
    def has_bio_enrollment(self) -> str | None:
        """Which bio enrollment the token has: `bioEnroll`, `userVerificationMgmtPreview`, none.

        The option's value says whether a finger is enrolled; its presence that one can be.
        """
        for option in ("bioEnroll", "userVerificationMgmtPreview"):
            if option in self.options:
                return option
        return None

    @property
    def has_large_blobs(self) -> bool:
        """Whether the token keeps the large-blob array (CTAP 2.1 section 6.10)."""
        return self.options.get("largeBlobs", False)

    @property
    def has_persistent_reading(self) -> bool:
        """Whether the token offers a persistent read-only token (CTAP 2.3, pcmr)."""
        return self.options.get("perCredMgmtRO", False) and self.options.get("credMgmt", False)

    @property
    def has_pin_token_permissions(self) -> bool:
        """Whether the token offers PIN tokens with permissions (CTAP 2.1)."""
        return self.options.get("pinUvAuthToken", False)

    @property
    def make_credential_needs_no_pin(self) -> bool:
        """Whether a non-resident credential can be made without PIN though one is set."""
        return self.options.get("makeCredUvNotRqd", False) and not self.always_uv

    @property
    def has_selection(self) -> bool:
        """Whether authenticatorSelection exists (CTAP 2.1 and later)."""
        return any(version.startswith("FIDO_2_") for version in self.versions) and not {
            "FIDO_2_0",
            "FIDO_2_1_PRE",
        }.issuperset(version for version in self.versions if version.startswith("FIDO_2_"))

    def supports(self, key_type: KeyType) -> bool | None:
        """Whether the token makes keys of this type; None if it does not tell.

        Many tokens of CTAP 2.0 list no algorithms, and some of them make Ed25519: only the attempt
        shows it. ecdsa-sk is the one type that all make.
        """
        if self.is_u2f_only:
            return key_type is KeyType.ECDSA_SK
        if not self.algorithms:
            return True if key_type is KeyType.ECDSA_SK else None
        return int(key_type.cose_alg) in self.algorithms


U2F_ONLY = TokenInfo(versions=("U2F_V2",))
"""What a token without CTAP2 amounts to."""


def decode_info(answer: Answer, notes: Notes | None = None) -> TokenInfo:
    """The token's getInfo answer as a value.

    Args:
        answer: the map.
        notes: hears what is missing of it and harmless.

    Raises:
        TokenMisbehaved: a member has the wrong type or an impossible size.
    """
    return TokenInfo(
        versions=answer.texts(0x01, required=True),
        extensions=answer.texts(0x02),
        aaguid=Aaguid(answer.exactly(0x03, 16)),
        options=MappingProxyType(answer.flags(0x04)),
        max_msg_size=answer.uint(0x05, default=1024),
        pin_protocols=answer.ints(0x06) or (),
        max_credential_count_in_list=answer.optional_uint(0x07),
        max_credential_id_length=answer.optional_uint(0x08),
        transports=answer.texts(0x09),
        algorithms=_algorithms(answer, notes or Notes()),
        max_large_blob_array=answer.optional_uint(0x0B),
        force_pin_change=answer.flag(0x0C),
        min_pin_length=min(63, max(4, answer.uint(0x0D, default=4))),
        firmware_version=answer.optional_uint(0x0E),
        max_rp_ids_for_min_pin_length=answer.uint(0x10, default=0),
        preferred_uv_attempts=answer.optional_uint(0x11),
        remaining_resident=answer.optional_uint(0x14),
        attestation_formats=answer.texts(0x16),
        long_touch_for_reset=answer.optional_flag(0x18),
        enc_identifier=answer.optional_bytes(0x19, longest=64),
        transports_for_reset=answer.texts(0x1A),
        pin_complexity=answer.optional_flag(0x1B),
        max_pin_length=min(63, max(8, answer.uint(0x1D, default=63))),
        config_commands=answer.ints(0x1F),
    )


def _algorithms(answer: Answer, notes: Notes) -> tuple[int, ...]:
    entries = answer.maps(0x0A)
    if any("type" not in entry for entry in entries):
        notes.note(ALGORITHM_TYPE)
    return tuple(
        entry.integer("alg")
        for entry in entries
        if entry.optional_text("type") in (None, "public-key")
    )

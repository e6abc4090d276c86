"""Which permissions a token of this model may carry (CTAP 2.3 section 6.5.5.7; PIN-21..23)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fidokit.types import CtapStatus
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.person.pin_uv_token import Permission
from fidokit.virtual.core.ports import CtapRejection

_DEFINED = 0x7F
_OPERATIONS = Permission.MAKE_CREDENTIAL | Permission.GET_ASSERTION

_FEATURE_BY_PIN: Mapping[Permission, str] = MappingProxyType(
    {
        Permission.CREDENTIAL_MANAGEMENT: "credMgmt",
        Permission.BIO_ENROLLMENT: "bioEnroll",
        Permission.LARGE_BLOB_WRITE: "largeBlobs",
        Permission.AUTHENTICATOR_CONFIG: "authnrCfg",
        Permission.PERSISTENT_CREDENTIAL_MANAGEMENT: "perCredMgmtRO",
    }
)

_FEATURE_BY_UV: Mapping[Permission, str] = MappingProxyType(
    {
        **_FEATURE_BY_PIN,
        Permission.BIO_ENROLLMENT: "uvBioEnroll",
        Permission.AUTHENTICATOR_CONFIG: "uvAcfg",
    }
)


def grantable(token: TokenContext, requested: int, *, built_in: bool) -> Permission:
    """The permissions to grant; undefined bits are ignored.

    Args:
        token: whose features decide.
        requested: member 09 of the request.
        built_in: by built-in verification rather than by PIN.

    Raises:
        CtapRejection: INVALID_PARAMETER for 0; UNAUTHORIZED_PERMISSION for a bit without its
            feature, and for pcmr together with any other.
    """
    if requested == 0:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    permissions = Permission(requested & _DEFINED)
    features = _FEATURE_BY_UV if built_in else _FEATURE_BY_PIN
    lacking = any(
        bit in permissions and not token.profile.offers(option) for bit, option in features.items()
    )
    persistent = Permission.PERSISTENT_CREDENTIAL_MANAGEMENT
    mixed = persistent in permissions and permissions != persistent
    shut_out = not built_in and bool(permissions & _OPERATIONS) and not token.pin_usable
    if lacking or mixed or shut_out:
        raise CtapRejection(CtapStatus.UNAUTHORIZED_PERMISSION)
    return permissions

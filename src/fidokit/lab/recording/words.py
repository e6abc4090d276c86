"""What CTAP 2.3 calls commands, subcommands and members, and where it says what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class CommandWords(NamedTuple):
    """One command in words.

    Args:
        name: as the specification calls it.
        clause: where CTAP 2.3 describes it.
        request: its members.
        answer: those of its answer.
        subcommand: the member that has the number of a subcommand; 0 for none.
        subcommands: name and clause by number.
    """

    name: str
    clause: str
    request: Mapping[int, str] = {}
    answer: Mapping[int, str] = {}
    subcommand: int = 0
    subcommands: Mapping[int, tuple[str, str]] = {}


def _numbered(text: str, first: int = 1) -> Mapping[int, str]:
    return dict(enumerate(text.split(), first))


_ASSERTION: Final = _numbered(
    "credential authData signature user numberOfCredentials userSelected largeBlobKey "
    "unsignedExtensionOutputs"
)
_CREDENTIALS: Final = CommandWords(
    "authenticatorCredentialManagement",
    "6.8",
    _numbered("subCommand subCommandParams pinUvAuthProtocol pinUvAuthParam"),
    _numbered(
        "existingResidentCredentialsCount maxPossibleRemainingResidentCredentialsCount rp rpIDHash "
        "totalRPs user credentialID publicKey totalCredentials credProtect largeBlobKey "
        "thirdPartyPayment"
    ),
    1,
    {
        1: ("getCredsMetadata", "6.8.2"),
        2: ("enumerateRPsBegin", "6.8.3"),
        3: ("enumerateRPsGetNextRP", "6.8.3"),
        4: ("enumerateCredentialsBegin", "6.8.4"),
        5: ("enumerateCredentialsGetNextCredential", "6.8.4"),
        6: ("deleteCredential", "6.8.5"),
        7: ("updateUserInformation", "6.8.6"),
    },
)
_FINGERS: Final = CommandWords(
    "authenticatorBioEnrollment",
    "6.7",
    _numbered("modality subCommand subCommandParams pinUvAuthProtocol pinUvAuthParam getModality"),
    _numbered(
        "modality fingerprintKind maxCaptureSamplesRequiredForEnroll templateId "
        "lastEnrollSampleStatus remainingSamples templateInfos maxTemplateFriendlyName"
    ),
    2,
    {
        1: ("enrollBegin", "6.7"),
        2: ("enrollCaptureNextSample", "6.7"),
        3: ("cancelCurrentEnrollment", "6.7"),
        4: ("enumerateEnrollments", "6.7"),
        5: ("setFriendlyName", "6.7"),
        6: ("removeEnrollment", "6.7"),
        7: ("getFingerprintSensorInfo", "6.7"),
    },
)

COMMANDS: Final[Mapping[int, CommandWords]] = {
    0x01: CommandWords(
        "authenticatorMakeCredential",
        "6.1",
        _numbered(
            "clientDataHash rp user pubKeyCredParams excludeList extensions options "
            "pinUvAuthParam pinUvAuthProtocol enterpriseAttestation attestationFormatsPreference"
        ),
        _numbered("fmt authData attStmt epAtt largeBlobKey unsignedExtensionOutputs"),
    ),
    0x02: CommandWords(
        "authenticatorGetAssertion",
        "6.2",
        _numbered(
            "rpId clientDataHash allowList extensions options pinUvAuthParam pinUvAuthProtocol "
            "enterpriseAttestation attestationFormatsPreference"
        ),
        _ASSERTION,
    ),
    0x04: CommandWords(
        "authenticatorGetInfo",
        "6.4",
        answer=_numbered(
            "versions extensions aaguid options maxMsgSize pinUvAuthProtocols "
            "maxCredentialCountInList maxCredentialIdLength transports algorithms "
            "maxSerializedLargeBlobArray forcePINChange minPINLength firmwareVersion "
            "maxCredBlobLength maxRPIDsForSetMinPINLength preferredPlatformUvAttempts uvModality "
            "certifications remainingDiscoverableCredentials vendorPrototypeConfigCommands "
            "attestationFormats uvCountSinceLastPinEntry longTouchForReset encIdentifier "
            "transportsForReset pinComplexityPolicy pinComplexityPolicyURL maxPINLength "
            "encCredStoreState authenticatorConfigCommands"
        ),
    ),
    0x06: CommandWords(
        "authenticatorClientPIN",
        "6.5",
        {
            **_numbered(
                "pinUvAuthProtocol subCommand keyAgreement pinUvAuthParam newPinEnc pinHashEnc"
            ),
            9: "permissions",
            10: "rpId",
        },
        _numbered("keyAgreement pinUvAuthToken pinRetries powerCycleState uvRetries"),
        2,
        {
            1: ("getPINRetries", "6.5.5.2"),
            2: ("getKeyAgreement", "6.5.5.4"),
            3: ("setPIN", "6.5.5.5"),
            4: ("changePIN", "6.5.5.6"),
            5: ("getPinToken", "6.5.5.7.1"),
            6: ("getPinUvAuthTokenUsingUvWithPermissions", "6.5.5.7.3"),
            7: ("getUVRetries", "6.5.5.3"),
            9: ("getPinUvAuthTokenUsingPinWithPermissions", "6.5.5.7.2"),
        },
    ),
    0x07: CommandWords("authenticatorReset", "6.6"),
    0x08: CommandWords("authenticatorGetNextAssertion", "6.3", answer=_ASSERTION),
    0x09: _FINGERS,
    0x0A: _CREDENTIALS,
    0x0B: CommandWords("authenticatorSelection", "6.9"),
    0x0C: CommandWords(
        "authenticatorLargeBlobs",
        "6.10",
        _numbered("get set offset length pinUvAuthParam pinUvAuthProtocol"),
        _numbered("config"),
    ),
    0x0D: CommandWords(
        "authenticatorConfig",
        "6.11",
        _numbered("subCommand subCommandParams pinUvAuthProtocol pinUvAuthParam"),
        subcommand=1,
        subcommands={
            1: ("enableEnterpriseAttestation", "6.11.1"),
            2: ("toggleAlwaysUv", "6.11.2"),
            3: ("setMinPINLength", "6.11.4"),
            4: ("enableLongTouchForReset", "6.11"),
        },
    ),
    0x40: _FINGERS._replace(name="authenticatorBioEnrollment (preview)"),
    0x41: _CREDENTIALS._replace(name="authenticatorCredentialManagement (preview)"),
}
"""CTAP2 commands by their byte."""

U2F: Final[Mapping[int, str]] = {1: "U2F_REGISTER", 2: "U2F_AUTHENTICATE", 3: "U2F_VERSION"}
STATUS_WORDS: Final[Mapping[int, str]] = {
    0x9000: "no error",
    0x6985: "a touch is needed, or the key is here",
    0x6A80: "the key is not of this token or application",
    0x6700: "wrong length",
    0x6D00: "the instruction is not supported",
    0x6E00: "the class is not supported",
    0x6A84: "not enough memory",
}
STATUS_CLAUSE: Final = "8.2"
KEEPALIVE_CLAUSE: Final = "11.2.9.1.7"
KEEPALIVES: Final[Mapping[int, str]] = {1: "processing", 2: "waits for the user"}

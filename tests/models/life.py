"""The life of SSH keys on a virtual token that stands in for a certified model, by our client.

Each step ends well or with an error of ours. What to expect is worked out from the metadata alone:
neither the token's answers nor the authenticator's profile has a say in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.fake_link import Person, session_on

from fidokit.client.credentials import resident
from fidokit.client.credentials.enrollment import Enrolled, Enrollment, enroll
from fidokit.client.credentials.resident import ResidentCredential
from fidokit.client.credentials.signature import sign
from fidokit.client.links.watchdog import Patience
from fidokit.client.owner import pin
from fidokit.client.ports import QUIET, PinCode
from fidokit.client.session import Session
from fidokit.errors import CredentialNotFound, FidokitError, PinNotSet, Unsupported
from fidokit.metadata.model import Model
from fidokit.openssh.keys.private import PrivateFile, SkPrivate, encode_private, parse_private
from fidokit.openssh.signatures.signature import SkEcdsaSignature, SkEd25519Signature
from fidokit.types import Application, CoseAlg, KeyHandle, KeyType
from fidokit.virtual.token import VirtualToken

PIN = "31415926"
"""Eight digits: long enough for the strictest model, short enough for the tersest."""

PATIENT = Patience(silence=20, total=60, sleep=lambda _seconds: None)
WORK = Application("ssh:work")
MESSAGE = b"to be signed"

Error = type[FidokitError]
Outcome = Error | None
"""None where a step ended well."""


@dataclass
class Life:
    """A token, its session, and the keys made so far."""

    session: Session
    keys: dict[str, Enrolled] = field(default_factory=dict)
    held: ResidentCredential | None = None

    def sign(self, key: SkPrivate) -> SkEd25519Signature | SkEcdsaSignature:
        """A signature; `sign` has verified it, with the person verified where the key says so."""
        signature = sign(self.session, key, MESSAGE)
        assert signature.user_present
        return signature

    def make(self, name: str, enrollment: Enrollment) -> None:
        """Make a key and use it."""
        made = self.keys[name] = enroll(self.session, enrollment)
        self.sign(SkPrivate(made.public, made.flags, made.key_handle))

    def make_best(self, name: str, **options: Any) -> None:
        """Make the better type of key that the model makes at all, and use it."""
        plain = "ed25519" if "ed25519" in self.keys else "ecdsa"
        kind = KeyType.ED25519_SK if plain == "ed25519" else KeyType.ECDSA_SK
        application = Application(f"ssh:{name}") if name != "resident" else WORK
        self.make(name, Enrollment(kind, application, user="alice", comment="laptop", **options))


def _set_pin(life: Life) -> None:
    pin.set_pin(life.session, PinCode.parse(PIN))
    assert life.session.info.pin_set


def _ecdsa(life: Life) -> None:
    life.make("ecdsa", Enrollment(KeyType.ECDSA_SK, Application("ssh:")))


def _ed25519(life: Life) -> None:
    life.make("ed25519", Enrollment(KeyType.ED25519_SK, Application("ssh:")))


def _resident(life: Life) -> None:
    life.make_best("resident", resident=True)


def _verify_required(life: Life) -> None:
    life.make_best("verify-required", verify_required=True)


def _list(life: Life) -> None:
    held = resident.list_credentials(life.session)
    made = life.keys.get("resident")
    assert [key.credential_id for key in held] == ([made.key_handle] if made else [])
    life.held = held[0] if held else None


def _download(life: Life) -> None:
    held = _listed(life)
    assert held.public is not None
    key = SkPrivate(held.public, held.flags, KeyHandle(held.credential_id))
    file = parse_private(encode_private(PrivateFile(key, held.comment)), None)
    made = life.keys["resident"]
    assert (file.key.public, file.key.flags) == (made.public, made.flags)
    assert (file.comment, held.user) == ("laptop", "alice")
    life.sign(file.key)


def _rename(life: Life) -> None:
    held = _listed(life)
    resident.rename(life.session, held, "bob", held.display_name)
    (renamed,) = resident.list_credentials(life.session, application=WORK)
    assert (renamed.user_name, renamed.user) == ("bob", "alice")


def _delete(life: Life) -> None:
    resident.delete(life.session, _listed(life))
    assert resident.list_credentials(life.session) == []


def _use_deleted(life: Life) -> None:
    made = life.keys["resident"]
    life.sign(SkPrivate(made.public, made.flags, made.key_handle))


def _listed(life: Life) -> ResidentCredential:
    assert life.held is not None
    return life.held


Step = Callable[[Life], None]

STEPS: Mapping[str, Step] = {
    "pin": _set_pin,
    "ecdsa": _ecdsa,
    "ed25519": _ed25519,
    "resident": _resident,
    "verify-required": _verify_required,
    "list": _list,
    "download": _download,
    "rename": _rename,
    "delete": _delete,
    "use deleted": _use_deleted,
}

OF_HELD = ("download", "rename", "delete", "use deleted")
"""Steps that need a key that was listed; left out where there is none."""

Outcomes = Mapping[str, Outcome]


_RESULTS: dict[str, Outcomes] = {}


def live(model: Model) -> Outcomes:
    """How each step ended; a model lives once in a test run."""
    if model.name not in _RESULTS:
        with VirtualToken(model=model.document()) as token:
            session = session_on(token.link(), Person(PIN), PATIENT)
            _RESULTS[model.name] = _outcomes(Life(session), STEPS)
            session.close()
    return _RESULTS[model.name]


def live_by_sensor(model: Model) -> Outcomes:
    """How each step but the first ended, with a sensor that knows its owner, and no PIN."""
    with VirtualToken(model=model.document(), uv_enrolled=True) as token:
        session = session_on(token.link(), QUIET, PATIENT)
        steps = {name: step for name, step in STEPS.items() if name != "pin"}
        outcomes = _outcomes(Life(session), steps)
        session.close()
        return outcomes


def _outcomes(life: Life, steps: Mapping[str, Step]) -> Outcomes:
    outcomes: dict[str, Outcome] = {}
    for name, step in steps.items():
        if name in OF_HELD and life.held is None:
            continue
        outcomes[name] = _ended(step, life)
    return outcomes


def _ended(step: Step, life: Life) -> Outcome:
    try:
        step(life)
    except FidokitError as error:
        return type(error)
    return None


# --- what the metadata lets us expect ------------------------------------------------------------


@dataclass(frozen=True)
class Abilities:
    """What a model can do for SSH, by the metadata alone."""

    pin: bool
    ecdsa: bool
    ed25519: bool
    resident: bool
    verify_required: bool
    management: bool
    renaming: bool


def has_sensor(model: Model) -> bool:
    """Whether it verifies its owner by itself, once it knows them."""
    return "uv" in _options(model)


def _options(model: Model) -> dict[str, bool]:
    info: Mapping[str, Any] = model.get_info or {}
    options: dict[str, bool] = info.get("options", {})
    return dict(options)


def abilities(model: Model, *, by_sensor: bool = False) -> Abilities:
    """Read from getInfo, as CTAP 2.3 section 6.4 explains its members.

    Args:
        model: whose getInfo is read.
        by_sensor: with the sensor set up and no PIN; otherwise as the model comes, with a PIN.
    """
    info = dict(model.get_info or {})
    options = _options(model)
    listed = [entry["alg"] for entry in info.get("algorithms", [])]  # type: ignore[attr-defined]
    algorithms = listed or model.algorithms
    has_pin = "clientPin" in options and not by_sensor
    senses = by_sensor or options.get("uv", False)
    provable = has_pin or senses
    usable = provable or not options.get("alwaysUv", False)
    ecdsa = CoseAlg.ES256 in algorithms and usable
    ed25519 = CoseAlg.EDDSA in algorithms and usable
    protectable = provable and "credProtect" in info.get("extensions", [])  # type: ignore[operator]
    tokens = has_pin or (senses and options.get("pinUvAuthToken", False))
    stores = protectable and options.get("rk", False) and (ecdsa or ed25519)
    manages = options.get("credMgmt", False) or options.get("credentialMgmtPreview", False)
    return Abilities(
        pin=has_pin,
        ecdsa=ecdsa,
        ed25519=ed25519,
        resident=stores,
        verify_required=protectable and (ecdsa or ed25519),
        management=manages and tokens,
        renaming=options.get("credMgmt", False) and tokens,
    )


def expected(model: Model) -> Outcomes:
    """How each step of `live` must end."""
    can = abilities(model)
    return {"pin": _if(can.pin), **_expected(can)}


def expected_by_sensor(model: Model) -> Outcomes:
    """How each step of `live_by_sensor` must end.

    Where the sensor's word is good for makeCredential and getAssertion alone (CTAP 2.0), managing
    keys wants the PIN, which a model that can have one has not got yet.
    """
    outcomes = _expected(abilities(model, by_sensor=True))
    wants_pin = abilities(model).management and "clientPin" in _options(model)
    if outcomes["list"] is Unsupported and wants_pin:
        return {**outcomes, "list": PinNotSet}
    return outcomes


def _expected(can: Abilities) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {
        "ecdsa": _if(can.ecdsa),
        "ed25519": _if(can.ed25519),
        "resident": _if(can.resident),
        "verify-required": _if(can.verify_required),
        "list": _if(can.management),
    }
    if can.resident and can.management:
        outcomes |= {
            "download": None,
            "rename": _if(can.renaming),
            "delete": None,
            "use deleted": CredentialNotFound,
        }
    return outcomes


def _if(able: bool) -> Outcome:
    return None if able else Unsupported

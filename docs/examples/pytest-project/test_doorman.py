import pytest
from doorman import Door, NoSecurityKey
from fido2.client import ClientError, UserInteraction
from fido2.webauthn import UserVerificationRequirement

from fidokit.virtual.faults import Unplug


def test_a_registered_key_opens_the_door(fido_devices):
    door = Door()
    door.register("ada")
    door.open("ada")


def test_without_a_key(fido_devices, virtual_token):
    virtual_token.unplug()
    with pytest.raises(NoSecurityKey):
        Door().register("ada")


def test_a_touch_that_is_refused(fido_devices, virtual_token):
    door = Door()
    door.register("ada")
    virtual_token.refuse()
    with pytest.raises(ClientError) as refused:
        door.open("ada")
    assert refused.value.code == ClientError.ERR.BAD_REQUEST


def test_unplugged_while_the_door_waits(fido_devices, virtual_token):
    door = Door()
    door.register("ada")
    virtual_token.faults.add(Unplug(), command=0x02)  # authenticatorGetAssertion
    with pytest.raises(OSError, match="Input/output error"):
        door.open("ada")


def test_somebody_elses_key(fido_devices, virtual_token_factory):
    door = Door()
    door.register("ada")
    fido_devices.only(virtual_token_factory())
    with pytest.raises(ClientError) as stranger:
        door.open("ada")
    assert stranger.value.code == ClientError.ERR.DEVICE_INELIGIBLE


class Ada(UserInteraction):
    def request_pin(self, permissions, rp_id):
        return "123456"


@pytest.mark.parametrize("profile", ["ctap2.0", "ctap2.1", "ctap2.3"])
def test_keys_with_a_pin(fido_devices, virtual_token_factory, profile):
    fido_devices.only(virtual_token_factory(profile=profile, pin="123456"))
    door = Door(Ada(), UserVerificationRequirement.REQUIRED)
    door.register("ada")
    door.open("ada")

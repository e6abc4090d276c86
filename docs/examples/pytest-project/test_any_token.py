from doorman import Door
from hypothesis import given, settings

from fidokit.testing import strategies


@settings(max_examples=20, deadline=None)
@given(token=strategies.tokens())
def test_any_key_opens_the_door(module_fido_devices, token):
    module_fido_devices.only(token)
    door = Door()
    door.register("ada")
    door.open("ada")

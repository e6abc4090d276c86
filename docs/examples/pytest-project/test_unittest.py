from doorman import Door, NoSecurityKey

from fidokit.testing import VirtualTokenTestCase


class TestDoor(VirtualTokenTestCase):
    virtual_token_options = {"profile": "ctap2.1"}

    def test_opens(self):
        door = Door()
        door.register("ada")
        door.open("ada")

    def test_without_a_key(self):
        self.virtual_token.unplug()
        self.assertRaises(NoSecurityKey, Door().register, "ada")

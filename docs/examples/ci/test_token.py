import subprocess

from fido2.ctap2 import Ctap2


def test_a_security_key_answers(fido_device):
    assert "FIDO_2_3" in Ctap2(fido_device).info.versions


def test_programs_see_it_too(fido_environ):
    listed = subprocess.run(["fido2-token", "-L"], capture_output=True, text=True, check=True)
    assert "/dev/hidraw90" in listed.stdout

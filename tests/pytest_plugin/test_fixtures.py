"""Every fixture, as somebody else's suite uses it."""

from __future__ import annotations

import pytest
from tests.pytest_plugin.conftest import Run


def test_the_plugin_is_found_and_documents_itself(suite: Run) -> None:
    listed = suite("", "--fixtures").stdout.str()
    ours = listed.partition("fixtures defined from fidokit")[2].partition("\n----")[0]
    for name in ("virtual_token", "virtual_token_factory", "fido_device", "fido_devices"):
        assert f"\n{name} -- " in ours
    assert "no docstring" not in ours


def test_virtual_token(suite: Run) -> None:
    suite(
        """
        seen = set()

        def test_is_fresh(virtual_token):
            assert virtual_token.plugged_in
            assert virtual_token.profile.name == "ctap2.3"
            seen.add(virtual_token)

        def test_is_another_one_and_the_first_is_unplugged(virtual_token):
            (first,) = seen
            assert first is not virtual_token
            assert not first.plugged_in

        def test_is_the_same_for_every_fixture(virtual_token, fido_device):
            assert fido_device.serial_number == virtual_token.identity.serial
        """
    ).assert_outcomes(passed=3)


def test_virtual_token_factory(suite_here: Run) -> None:
    suite_here(
        """
        import pytest
        from fido2.ctap2 import Ctap2, ClientPin
        from fidokit.testing import Credential, open_device

        @pytest.mark.parametrize("profile", ["ctap2.0", "ctap2.1", "ctap2.3"])
        def test_pin_and_credentials(virtual_token_factory, profile):
            token = virtual_token_factory(
                profile=profile, pin="123456", credentials=[Credential("example.org", "ada")]
            )
            with open_device(token) as device:
                ctap = Ctap2(device)
                assert ctap.info.options["clientPin"] is True
                found = ctap.get_assertion("example.org", b"x" * 32)
                found.verify(b"x" * 32, token.credentials[0].public_key)

        def test_a_certified_model(virtual_token_factory):
            token = virtual_token_factory(
                model="2fc0579f-8113-47ea-b116-bb5a8db9202a", pin="123456"
            )
            with open_device(token) as device:
                info = Ctap2(device).info
                assert str(info.aaguid) == "2fc0579f-8113-47ea-b116-bb5a8db9202a"
                assert info.options["clientPin"] is True

        def test_several(virtual_token_factory):
            tokens = [virtual_token_factory() for _ in range(3)]
            assert len({token.identity.serial for token in tokens}) == 3
        """
    ).assert_outcomes(passed=5)


def test_fido_device(suite_here: Run) -> None:
    suite_here(
        """
        import threading
        import pytest
        from fido2.ctap import CtapError, STATUS
        from fido2.ctap2 import Ctap2
        from fido2.hid import CAPABILITY, CtapHidDevice

        def test_is_a_device_of_python_fido2(fido_device):
            assert isinstance(fido_device, CtapHidDevice)
            assert fido_device.capabilities & CAPABILITY.CBOR
            assert "FIDO_2_3" in Ctap2(fido_device).info.versions

        def test_refusal(fido_device, virtual_token):
            virtual_token.refuse()
            with pytest.raises(CtapError) as refused:
                Ctap2(fido_device).selection()
            assert refused.value.code is CtapError.ERR.OPERATION_DENIED

        def test_cancel(virtual_token_factory):
            from fidokit.testing import open_device
            event = threading.Event()
            statuses = []
            def told(status):
                statuses.append(status)
                event.set()
            with open_device(virtual_token_factory(presence="script")) as device:
                with pytest.raises(CtapError) as canceled:
                    Ctap2(device).selection(event=event, on_keepalive=told)
            assert canceled.value.code is CtapError.ERR.KEEPALIVE_CANCEL
            assert statuses == [STATUS.UPNEEDED]
        """
    ).assert_outcomes(passed=3)


def test_fido_devices(suite_here: Run) -> None:
    suite_here(
        """
        from fido2.hid import CtapHidDevice, list_descriptors, list_devices

        def test_the_virtual_token_is_found(fido_devices, virtual_token):
            (device,) = CtapHidDevice.list_devices()
            assert device.serial_number == virtual_token.identity.serial
            assert len(list(list_devices())) == 1

        def test_more_and_fewer(fido_devices, virtual_token, virtual_token_factory):
            fido_devices.plug_in(virtual_token_factory(profile="u2f"))
            assert len(list(CtapHidDevice.list_devices())) == 2
            virtual_token.unplug()
            assert len(list(CtapHidDevice.list_devices())) == 1

        def test_not_after_the_test():
            import fido2.hid
            assert fido2.hid.list_descriptors is list_descriptors
        """
    ).assert_outcomes(passed=3)


def test_built_in_verification(suite_here: Run) -> None:
    suite_here(
        """
        import pytest
        from fido2.ctap import CtapError
        from fido2.ctap2 import ClientPin, Ctap2
        from fidokit.testing import open_device

        def test_match_and_mismatch(virtual_token_factory):
            token = virtual_token_factory(uv=True, presence="script")
            with open_device(token) as device:
                pin = ClientPin(Ctap2(device))
                token.uv_mismatch()
                with pytest.raises(CtapError) as wrong:
                    pin.get_uv_token(ClientPin.PERMISSION.GET_ASSERTION, "example.org")
                assert wrong.value.code is CtapError.ERR.UV_INVALID
                token.uv_match()
                assert pin.get_uv_token(ClientPin.PERMISSION.GET_ASSERTION, "example.org")
        """
    ).assert_outcomes(passed=1)


def test_faults(suite_here: Run) -> None:
    suite_here(
        """
        import pytest
        from fido2.ctap import CtapError
        from fido2.ctap2 import Ctap2
        from fido2.hid import CtapHidDevice
        from fidokit.virtual.faults import Refuse, Unplug

        def test_a_refusal(fido_device, virtual_token):
            virtual_token.faults.add(Refuse(0x7F), command=0x0B)
            with pytest.raises(CtapError) as broken:
                Ctap2(fido_device).selection()
            assert broken.value.code == CtapError.ERR.OTHER
            Ctap2(fido_device).selection()

        def test_unplugged_in_the_middle(fido_device, fido_devices, virtual_token):
            virtual_token.faults.add(Unplug(acted=True), command=0x0B)
            with pytest.raises(OSError):
                Ctap2(fido_device).selection()
            assert list(CtapHidDevice.list_devices()) == []
        """
    ).assert_outcomes(passed=2)


# --- a stall is a failure -------------------------------------------------------------------------


STALLING = """
    import pytest
    from fido2.ctap2 import Ctap2
    from fidokit.testing import open_device

    def wait(virtual_token_factory):
        with open_device(virtual_token_factory(presence="script")) as device:
            Ctap2(device).selection()
    """


def test_a_stall_fails_the_test_and_says_why(suite_here: Run) -> None:
    result = suite_here(
        STALLING
        + """
    def test_nobody_comes(virtual_token_factory):
        wait(virtual_token_factory)

    def test_the_next_one_is_not_concerned(fido_device):
        Ctap2(fido_device).selection()
        """,
        "-o",
        "fidokit_patience=0.1",
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*Stalled: *0x0b waited 0.1 s*queue touch()*"])


def test_a_stall_that_the_program_swallows_fails_the_test_all_the_same(suite_here: Run) -> None:
    result = suite_here(
        STALLING
        + """
    def test_swallowed(virtual_token_factory):
        try:
            wait(virtual_token_factory)
        except Exception:
            pass
        """,
        "-o",
        "fidokit_patience=0.1",
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["the test went on, but *0x0b waited 0.1 s*"])


def test_a_stall_that_was_meant_can_be_forgiven(suite_here: Run) -> None:
    suite_here(
        STALLING
        + """
    from fidokit.testing import Stalled

    def test_meant(virtual_token_factory):
        with pytest.raises(Stalled):
            wait(virtual_token_factory)
        virtual_token_factory.made[0].stalls.clear()
        """,
        "-o",
        "fidokit_patience=0.1",
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize("patience", ["soon", "0", "-1", "nan"])
def test_patience_that_makes_no_sense(suite_here: Run, patience: str) -> None:
    result = suite_here("def test_it(virtual_token): pass", "-o", f"fidokit_patience={patience}")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [f"*fidokit_patience must be a number of seconds, not '{patience}'"]
    )

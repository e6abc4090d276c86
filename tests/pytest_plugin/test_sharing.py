"""Tokens of a module and a run, by name, for all tests, under xdist and Hypothesis."""

from __future__ import annotations

import pytest
from tests.pytest_plugin.conftest import Run

SELECT = """
    import pytest
    from fido2.ctap import CtapError
    from fido2.ctap2 import Ctap2
    from fido2.hid import CtapHidDevice
    from fidokit.testing import open_device

    def select(token):
        with open_device(token) as device:
            Ctap2(device).selection()
    """


def test_scopes(suite: Run, pytester: pytest.Pytester) -> None:
    """One token a module, one a run; gestures and faults of one test are not the next one's."""
    module = """
        import pytest
        from fido2.ctap2 import Ctap2
        from fido2.hid import CtapHidDevice
        from fidokit.virtual.faults import Refuse

        pytestmark = pytest.mark.virtual_token(profile="ctap2.1")
        seen = []

        def test_first(module_virtual_token, session_virtual_token, module_fido_devices):
            (device,) = CtapHidDevice.list_devices()
            assert device.serial_number == module_virtual_token.identity.serial
            assert module_virtual_token.profile.name == "ctap2.1"
            assert session_virtual_token.profile.name == "ctap2.3"
            seen.append(module_virtual_token)
            module_virtual_token.refuse()
            module_virtual_token.faults.add(Refuse(0x7F))

        def test_second(module_virtual_token, module_virtual_token_factory):
            (device,) = CtapHidDevice.list_devices()
            Ctap2(device).selection()
            assert seen == [module_virtual_token]
            assert module_virtual_token_factory() is not module_virtual_token
        """
    pytester.makepyfile(
        test_another="""
        import fido2.hid

        known = []

        def test_the_run_has_one(session_virtual_token, session_fido_devices):
            (found,) = fido2.hid.list_descriptors()
            assert found.serial_number == session_virtual_token.identity.serial
            known.append(session_virtual_token)

        def test_still(session_virtual_token_factory):
            assert session_virtual_token_factory.made == known
            assert known[0].plugged_in

        def test_no_module_token_is_left(module_virtual_token):
            assert module_virtual_token.profile.name == "ctap2.3"
        """
    )
    suite(module).assert_outcomes(passed=5)


def test_a_stall_on_a_shared_token_fails_the_test_that_caused_it(suite: Run) -> None:
    result = suite(
        SELECT
        + """
    def test_swallowed(module_virtual_token_factory):
        try:
            select(module_virtual_token_factory(presence="script"))
        except Exception:
            pass

    def test_not_concerned(module_virtual_token_factory):
        select(module_virtual_token_factory())

    def test_swallowed_as_the_last_one(session_virtual_token_factory):
        with pytest.raises(Exception):
            select(session_virtual_token_factory(presence="script"))

    def test_once(session_virtual_token_factory):
        pass

    def test_told_by_itself(session_virtual_token_factory):
        select(session_virtual_token_factory(presence="script"))
        """,
        "-o",
        "fidokit_patience=0.1",
    )
    result.assert_outcomes(passed=4, errors=2, failed=1)
    result.stdout.fnmatch_lines(["the test went on, but *0x0b waited 0.1 s*"])


def test_several_by_name(suite: Run) -> None:
    suite(
        SELECT
        + """
    @pytest.mark.virtual_token(profile="u2f")
    @pytest.mark.virtual_token("work", pin="123456")
    @pytest.mark.virtual_token("old", profile="ctap2.0")
    class TestMarked:
        def test_all_are_found(self, virtual_token, virtual_tokens, fido_devices):
            assert virtual_token.profile.name == "u2f"
            assert set(virtual_tokens) == {"work", "old"}
            assert len(list(CtapHidDevice.list_devices())) == 3
            with open_device(virtual_tokens["work"]) as device:
                assert Ctap2(device).info.options["clientPin"] is True

        @pytest.mark.virtual_token("old", profile="ctap2.1")
        def test_the_closest_mark_counts(self, virtual_tokens):
            assert virtual_tokens["old"].profile.name == "ctap2.1"

    def test_made_when_asked_for(virtual_tokens, virtual_token_factory):
        assert virtual_tokens["one"] is virtual_tokens["one"]
        assert virtual_tokens["one"] is not virtual_tokens["other"]
        assert virtual_tokens["one"].name == "one"
        assert virtual_token_factory.made == list(virtual_tokens.values())
        """,
        "--strict-markers",
    ).assert_outcomes(passed=3)


def test_a_mark_that_makes_no_sense(suite: Run) -> None:
    result = suite(
        """
        import pytest

        @pytest.mark.virtual_token("one", "two")
        def test_it(virtual_token): pass
        """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*@pytest.mark.virtual_token takes one name, or none"])


def test_for_all_tests(suite: Run) -> None:
    suite(
        """
        from fido2.hid import CtapHidDevice

        def test_that_names_no_fixture():
            (device,) = CtapHidDevice.list_devices()
            assert device.descriptor.path.startswith("virtual:")
        """,
        "-o",
        "fidokit_autouse=fido_devices",
    ).assert_outcomes(passed=1)


def test_for_all_tests_what_is_not_there(suite: Run) -> None:
    result = suite("def test_it(): pass", "-o", "fidokit_autouse=fido_device")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*fidokit_autouse is fido_devices or fido_environ, not 'fido_device'"]
    )


def test_workers_of_xdist(suite: Run, pytester: pytest.Pytester) -> None:
    """Each has tokens of its own; stalls fail the test that caused them there, too."""
    pytester.makeini("[pytest]\nfidokit_patience = 0.1\nfidokit_autouse = fido_devices\n")
    result = suite(
        SELECT
        + """
    @pytest.mark.parametrize("number", range(6))
    def test_it(number, virtual_token, session_virtual_token):
        select(virtual_token)
        select(session_virtual_token)
        assert len(list(CtapHidDevice.list_devices())) == 1

    def test_swallowed(session_virtual_token_factory):
        with pytest.raises(Exception):
            select(session_virtual_token_factory(presence="script"))
        """,
        "-p",
        "xdist",
        "-n",
        "2",
    )
    result.assert_outcomes(passed=7, errors=1)


def test_hypothesis(suite: Run, pytester: pytest.Pytester) -> None:
    """A stall that a drawn token's test swallows fails it; a token repeats itself."""
    pytester.makeini("[pytest]\n")
    result = suite(
        SELECT
        + """
    from hypothesis import given, settings, strategies as st
    from fidokit.testing import strategies

    @settings(max_examples=10, deadline=None, database=None)
    @given(token=strategies.tokens(quirk=strategies.quirks()))
    def test_any(token):
        answers = token.profile.has_ctap2 and "info-refused" not in token.quirks
        assert (token.link().cbor(b"\\x04")[0] == 0) == answers

    @settings(max_examples=1, deadline=None, database=None)
    @given(token=strategies.tokens(presence=st.just("script"), profile=st.just("ctap2.3"),
                                   patience_s=0.05))
    def test_swallowed(token):
        with pytest.raises(Exception):
            select(token)
        """,
        "-p",
        "hypothesispytest",
    )
    result.assert_outcomes(passed=2, errors=1)

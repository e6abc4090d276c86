"""Fingers, check by check (BIO-*), at the level of bytes; python-fido2 judges in interop/."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import pytest
from fido2 import cbor
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual.core.client import (
    MC,
    MISSING,
    PIN,
    RESET,
    Bench,
    Platform,
    S,
    case,
    make_request,
    patched,
)

from fidokit.virtual.core.ports import NeedsPresence, Outcome, PresenceKind, Template
from fidokit.virtual.core.profile import CTAP_2_1, CTAP_2_3, FingerSensor

BIO, PREVIEW = 0x09, 0x40
PIN_CODE = "motörhead"
BE = 0x08
BEGIN, NEXT, CANCEL, LIST, RENAME, REMOVE, SENSOR = range(1, 8)
NAMED = {BEGIN: None, NEXT: {1: b"t"}, LIST: None, RENAME: {1: b"t", 2: "n"}, REMOVE: {1: b"t"}}

SMALL = replace(CTAP_2_3, fingerprint=FingerSensor(kind=2, samples=3, max_name=8, max_templates=2))


def request(
    platform: Platform, sub: int, params: Any = None, *, token: bytes | None = None
) -> dict[int, Any]:
    """With a fresh token of permission be."""
    message = bytes([1, sub]) + (b"" if params is None else cbor.encode(params))
    token = token or platform.token(PIN_CODE, BE)
    made = {1: 1, 2: sub, 4: platform.version, 5: platform.mac(token, message)}
    return made if params is None else made | {3: params}


def status(platform: Platform, sub: int, params: Any = None) -> int:
    return platform.bench.status(BIO, request(platform, sub, params))


def call(platform: Platform, sub: int, params: Any = None) -> Any:
    return platform.bench.ok(BIO, request(platform, sub, params))


def bare(bench: Bench, sub: int, params: Any = None) -> Any:
    return bench.call(BIO, {1: 1, 2: sub} | ({} if params is None else {3: params}))


def enroll(platform: Platform) -> bytes:
    """A whole finger, by good samples."""
    begun = call(platform, BEGIN)
    template: bytes = begun[4]
    remaining = begun[6]
    while remaining:
        remaining = call(platform, NEXT, {1: template})[6]
    return template


def listed(platform: Platform) -> dict[bytes, str]:
    return {entry[1]: entry[2] for entry in call(platform, LIST)[7]}


@pytest.fixture
def small() -> Platform:
    """A token of three samples a finger and room for two, with a PIN."""
    platform = Platform(Bench(SMALL))
    platform.set_pin(PIN_CODE)
    return platform


# --- what needs no authorization -----------------------------------------------------------------


@pytest.mark.check("BIO-01")
@pytest.mark.parametrize("more", [{}, {1: 1}, {2: 99}])
def test_modality(bench: Bench, more: dict[int, Any]) -> None:
    assert bench.ok(BIO, {6: True} | more) == {1: 1}


@pytest.mark.check("BIO-01")
def test_models_without_a_sensor_do_not_know_the_command() -> None:
    bench = Bench(CTAP_2_1)
    assert bench.status(BIO, {6: True}) == S.INVALID_COMMAND
    assert bench.status(PREVIEW, {6: True}) == S.INVALID_COMMAND
    assert "bioEnroll" not in bench.info()[4]


@pytest.mark.check("BIO-02")
def test_the_sensor(small: Platform) -> None:
    assert bare(small.bench, SENSOR).body == {2: 2, 3: 3, 8: 8}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        case("BIO-01", {1: 1, 2: 0}, S.INVALID_SUBCOMMAND),
        case("BIO-01", {1: 1, 2: 8}, S.INVALID_SUBCOMMAND),
        case("BIO-01", {1: 1, 2: 2**40}, S.INVALID_SUBCOMMAND),
        case("BIO-01", {}, S.MISSING_PARAMETER),
        case("BIO-01", {6: False}, S.MISSING_PARAMETER),
        case("BIO-01", {1: 1}, S.MISSING_PARAMETER),
        case("BIO-01", {2: SENSOR}, S.MISSING_PARAMETER),
        case("BIO-01", {1: 2, 2: SENSOR}, S.INVALID_PARAMETER),
        case("CBR-07", {6: 1}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {1: "1", 2: 7}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {1: 1, 2: 7, 3: []}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {1: 1, 2: 7, 5: "mac"}, S.CBOR_UNEXPECTED_TYPE),
    ],
)
def test_faults_without_authorization(bench: Bench, asked: Any, expected: int) -> None:
    assert bench.status(BIO, asked) == expected
    assert bench.touches() == 0


# --- the authorization ---------------------------------------------------------------------------


@pytest.mark.check("BIO-06")
@pytest.mark.parametrize("sub", NAMED)
@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({5: MISSING}, S.PUAT_REQUIRED),
        ({4: MISSING}, S.MISSING_PARAMETER),
        ({4: 3}, S.INVALID_PARAMETER),
        ({5: bytes(32)}, S.PIN_AUTH_INVALID),
        ({5: b""}, S.PIN_AUTH_INVALID),
    ],
)
def test_every_change_is_authorized(
    pinned: Platform, sub: int, patch: dict[int, Any], expected: int
) -> None:
    good = request(pinned, sub, NAMED[sub])
    assert pinned.bench.status(BIO, patched(good, patch)) == expected
    assert pinned.bench.touches() == 0
    assert pinned.bench.state.templates == ()


@pytest.mark.check("TOK-11", "BIO-06")
def test_the_mac_covers_modality_subcommand_and_parameters(pinned: Platform) -> None:
    good = request(pinned, BEGIN, {3: 1000})
    for patch in ({2: LIST}, {3: {3: 1001}}, {3: MISSING}):
        assert pinned.bench.status(BIO, patched(good, patch)) == S.PIN_AUTH_INVALID
    assert pinned.bench.status(BIO, good) == S.OK


@pytest.mark.check("TOK-08", "BIO-06")
@pytest.mark.parametrize("permissions", [1, 2, 3, 4, 0x10, 0x20, 0x40])
def test_other_permissions_do_not_do(pinned: Platform, permissions: int) -> None:
    token = pinned.token(PIN_CODE, permissions)
    assert pinned.bench.status(BIO, request(pinned, LIST, token=token)) == S.PIN_AUTH_INVALID


@pytest.mark.check("TOK-08")
def test_a_token_of_getpintoken_does_not_do(pinned: Platform) -> None:
    sealed = pinned.bench.ok(PIN, pinned.old_token_request(PIN_CODE))[2]
    asked = request(pinned, LIST, token=pinned.open(sealed))
    assert pinned.bench.status(BIO, asked) == S.PIN_AUTH_INVALID


@pytest.mark.check("BIO-06")
def test_a_token_without_a_pin_cannot_enroll(bench: Bench) -> None:
    assert bare(bench, BEGIN).status == S.PUAT_REQUIRED


@pytest.mark.check("BIO-06", "PIN-22")
def test_a_finger_authorizes_the_next_one(sensed: Platform) -> None:
    token = sensed.uv_token(BE)
    assert sensed.bench.ok(BIO, request(sensed, LIST, token=token))[7][0][2] == ""


# --- enrolling -----------------------------------------------------------------------------------


@pytest.mark.check("BIO-03", "GI-12")
def test_a_finger_is_enrolled(pinned: Platform) -> None:
    begun = call(pinned, BEGIN)
    assert begun == {4: begun[4], 5: 0, 6: 4}
    replies = [call(pinned, NEXT, {1: begun[4]}) for _ in range(3)]
    assert replies == [{5: 0, 6: remaining} for remaining in (3, 2, 1)]
    options = pinned.bench.info()[4]
    assert (options["uv"], options["bioEnroll"]) == (False, False)
    assert call(pinned, NEXT, {1: begun[4]}) == {5: 0, 6: 0}
    options = pinned.bench.info()[4]
    assert (options["uv"], options["bioEnroll"]) == (True, True)
    assert listed(pinned) == {begun[4]: ""}


@pytest.mark.check("BIO-03", "MC-18")
def test_an_enrolled_finger_verifies(pinned: Platform) -> None:
    bench = pinned.bench
    assert bench.status(MC, make_request(uv=True)) == S.INVALID_OPTION
    enroll(pinned)
    assert bench.make(uv=True).data.uv
    assert bench.info()[0x12] == 2


@pytest.mark.check("BIO-03")
def test_beginning_again_cancels_the_first(small: Platform) -> None:
    first, second = call(small, BEGIN)[4], call(small, BEGIN)[4]
    assert first != second
    assert status(small, NEXT, {1: first}) == S.INVALID_OPTION
    assert call(small, NEXT, {1: second})[6] == 1


SAMPLES = [
    (Outcome.SAMPLE_HIGH, 1),
    (Outcome.SAMPLE_LOW, 2),
    (Outcome.SAMPLE_LEFT, 3),
    (Outcome.SAMPLE_RIGHT, 4),
    (Outcome.SAMPLE_FAST, 5),
    (Outcome.SAMPLE_SLOW, 6),
    (Outcome.SAMPLE_POOR, 7),
    (Outcome.SAMPLE_SKEWED, 8),
    (Outcome.SAMPLE_SHORT, 9),
    (Outcome.SAMPLE_UNMERGED, 10),
    (Outcome.SAMPLE_KNOWN, 11),
    (Outcome.TIMED_OUT, 13),
    (Outcome.SAMPLE_UNMOVED, 14),
]


@pytest.mark.check("BIO-07", "BIO-03")
@pytest.mark.parametrize(("sample", "feedback"), SAMPLES)
def test_bad_samples_are_named_and_do_not_count(
    small: Platform, sample: Outcome, feedback: int
) -> None:
    small.bench.person.will(sample, Outcome.SAMPLE_GOOD, sample)
    begun = call(small, BEGIN)
    assert (begun[5], begun[6]) == (feedback, 3)
    assert call(small, NEXT, {1: begun[4]}) == {5: 0, 6: 2}
    assert call(small, NEXT, {1: begun[4]}) == {5: feedback, 6: 2}
    assert small.bench.state.templates == ()


@pytest.mark.check("BIO-03")
@pytest.mark.parametrize(
    ("end", "expected"),
    [(Outcome.REFUSED, S.OPERATION_DENIED), (Outcome.CANCELED, S.KEEPALIVE_CANCEL)],
)
def test_a_sample_that_never_comes(small: Platform, end: Outcome, expected: int) -> None:
    small.bench.person.will(end)
    assert status(small, BEGIN) == expected


@pytest.mark.check("BIO-03")
@pytest.mark.parametrize(
    ("asked", "waits"), [(None, 30_000), (5000, 5000), (0, 0), (2**60, 30_000)]
)
def test_the_platform_bounds_the_wait(small: Platform, asked: int | None, waits: int) -> None:
    made = request(small, BEGIN, None if asked is None else {3: asked})
    engine = small.bench.authenticator
    need = engine.begin(bytes([BIO]) + cbor.encode(made))
    assert need == NeedsPresence(PresenceKind.SAMPLE, small.bench.clock.now + waits)
    assert engine.resume(Outcome.TIMED_OUT)[0] == 0


@pytest.mark.check("BIO-04")
def test_canceling(small: Platform) -> None:
    assert bare(small.bench, CANCEL).status == S.OK
    template = call(small, BEGIN)[4]
    assert bare(small.bench, CANCEL).status == S.OK
    assert status(small, NEXT, {1: template}) == S.INVALID_OPTION


def test_power_takes_a_half_enrolled_finger_away(small: Platform) -> None:
    template = call(small, BEGIN)[4]
    small.bench.authenticator.power_cycle()
    small.agree()
    assert status(small, NEXT, {1: template}) == S.INVALID_OPTION


@pytest.mark.check("BIO-06")
def test_a_full_sensor(small: Platform) -> None:
    both = {enroll(small), enroll(small)}
    assert status(small, BEGIN) == S.FP_DATABASE_FULL
    assert set(listed(small)) == both
    assert status(small, REMOVE, {1: both.pop()}) == S.OK
    enroll(small)


# --- what is enrolled ----------------------------------------------------------------------------


@pytest.mark.check("BIO-04")
def test_nothing_to_list(small: Platform) -> None:
    assert status(small, LIST) == S.INVALID_OPTION


@pytest.mark.check("BIO-05")
def test_renaming(small: Platform) -> None:
    thumb, index = enroll(small), enroll(small)
    assert status(small, RENAME, {1: thumb, 2: "thümb"}) == S.OK
    assert listed(small) == {thumb: "thümb", index: ""}
    assert status(small, RENAME, {1: thumb, 2: "x" * 8}) == S.OK
    assert status(small, RENAME, {1: thumb, 2: "ü" + "x" * 7}) == S.INVALID_LENGTH
    assert listed(small) == {thumb: "x" * 8, index: ""}


@pytest.mark.check("BIO-05", "GI-12")
def test_removing(small: Platform) -> None:
    thumb, index = enroll(small), enroll(small)
    assert status(small, REMOVE, {1: thumb}) == S.OK
    assert listed(small) == {index: ""}
    assert small.bench.info()[4]["uv"] is True
    assert status(small, REMOVE, {1: index}) == S.OK
    options = small.bench.info()[4]
    assert (options["uv"], options["bioEnroll"]) == (False, False)
    assert status(small, REMOVE, {1: index}) == S.INVALID_OPTION


@pytest.mark.parametrize(
    ("sub", "params", "expected"),
    [
        case("BIO-05", RENAME, {1: b"other", 2: "n"}, S.INVALID_OPTION),
        case("BIO-05", REMOVE, {1: b"other"}, S.INVALID_OPTION),
        case("BIO-05", NEXT, {1: b"other"}, S.INVALID_OPTION),
        case("BIO-05", RENAME, {2: "n"}, S.MISSING_PARAMETER),
        case("BIO-05", RENAME, {1: b"other"}, S.MISSING_PARAMETER),
        case("BIO-05", REMOVE, {}, S.MISSING_PARAMETER),
        case("BIO-05", REMOVE, None, S.MISSING_PARAMETER),
        case("BIO-05", NEXT, {}, S.MISSING_PARAMETER),
        case("CBR-07", REMOVE, {1: "text"}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", RENAME, {1: b"t", 2: b"n"}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", BEGIN, {3: "1 s"}, S.CBOR_UNEXPECTED_TYPE),
    ],
)
def test_faults_of_inner_parameters(small: Platform, sub: int, params: Any, expected: int) -> None:
    before = small.bench.state.templates
    assert status(small, sub, params) == expected
    assert small.bench.state.templates == before
    assert small.bench.touches() == 0


@pytest.mark.check("BIO-03", "RST-05")
def test_fingers_outlive_power_and_die_with_a_reset(small: Platform) -> None:
    template = enroll(small)
    small.bench.power_up()
    small.agree()
    assert listed(small) == {template: ""}
    small.bench.ok(RESET)
    assert small.bench.state.templates == ()
    assert small.bench.info()[4]["uv"] is False


def test_a_token_made_with_a_finger() -> None:
    bench = Bench(uv=True)
    (template,) = bench.state.templates
    assert template == Template(template.id)
    assert bench.info()[4]["bioEnroll"] is True


# --- the preview ---------------------------------------------------------------------------------


@pytest.mark.check("BIO-01")
def test_the_default_model_serves_both_numbers(pinned: Platform) -> None:
    template = enroll(pinned)
    assert pinned.bench.info()[4]["userVerificationMgmtPreview"] is True
    listing = pinned.bench.ok(PREVIEW, request(pinned, LIST))
    assert listing == {7: [{1: template, 2: ""}]}


PRE = replace(
    CTAP_2_1.with_options(userVerificationMgmtPreview=False, uv=False),
    versions=("FIDO_2_0", "FIDO_2_1_PRE"),
    behavior=replace(CTAP_2_1.behavior, token_usage_ms=None, token_has_permissions=False),
)


@pytest.mark.check("BIO-01", "BIO-03")
def test_the_preview_is_the_same_command() -> None:
    platform = Platform(Bench(PRE), 1)
    bench = platform.bench
    platform.set_pin(PIN_CODE)
    token = platform.open(bench.ok(PIN, platform.old_token_request(PIN_CODE))[2])
    assert bench.status(BIO, {6: True}) == S.INVALID_COMMAND
    assert bench.ok(PREVIEW, {6: True}) == {1: 1}
    assert bench.info()[4]["userVerificationMgmtPreview"] is False
    begun = bench.ok(PREVIEW, request(platform, BEGIN, token=token))
    for _ in range(begun[6]):
        bench.ok(PREVIEW, request(platform, NEXT, {1: begun[4]}, token=token))
    options = bench.info()[4]
    assert (options["uv"], options["userVerificationMgmtPreview"]) == (True, True)


# --- anything at all -----------------------------------------------------------------------------

VALUES = (
    st.none() | st.booleans() | st.integers(-3, 2**33) | st.binary(max_size=9) | st.text(max_size=9)
)
INNER = st.dictionaries(st.integers(0, 4), VALUES, max_size=4)


@pytest.mark.check("CBR-14")
@given(asked=st.dictionaries(st.integers(0, 7), VALUES | INNER, max_size=7))
def test_no_request_without_authorization_changes_anything(asked: dict[int, Any]) -> None:
    bench = Bench(SMALL, uv=True)
    before = bench.state
    bench.call(BIO, asked)
    assert bench.state == before
    assert bench.touches() == 0


@pytest.mark.check("CBR-14", "BIO-03", "BIO-05")
@given(data=st.data())
def test_random_lives_of_fingers(data: st.DataObject) -> None:
    """Against a model: what is stored is what good samples made, under its last name."""
    platform = Platform(Bench(SMALL))
    platform.set_pin(PIN_CODE)
    granted = platform.token(PIN_CODE, BE)
    known: dict[bytes, str] = {}
    current: tuple[bytes, int] | None = None

    def ask(sub: int, params: Any = None) -> Any:
        return platform.bench.call(BIO, request(platform, sub, params, token=granted))

    def looked(
        template: bytes, before: int, sample: Outcome, body: Any
    ) -> tuple[bytes, int] | None:
        left = before - (sample is Outcome.SAMPLE_GOOD)
        assert body[6] == left
        if left == 0:
            known[template] = ""
        return (template, left) if left else None

    for _ in range(data.draw(st.integers(1, 12))):
        sub = data.draw(st.sampled_from([BEGIN, NEXT, NEXT, NEXT, CANCEL, RENAME, REMOVE]))
        sample = data.draw(st.sampled_from([Outcome.SAMPLE_GOOD] * 3 + [o for o, _ in SAMPLES]))
        chosen = data.draw(st.sampled_from([b"stranger", *known]))
        if sub == BEGIN:
            platform.bench.person.script = deque([sample])
            answer = ask(BEGIN)
            full = len(known) == SMALL.fingerprint.max_templates
            assert (answer.status == S.FP_DATABASE_FULL) is full
            current = None if full else looked(answer.body[4], 3, sample, answer.body)
        elif sub == NEXT:
            platform.bench.person.script = deque([sample])
            answer = ask(NEXT, {1: current[0] if current else chosen})
            assert answer.status == (S.OK if current else S.INVALID_OPTION)
            current = looked(*current, sample, answer.body) if current else None
        elif sub == CANCEL:
            assert bare(platform.bench, CANCEL).status == S.OK
            current = None
        elif sub == RENAME:
            assert (ask(RENAME, {1: chosen, 2: "new"}).status == S.OK) is (chosen in known)
            known |= {chosen: "new"} if chosen in known else {}
        else:
            assert (ask(REMOVE, {1: chosen}).status == S.OK) is (chosen in known)
            known.pop(chosen, None)
        stored = {template.id: template.name for template in platform.bench.state.templates}
        assert stored == known
        assert platform.bench.info()[4]["uv"] is bool(known)

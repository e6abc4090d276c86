"""JUnit XML: a parser reads it, and a build fails by what breaks a rule and by what is doubtful."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from tests.server.check.formats.samples import ADVICE, FINDINGS, HOSTILE, RULES

from fidokit.server.check.findings.finding import CheckFinding
from fidokit.server.check.formats.junit import junit


def document(findings: list[CheckFinding], users: list[str], rules: tuple[str, ...]) -> ET.Element:
    text = "".join(junit(findings, users, rules, ADVICE))
    # What is written to a file or a pipe must encode, whatever names hold.
    return ET.fromstring(text.encode("utf-8"))


def cases(root: ET.Element) -> dict[tuple[str, str], ET.Element]:
    found = {(c.attrib["classname"], c.attrib["name"]): c for c in root.iter("testcase")}
    assert len(found) == len(list(root.iter("testcase")))
    return found


def test_a_test_for_each_user_and_rule() -> None:
    found = cases(document([], ["alice", "bob"], RULES))
    assert set(found) == {(user, rule) for user in ("alice", "bob") for rule in RULES}
    assert all(len(case) == 0 for case in found.values())


def test_what_breaks_is_a_failure_and_doubt_an_error() -> None:
    root = document(FINDINGS, ["alice", "bob", HOSTILE], RULES)
    found = cases(root)
    (failure,) = found["alice", "hardware"]
    assert (failure.tag, failure.attrib["type"]) == ("failure", "FK101")
    assert "next: " in (failure.text or "")
    (failure,) = found["bob", "no-password"]
    assert "/etc/ssh/sshd_config:57" in (failure.text or "")
    unknown = [case for (user, _), case in found.items() if "owned" in user]
    assert len(unknown) == len(RULES)
    doubts = [child for case in unknown for child in case]
    assert [doubt.tag for doubt in doubts] == ["error", "error"]
    assert all("cannot be known: " in doubt.attrib["message"] for doubt in doubts)
    assert found["server", "FK303 /etc/ssh"][0].tag == "failure"
    assert found["server", "FK404"][0].tag == "error"
    assert len(found["alice", "verify"]) == 0


def test_the_numbers_add_up() -> None:
    root = document(FINDINGS, ["alice", "bob", HOSTILE], RULES)
    (suite,) = root
    for element in (root, suite):
        assert int(element.attrib["tests"]) == len(list(root.iter("testcase")))
        assert int(element.attrib["failures"]) == len(list(root.iter("failure"))) == 3
        assert int(element.attrib["errors"]) == len(list(root.iter("error"))) == 3


def test_a_known_violation_outweighs_a_doubt() -> None:
    sure, doubt = FINDINGS[0], FINDINGS[0]._replace(doubt=True)
    for order in ([sure, doubt], [doubt, sure]):
        (child,) = cases(document(order, ["alice"], ("hardware",)))["alice", "hardware"]
        assert child.tag == "failure"
        assert (child.text or "").count("FK101") == 2


def test_hostile_text_makes_no_element() -> None:
    root = document(FINDINGS, ["alice", "bob", HOSTILE], RULES)
    tags = {element.tag for element in root.iter()}
    assert tags == {"testsuites", "testsuite", "testcase", "failure", "error"}
    for element in root.iter():
        for value in element.attrib.values():
            assert value.isprintable()

"""SARIF 2.1.0: what its schema requires, and what GitHub and editors look at."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_to_bytes, urlparse

import pytest
from tests.server.check.formats.samples import ADVICE, FINDINGS

from fidokit.findings import KINDS
from fidokit.server.check.formats.sarif import sarif

LEVELS = {"none", "note", "warning", "error"}


def document(*, holds: bool = False) -> Any:
    text = "".join(sarif(FINDINGS, ADVICE, holds=holds))
    assert text.isascii()
    return json.loads(text)


def strict(value: Any, required: dict[str, type], optional: dict[str, type]) -> None:
    """An object with these members and no others."""
    assert isinstance(value, dict)
    assert required.keys() <= value.keys() <= required.keys() | optional.keys()
    for name, kind in {**required, **optional}.items():
        if name in value:
            assert isinstance(value[name], kind), name


def check_location(location: Any) -> None:
    strict(location, {"physicalLocation": dict}, {})
    physical = location["physicalLocation"]
    strict(physical, {"artifactLocation": dict}, {"region": dict})
    strict(physical["artifactLocation"], {"uri": str}, {})
    assert urlparse(physical["artifactLocation"]["uri"]).scheme == "file"
    if "region" in physical:
        strict(physical["region"], {"startLine": int}, {})
        assert physical["region"]["startLine"] >= 1


def test_every_object_is_as_the_schema_has_it() -> None:
    found = document()
    strict(found, {"version": str, "runs": list}, {"$schema": str})
    assert found["version"] == "2.1.0"
    (run,) = found["runs"]
    strict(run, {"tool": dict, "results": list}, {"invocations": list})
    for invocation in run["invocations"]:
        strict(invocation, {"executionSuccessful": bool}, {"exitCode": int})
    strict(run["tool"], {"driver": dict}, {})
    driver = run["tool"]["driver"]
    strict(driver, {"name": str}, {"version": str, "rules": list})
    for rule in driver["rules"]:
        strict(rule, {"id": str}, {"shortDescription": dict, "defaultConfiguration": dict})
        strict(rule["shortDescription"], {"text": str}, {})
        assert rule["defaultConfiguration"]["level"] in LEVELS
    assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
    for result in run["results"]:
        strict(
            result,
            {"message": dict, "ruleId": str, "ruleIndex": int, "level": str},
            {"locations": list, "relatedLocations": list, "properties": dict},
        )
        strict(result["message"], {"text": str}, {})
        assert result["level"] in LEVELS
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        for location in [*result.get("locations", []), *result.get("relatedLocations", [])]:
            check_location(location)


def test_each_finding_is_a_result() -> None:
    results = document()["runs"][0]["results"]
    assert [result["ruleId"] for result in results] == [finding.kind.id for finding in FINDINGS]
    levels = [result["level"] for result in results]
    assert levels == ["error", "error", "error", "warning", "error", "note"]
    assert [result["properties"]["doubt"] for result in results] == [
        finding.doubt for finding in FINDINGS
    ]
    for result, finding in zip(results, FINDINGS, strict=True):
        assert ("cannot be known: " in result["message"]["text"]) is finding.doubt
        assert result["message"]["text"].isprintable()


def test_places_are_the_lines_that_decide() -> None:
    key, password, *_ = document()["runs"][0]["results"]
    (location,) = key["locations"]
    uri = location["physicalLocation"]["artifactLocation"]["uri"]
    shown = unquote_to_bytes(urlparse(uri).path).decode("utf-8", "surrogateescape")
    assert shown == FINDINGS[0].path
    (location,) = password["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "file:///etc/ssh/sshd_config"},
        "region": {"startLine": 57},
    }


@pytest.mark.parametrize(("holds", "code"), [(True, 0), (False, 10)])
def test_the_exit_status(holds: bool, code: int) -> None:
    assert document(holds=holds)["runs"][0]["invocations"][0]["exitCode"] == code


def test_doctors_findings_are_not_among_the_rules() -> None:
    rules = {rule["id"] for rule in document()["runs"][0]["tool"]["driver"]["rules"]}
    assert rules == {kind for kind in KINDS if kind < "FK5"}


def test_nothing_found() -> None:
    assert json.loads("".join(sarif([], ADVICE, holds=True)))["runs"][0]["results"] == []

"""A fleet's report for programs and browsers: valid, whole, and no text becomes anything else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.fleet.planning.audits import account, audited, key_line
from tests.fleet.report.fleets import ANA, HOSTILE, NOW, SPARE, big_fleet, report, rows
from tests.fleet.report.test_joined import POLICY
from tests.server.check.formats.test_openmetrics import parse
from tests.server.check.formats.test_sarif import LEVELS, strict

from fidokit.findings import KINDS
from fidokit.fleet.report.conclusions import conclusions
from fidokit.fleet.report.formats.document import fleet_document
from fidokit.fleet.report.formats.openmetrics import fleet_openmetrics
from fidokit.fleet.report.formats.page import fleet_page
from fidokit.fleet.report.formats.sarif import fleet_sarif
from fidokit.fleet.report.host_lines import host_line
from fidokit.fleet.report.joined import FleetReport

WEB1 = audited("web1", account("root", [key_line(ANA)]), account("old", [key_line(SPARE)]))
BEFORE = {row.host: host_line(row) for row in rows([WEB1])}


def full() -> FleetReport:
    return report(policy=POLICY, before=BEFORE, rules=["hardware"])


def test_conclusions() -> None:
    found = list(conclusions(full()))
    assert {one.kind.id for one in found} == {"FK101", "FK601", "FK602", "FK603", "FK604", "FK605"}
    (strange,) = [one for one in found if one.kind.id == "FK602"]
    assert (strange.host, strange.rules) == ("db1", ("policy",))


# --- JSON ------------------------------------------------------------------------------------


def test_json() -> None:
    text = "".join(fleet_document(full()))
    assert text.isascii()
    assert "\x1b" not in text
    found = json.loads(text)["fleet"]
    assert [host["host"] for host in found["hosts"]] == ["db1", "down1", "evil1", "web1", "web2"]
    assert found["hosts"][0]["troubles"][0]["account"] == HOSTILE
    (ana,) = [key for key in found["keys"] if key["fingerprint"] == ANA]
    assert (ana["owner"], ana["token"], ana["hosts"]) == ("ana", "blue", 2)
    assert found["people_without_backup"] == [
        {"person": "ana", "places": 2, "open": 1, "example": "root@web2"}
    ]
    assert found["drift"]["compared"] == 1
    assert {change["change"] for change in found["drift"]["changes"]} == {"appeared", "gone"}
    summary = found["summary"]
    assert summary["states"] == {"checked": 3, "down": 1, "hostile": 1}
    assert (summary["holds"], summary["unknown_keys"]) == (False, 1)
    assert summary["require"] == ["hardware"]
    lines = text.splitlines()
    assert sum(line.startswith('  {"host"') for line in lines) == 5


def test_json_of_nothing() -> None:
    found = json.loads("".join(fleet_document(report([]))))["fleet"]
    assert (found["hosts"], found["keys"], found["summary"]["holds"]) == ([], [], None)


# --- SARIF -----------------------------------------------------------------------------------


def test_sarif() -> None:
    text = "".join(fleet_sarif(full()))
    assert text.isascii()
    found = json.loads(text)
    strict(found, {"version": str, "runs": list}, {"$schema": str})
    (run,) = found["runs"]
    strict(run, {"tool": dict, "results": list}, {"invocations": list})
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 10}]
    described = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in described}) == len(described)
    assert len(run["results"]) == len(list(conclusions(full())))
    for result in run["results"]:
        check_result(result, described)


def check_result(result: Any, described: Any) -> None:
    required = {"ruleId": str, "ruleIndex": int, "level": str, "message": dict, "properties": dict}
    strict(result, required, {"locations": list})
    assert described[result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["level"] in LEVELS
    assert result["message"]["text"].isprintable()
    for location in result.get("locations", ()):
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"sftp://[\w.%-]+/[\w./%~-]*", uri)


# --- OpenMetrics -----------------------------------------------------------------------------


def test_openmetrics() -> None:
    found = parse("".join(fleet_openmetrics(full())))
    values = {(name, *sorted(labels)): number for (name, labels), number in found.items()}
    assert values["fidokit_fleet_hosts", ("state", '"checked"')] == 3
    assert values["fidokit_fleet_hosts", ("state", '"no-python"')] == 0
    assert values["fidokit_fleet_host_checked", ("host", '"down1"')] == 0
    assert values["fidokit_fleet_keys", ("by", '"file-key"'), ("known", '"no"')] == 1
    assert values[("fidokit_fleet_people_without_backup",)] == 1
    assert values["fidokit_fleet_changes", ("change", '"gone"')] == 1
    assert values[("fidokit_fleet_holds",)] == 0
    assert ("fidokit_fleet_holds",) not in {
        (name, *labels) for name, labels in parse("".join(fleet_openmetrics(report())))
    }


# --- HTML ------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    VOID = frozenset({"meta", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._inside, []).append(data)


def test_html_loads_nothing_and_lets_nothing_in() -> None:
    text = "".join(fleet_page(full(), NOW))
    page = Page(text)
    scripts = [attrs for tag, attrs in page.tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}, {}]
    loading = {"src", "href", "action", "srcset", "style", "data", "poster"}
    for tag, attrs in page.tags:
        assert not loading & attrs.keys(), (tag, attrs)
        assert not [name for name in attrs if name.startswith("on")]
        assert tag not in {"link", "iframe", "img", "object", "base", "form"}
    assert "http" not in re.sub(r"http-equiv", "", text)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script>alert" not in text


def test_the_policy_of_the_page_lets_its_own_script_run() -> None:
    text = "".join(fleet_page(full(), NOW))
    page = Page(text)
    (policy,) = [str(attrs["content"]) for tag, attrs in page.tags if "http-equiv" in attrs]
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        (source,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_html_has_everything() -> None:
    page = Page("".join(fleet_page(full(), NOW)))
    data = json.loads(page.texts["script"][0])
    assert [host[0] for host in data["hosts"]] == ["db1", "down1", "evil1", "web1", "web2"]
    assert {key[0] for key in data["keys"]} >= {ANA, SPARE}
    for host in data["hosts"]:
        for account_number, way, key, flags in host[5]:
            assert data["accounts"][account_number] is not None
            assert data["ways"][way]
            assert key == -1 or data["keys"][key]
            assert flags in range(4)
    words = " ".join(page.texts["td"] + page.texts["summary"])
    assert "cannot be reached" in words
    assert "root@web2" in words


@pytest.mark.parametrize("hosts", [3, 1500])
def test_html_of_many_hosts_has_few_elements(hosts: int) -> None:
    page = Page("".join(fleet_page(report(big_fleet(hosts, 4), POLICY), NOW)))
    assert len(page.tags) < 8000
    assert len(json.loads(page.texts["script"][0])["hosts"]) == hosts


def test_every_kind_is_described() -> None:
    assert {one.kind.id for one in conclusions(full())} <= KINDS.keys()

"""The HTML of `fleet check` in Debian's Chromium: its own script runs, and nothing else does."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest
from tests.fleet.report.fleets import HOSTILE, NOW, big_fleet, report
from tests.fleet.report.formats.test_fleet_formats import full
from tests.support.agent_host import stock

from fidokit.fleet.report.formats.page import fleet_page
from fidokit.fleet.report.joined import FleetReport
from fidokit.server.check.formats.sentences import visible

with suppress(ModuleNotFoundError):  # `make test` collects these tests, and runs none of them
    from playwright.sync_api import Browser, Page, expect, sync_playwright

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif("FIDOKIT_MATRIX" in os.environ, reason="browsers are on the host alone"),
]
FLAGS = ["--no-sandbox"] if os.geteuid() == 0 else []


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=stock("chromium"), args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page that may ask for nothing beyond its own file, and complain of nothing."""
    complaints: list[str] = []
    with chromium.new_context() as context:
        made = context.new_page()
        made.on("console", lambda message: complaints.append(message.text))
        made.on("pageerror", lambda error: complaints.append(str(error)))
        made.on("dialog", lambda dialog: complaints.append(dialog.message))
        made.on("request", lambda request: complaints.append(request.url) if made.url else None)
        yield made
    assert [one for one in complaints if not one.startswith("file://")] == []


def show(page: Page, folder: Path, found: FleetReport) -> None:
    file = folder / "fleet.html"
    file.write_text("".join(fleet_page(found, NOW)))
    page.goto(f"file://{file}")


def test_hosts_and_keys_unfold(page: Page, tmp_path: Path) -> None:
    show(page, tmp_path, full())
    assert page.locator("#count").inner_text() == "5 of 5 hosts, 5 shown"
    first = page.locator("#list details").first
    first.locator("summary").click()
    text = first.inner_text()
    assert visible(HOSTILE) in text
    assert "not in the policy" in text
    page.locator("#what").select_option("keys")
    page.locator("#filter").fill("BLUE")
    expect(page.locator("#count")).to_have_text(re.compile("^1 of"))
    key = page.locator("#list details").first
    key.locator("summary").click()
    assert key.locator("tbody tr").all_inner_texts() == ["web1\troot", "web2\troot"]


def test_only_with_problems(page: Page, tmp_path: Path) -> None:
    show(page, tmp_path, full())
    page.locator("#odd").check()
    names = page.locator("#list summary").all_inner_texts()
    assert [name.split()[0] for name in names] == ["db1", "down1", "evil1"]


def test_ten_thousand_hosts(page: Page, tmp_path: Path) -> None:
    show(page, tmp_path, report(big_fleet(10_000, 10)))
    assert page.locator("#count").inner_text() == "10,000 of 10,000 hosts, 200 shown"
    assert page.locator("*").count() < 2000
    page.locator("#more").click()
    assert page.locator("#list details").count() == 400
    page.locator("#filter").fill("p7@4711")
    expect(page.locator("#count")).to_have_text(re.compile("^1 of"))
    expect(page.locator("#list summary")).to_have_text(re.compile("^host04711"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(page: Page, tmp_path: Path, scheme: Literal["light", "dark"]) -> None:
    """4.5 or more for all text, as WCAG 2 has it (success criterion 1.4.3)."""
    page.emulate_media(color_scheme=scheme)
    show(page, tmp_path, full())
    colors = page.evaluate(
        """() => [...document.querySelectorAll("b, small, th, td, summary, p, h1, label")].map(
          (shown) => {
            const ground = (node) => getComputedStyle(node).backgroundColor;
            let under = shown;
            while (ground(under) === "rgba(0, 0, 0, 0)") under = under.parentElement;
            return [getComputedStyle(shown).color, ground(under)];
          })"""
    )
    assert len(colors) > 20
    assert min(contrast(*pair) for pair in colors) >= 4.5


def contrast(ink: str, ground: str) -> float:
    lights = sorted(map(luminance, (ink, ground)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(color: str) -> float:
    parts = [int(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

"""Pages in Debian's Chromium, whose navigator.credentials a virtual token answers.

By Playwright and by Selenium; the site judges, and Chromium's own virtual authenticator, with which
credentials are exchanged.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from fido2.utils import websafe_decode
from fido2.webauthn import UserVerificationRequirement
from tests.interop.browser import Door
from tests.support.agent_host import stock

from fidokit.lab import export_credentials, import_credentials
from fidokit.testing import BrowserToken, TokenFactory, WatchedToken

with suppress(ModuleNotFoundError):  # `make test` collects these tests, and runs none of them
    from playwright.async_api import async_playwright
    from playwright.sync_api import Browser, Page, sync_playwright
    from selenium import webdriver
    from selenium.webdriver.common.virtual_authenticator import (
        Credential,
        VirtualAuthenticatorOptions,
    )

pytestmark = [
    pytest.mark.interop,
    pytest.mark.long,
    pytest.mark.skipif("FIDOKIT_MATRIX" in os.environ, reason="browsers are on the host alone"),
]
FLAGS = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]

CREATE = """
publicKey: {rp: {name: "Door"}, user: {id: new Uint8Array([7]), name: "ada", displayName: "Ada"},
  challenge: new Uint8Array(32), pubKeyCredParams: [{type: "public-key", alg: -7}],
  authenticatorSelection: {residentKey: "required", userVerification: "discouraged"}}"""
GET = "publicKey: {challenge: new Uint8Array(32), userVerification: 'discouraged'}"


@pytest.fixture
def token() -> Iterator[WatchedToken]:
    factory = TokenFactory()
    yield factory()
    assert factory.close() == []


@pytest.fixture
def site() -> Iterator[Door]:
    made = Door(UserVerificationRequirement.DISCOURAGED)
    yield made
    made.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=stock("chromium"), args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def page(chromium: Browser, token: WatchedToken, site: Door) -> Iterator[Page]:
    """At the site, by Playwright."""
    browser = BrowserToken(token)
    with chromium.new_context() as context:
        browser.playwright(context)
        made = context.new_page()
        made.goto(site.url)
        yield made
    browser.close()


@pytest.fixture
def driver() -> Iterator[webdriver.Chrome]:
    """By Selenium."""
    options = webdriver.ChromeOptions()
    options.binary_location = stock("chromium")
    for flag in ["--headless=new", *FLAGS]:
        options.add_argument(flag)
    service = webdriver.ChromeService(stock("chromedriver"))
    with webdriver.Chrome(options, service) as made:
        yield made


@pytest.fixture
def tab(driver: webdriver.Chrome, token: WatchedToken, site: Door) -> Iterator[webdriver.Chrome]:
    """At the site, by Selenium."""
    browser = BrowserToken(token)
    browser.selenium(driver)
    driver.get(site.url)
    yield driver
    browser.close()


def in_tab(driver: webdriver.Chrome, act: str) -> Any:
    """What an expression of the page comes to, awaited."""
    awaited = f"Promise.resolve({act}).then(done, error => done(String(error)))"
    return driver.execute_async_script(f"const done = arguments[0]; {awaited}")


KINDS = f"""async () => {{
  const made = await navigator.credentials.create({{{CREATE}}})
  const found = await navigator.credentials.get({{{GET}}})
  const plain = await navigator.credentials.get({{password: true}})
  return {{
    made: made instanceof PublicKeyCredential,
    attested: made.response instanceof AuthenticatorAttestationResponse,
    asserted: found.response instanceof AuthenticatorAssertionResponse,
    bytes: [made.rawId, made.response.attestationObject, made.response.getPublicKey(),
      found.response.signature, found.response.userHandle].map((one) => one instanceof ArrayBuffer),
    same: found.id === made.id, plain,
    json: JSON.stringify(made),
  }}
}}"""


def test_a_page_gets_what_browsers_give(page: Page) -> None:
    seen = page.evaluate(KINDS)
    whole = json.loads(seen.pop("json"))
    assert whole["response"]["transports"] == ["usb"]
    assert seen == {
        "made": True,
        "attested": True,
        "asserted": True,
        "bytes": [True] * 5,
        "same": True,
        "plain": None,
    }


@pytest.mark.parametrize(
    ("act", "error"),
    [
        ("create({publicKey: {}})", "TypeError"),
        ("get({publicKey: {challenge: 'a text'}})", "TypeError"),
        (f"get({{{GET}, mediation: 'conditional'}})", "TypeError"),
        (f"get({{{GET}}})", "NotAllowedError"),
        ("get({publicKey: {challenge: new Uint8Array(9), rpId: 'example.org'}})", "SecurityError"),
        (f"create({{{CREATE}, signal: AbortSignal.abort()}})", "AbortError"),
    ],
)
def test_errors_have_their_names(page: Page, act: str, error: str) -> None:
    name = page.evaluate(f"() => navigator.credentials.{act}.then(() => 'made', e => e.name)")
    assert name == error


def test_a_page_aborts(chromium: Browser, site: Door) -> None:
    factory = TokenFactory()
    token = factory(presence="script")
    browser = BrowserToken(token)
    with chromium.new_context() as context:
        browser.playwright(context)
        page = context.new_page()
        page.goto(site.url)
        reason = page.evaluate(f"""async () => {{
          const abort = new AbortController()
          setTimeout(() => abort.abort(new Error("enough")), 100)
          return navigator.credentials.create({{{CREATE}, signal: abort.signal}})
            .catch((error) => error.message)
        }}""")
        page.evaluate(f"() => {{ navigator.credentials.create({{{CREATE}}}) }}")
        page.goto(site.url)  # a document that is left asks no more
        for _ in range(1000):
            if token.waits.now is None:
                break
            page.wait_for_timeout(10)
        token.touch()
        assert page.evaluate(f"() => navigator.credentials.create({{{CREATE}}}).then(c => c.type)")
    assert reason == "enough"
    browser.close()
    assert factory.close() == []


def test_by_playwrights_async_api(token: WatchedToken, site: Door) -> None:
    async def run() -> Any:
        browser = BrowserToken(token)
        async with async_playwright() as playwright:
            chromium = await playwright.chromium.launch(
                executable_path=stock("chromium"), args=FLAGS
            )
            page = await chromium.new_page()
            await browser.playwright_async(page)
            await page.goto(site.url)
            made = await page.evaluate(
                f"() => navigator.credentials.create({{{CREATE}}}).then(c => c.type)"
            )
            await chromium.close()
        browser.close()
        return made

    with ThreadPoolExecutor() as beside:  # the sync API has a loop in this thread
        assert beside.submit(asyncio.run, run()).result(60) == "public-key"


FRAME = """const [url, allow] = arguments
const frame = document.createElement("iframe")
frame.allow = allow
frame.src = url
const loaded = new Promise(done => { frame.onload = done })
document.body.append(frame)
return loaded.then(() => null)"""


@pytest.mark.parametrize("allow", ["", "publickey-credentials-create *"])
def test_frames_of_others(tab: webdriver.Chrome, site: Door, allow: str) -> None:
    """A page of another site in a frame: only where it is let, and the client data say so."""
    other = site.url.replace("localhost", "shop.localhost")
    tab.execute_script(FRAME, other, allow)
    tab.switch_to.frame(0)
    made = in_tab(tab, f"navigator.credentials.create({{{CREATE}}}).then(c => c.toJSON())")
    if not allow:
        assert made.startswith("NotAllowedError")
        return
    data = json.loads(websafe_decode(made["response"]["clientDataJSON"]))
    assert (data["origin"], data["crossOrigin"], data["topOrigin"]) == (other, True, site.url)


def test_new_windows(tab: webdriver.Chrome, site: Door) -> None:
    tab.switch_to.new_window("window")
    tab.get(site.url)
    assert in_tab(tab, f"navigator.credentials.create({{{CREATE}}}).then(c => c.type)") == (
        "public-key"
    )


def test_a_page_that_calls_by_itself(tab: webdriver.Chrome) -> None:
    """Whatever it sends, the token goes on to answer."""
    tab.execute_script("for (const text of ['', '{', '[1]', '[1, {}]', 'null']) __fidokit(text)")
    made = in_tab(tab, f"navigator.credentials.create({{{CREATE}}}).then(c => c.type)")
    assert made == "public-key"


# --- credentials in and out ----------------------------------------------------------------------


def authenticator(driver: webdriver.Chrome) -> None:
    """Chromium's own."""
    options = VirtualAuthenticatorOptions()
    options.has_resident_key = True
    options.has_user_verification = True
    options.is_user_verified = True
    driver.add_virtual_authenticator(options)


def test_a_credential_of_chromiums_logs_in_by_the_token(
    driver: webdriver.Chrome, token: WatchedToken, site: Door
) -> None:
    """Made by its virtual authenticator, and taken over by way of WebDriver."""
    authenticator(driver)
    driver.get(site.url)
    made = in_tab(driver, f"navigator.credentials.create({{{CREATE}}}).then(c => c.id)")
    (found,) = driver.get_credentials()
    assert import_credentials(token, found.to_dict()) == [websafe_decode(made)]
    driver.remove_virtual_authenticator()
    browser = BrowserToken(token)
    browser.selenium(driver)
    driver.get(site.url)
    assert in_tab(driver, f"navigator.credentials.get({{{GET}}}).then(c => c.id)") == made
    assert browser.requests[-1].error is None
    browser.close()


def test_a_credential_of_the_token_logs_in_by_chromium(
    driver: webdriver.Chrome, token: WatchedToken, site: Door
) -> None:
    browser = BrowserToken(token)
    browser.selenium(driver)
    driver.get(site.url)
    made = in_tab(driver, f"navigator.credentials.create({{{CREATE}}}).then(c => c.id)")
    browser.close()
    (moved,) = export_credentials(token).credentials
    driver.switch_to.new_window("tab")  # where the script is not
    authenticator(driver)
    driver.add_credential(Credential.from_dict(moved))
    driver.get(site.url)
    assert in_tab(driver, "navigator.credentials.get.toString()").count("native code")
    assert in_tab(driver, f"navigator.credentials.get({{{GET}}}).then(c => c.id)") == made
    assert len(browser.requests) == 1

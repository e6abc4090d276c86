import pytest
from playwright.sync_api import expect

from fidokit.virtual.faults import Unplug


def test_registers_and_logs_in(site, fido_page):
    fido_page.goto(site.url)
    fido_page.click("#register")
    expect(fido_page.locator("output")).to_have_text("registered")
    fido_page.click("#login")
    expect(fido_page.locator("output")).to_have_text("logged in")


@pytest.mark.virtual_token(profile="ctap2.1", pin="123456")
@pytest.mark.parametrize("site", [{"verification": "required"}], indirect=True)
def test_the_user_types_a_pin(site, fido_page, fido_browser):
    fido_page.goto(site.url)
    fido_page.click("#register")
    expect(fido_page.locator("output")).to_have_text("registered")
    fido_browser.pin = "654321"
    fido_page.click("#login")
    expect(fido_page.locator("output")).to_have_text("NotAllowedError")


def test_a_key_is_registered_once(site, fido_page, fido_browser):
    fido_page.goto(site.url)
    fido_page.click("#register")
    expect(fido_page.locator("output")).to_have_text("registered")
    fido_page.click("#register")
    expect(fido_page.locator("output")).to_have_text("InvalidStateError")
    assert [request.kind for request in fido_browser.requests] == ["create", "create"]


def test_unplugged_while_the_page_waits(site, fido_page, virtual_token, fido_browser):
    virtual_token.faults.add(Unplug(), command=0x01)  # authenticatorMakeCredential
    fido_page.goto(site.url)
    fido_page.click("#register")
    expect(fido_page.locator("output")).to_have_text("NotAllowedError")
    assert isinstance(fido_browser.requests[-1].error, OSError)


def test_the_user_refuses(site, fido_page, virtual_token):
    virtual_token.refuse()
    fido_page.goto(site.url)
    fido_page.click("#register")
    expect(fido_page.locator("output")).to_have_text("NotAllowedError")

"""The site, and the browsers: Debian's Chromium, where pytest-playwright would bring its own."""

import os
import threading

import pytest
from door_site import Site
from playwright.sync_api import expect, sync_playwright
from selenium import webdriver

FLAGS = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]

expect.set_options(timeout=30_000)  # CI machines are busy


@pytest.fixture
def site(request):
    with Site(**getattr(request, "param", {})) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)


@pytest.fixture
def context(browser):
    with browser.new_context() as made:
        yield made


@pytest.fixture
def page(context):
    return context.new_page()


@pytest.fixture
def driver():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ["--headless=new", *FLAGS]:
        options.add_argument(flag)
    service = webdriver.ChromeService("/usr/bin/chromedriver")
    with webdriver.Chrome(options, service) as made:
        yield made

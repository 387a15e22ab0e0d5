"""A real headless Chromium with the network cut."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

REQUIRE = "VISION_APPS_REQUIRE_BROWSER"  # set where a missing browser is a failure, as in CI
_FLAGS = [
    "--headless=new",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--enable-unsafe-swiftshader",  # WebGL without a GPU, on pages of our own
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
_WITHIN = ("data:", "blob:", "chrome:", "chrome-untrusted:", "about:")  # what needs neither network nor file


@contextlib.contextmanager
def chromium(
    folder: Path, size: tuple[int, int] = (1280, 900), dark: bool = False
) -> Iterator[webdriver.Chrome]:
    """A browser whose profile lies in ``folder``; it can reach nothing but files and 127.0.0.1.

    The test is skipped where Chromium or its driver is not installed, and fails there when
    ``VISION_APPS_REQUIRE_BROWSER`` is set.

    Args:
        size: of what a page sees as its window, px.
        dark: the page is asked for its dark colours (``prefers-color-scheme``).
    """
    program, driver = _program("chromium", "chromium-browser", "google-chrome"), _program("chromedriver")
    if program is None or driver is None:
        reason = "no chromium and chromedriver on this machine"
        (pytest.fail if os.environ.get(REQUIRE) else pytest.skip)(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*_FLAGS, f"--user-data-dir={folder / 'chromium'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, Service(driver))  # a named driver: selenium downloads none
    try:
        # a window of a desktop is never narrower than 500 px, a page may be
        view = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", view)
        if dark:
            media = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        yield browser
    finally:
        browser.quit()


def requests(browser: webdriver.Chrome) -> list[str]:
    """Files and addresses that the pages have asked for since the last call, also those that could not be
    reached."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    return [address for address in asked if not address.startswith(_WITHIN)]


def console_errors(browser: webdriver.Chrome) -> list[str]:
    """Errors in the console of the pages since the last call; not warnings, which the graphics driver also
    writes."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def _program(*names: str) -> str | None:
    return next((found for found in map(shutil.which, names) if found), None)

"""The documentation's site: built strictly, without a network, and opened in a browser."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from filelock import FileLock
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from browser import chromium, console_errors, requests
from vision_apps.core.config import options

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as ``make docs`` builds it, links and anchors checked; workers of pytest-xdist share one."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    folder, built = place / "documentation", place / "documentation-built"
    with FileLock(place / "documentation.lock"):
        if not built.exists():
            words = [sys.executable, str(REPOSITORY / "docs" / "build.py"), str(folder)]
            done = subprocess.run(words, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            built.touch()
    return folder / "site"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_what_can_be_listed_has_its_place(site: Path) -> None:
    for group in ("model", "data"):
        for path in (REPOSITORY / "conf" / group).glob("*.yaml"):
            page = (site / f"docs/applications/{options.application_of(path.stem)}.html").read_text()
            assert f"<code>{options.short(path.stem)}</code>" in page, f"{path.name} has no row"
    for package in (REPOSITORY / "src/vision_apps").rglob("__init__.py"):
        name = ".".join(package.parent.relative_to(REPOSITORY / "src").parts)
        page = site / f"docs/reference/{name.removeprefix('vision_apps.')}.html"
        for module in package.parent.glob("[!_]*.py"):
            assert f'id="{name}.{module.stem}"' in page.read_text(), (
                f"{name}.{module.stem} is not in {page.name}"
            )


@pytest.mark.slow
def test_pages_opened_as_files_ask_for_nothing_outside(site: Path, tmp_path: Path) -> None:
    """All that are written by hand, and of the reference, which has one form, the shortest."""
    reference = min((site / "docs/reference").glob("*.html"), key=lambda page: page.stat().st_size)
    pages = {page for page in site.rglob("*.html") if page.parent != reference.parent} | {reference}
    pages.remove(site / "404.html")  # its addresses begin at the root of a server
    with chromium(tmp_path, size=(390, 844)) as browser:
        for page in sorted(pages):
            browser.get(page.as_uri())
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            assert wide <= 390, f"{page.relative_to(site)} is {wide} px wide on a telephone"
        asked = requests(browser)
        assert {page.as_uri() for page in pages} <= set(asked)
        assert [address for address in asked if not address.startswith("file://")] == []
        assert console_errors(browser) == []


@pytest.mark.slow
def test_the_search_finds_a_docstring_without_a_server(site: Path, tmp_path: Path) -> None:
    with chromium(tmp_path) as browser:
        browser.get((site / "index.html").as_uri())
        wait = WebDriverWait(browser, 600)
        keys = ActionChains(browser).key_down(Keys.CONTROL).send_keys("k").key_up(Keys.CONTROL)
        wait.until(lambda _: keys.perform() or browser.switch_to.active_element.tag_name == "div")
        search = browser.switch_to.active_element.shadow_root
        search.find_element(By.CSS_SELECTOR, "input").send_keys("fingerprint")
        found = wait.until(lambda _: search.find_elements(By.CSS_SELECTOR, "a"))
        addresses = [str(link.get_attribute("href")) for link in found]
        assert any(address.endswith("#vision_apps.core.data.VisionData.fingerprint") for address in addresses)


def test_problems_of_a_site_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.html").write_text('<h1 id="there">x</h1>')
    links = [
        "other.html#there",
        "other.html#gone",
        "gone.html",
        "#here",
        "https://example.org/followed-when-asked",
    ]
    anchors = "".join(f'<a href="{link}">x</a>' for link in links)
    script, style = "https://cdn.example.org/x.js", "//fonts.example.org/x.css"
    outside = f'<script src="{script}"></script><link rel="stylesheet" href="{style}">'
    pictures = '<img src="gone.png"><img srcset="data:,x 2x">'
    (tmp_path / "index.html").write_text(f'<p id="here">{anchors}{outside}{pictures}')
    assert sorted(load("site_check").problems(tmp_path)) == [
        "index.html: fetches //fonts.example.org/x.css",
        "index.html: fetches https://cdn.example.org/x.js",
        "index.html: no anchor other.html#gone",
        "index.html: no file gone.html",
        "index.html: no file gone.png",
    ]

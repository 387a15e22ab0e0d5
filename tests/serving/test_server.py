"""What is served of a run: the page in a real browser with the network cut, and for programs; and what is
refused."""

import contextlib
import http.client
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import saved
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from browser import chromium, console_errors, requests
from vision_apps.core.errors import RunError
from vision_apps.dashboard.hosts import HOST
from vision_apps.python.model import Model
from vision_apps.serving.limits import Limits, Rate
from vision_apps.serving.server import Server

pytestmark = pytest.mark.usefixtures("asking")
PATIENCE = 600  # s; only what is stuck takes so long
ASK = "/answer?question=how+bright%3F"
LIMITS = Limits(megabytes=0.01, per_minute=1000, pixels=10_000)


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations may name the application that is asked."""
    monkeypatch.setenv("VISION_APPS_ALLOW", "asking")


@contextlib.contextmanager
def served(limits: Limits = LIMITS, host: str | None = None) -> Iterator[Server]:
    server = Server(Model(saved("Question")), host, None, limits)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def png(size: tuple[int, int] = (40, 30), color: str = "white") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, color).save(content, "PNG")
    return content.getvalue()


def asked(server: Server, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, Any]:
    """The status, the headers and the JSON of a reply."""
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=PATIENCE)
    known = {"Content-Type": "image/png"} | {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.closing(connection):
        connection.request("GET" if body is None else "POST", path, body, known)
        reply = connection.getresponse()
        content = reply.read()
        is_json = reply.headers["Content-Type"] == "application/json"
        return reply.status, reply.headers, json.loads(content) if is_json else content


def test_a_program_gets_the_row() -> None:
    with served() as server:
        status, headers, row = asked(server, ASK, png())
        assert status == 200 and headers["Cache-Control"] == "no-store"
        answered = {"bright": 255.0, "letters": 10, "shade": 0.0}
        assert row == {"question": "how bright?", "width": 40, "height": 30} | answered
        drawn = asked(server, ASK + "&drawing=true", png())[2]
        assert drawn.pop("drawing").startswith("data:image/png;base64,iVBOR") and drawn == row
        about = asked(server, "/about")[2]
        assert about["words"]["question"] == "what is asked about the picture" and about["pictures"]


def test_what_is_refused_says_why() -> None:
    with served() as server:
        for path, body, headers, status, reason in (
            (ASK, b"no picture", {}, 422, "no picture that is read here: "),
            (ASK, png((101, 100)), {}, 422, "101 x 100 pixels are more than max_pixels = 10000"),
            (ASK, bytes(10_001), {}, 413, "expected at most 0.01 MB"),
            (ASK, png(), {"Content_Type": "text/plain"}, 415, "expected Content-Type image/..."),
            (ASK, png(), {"Origin": "http://elsewhere.org"}, 403, "another site's page"),
            (ASK, png(), {"Host": "elsewhere.org"}, 403, "another name"),
            ("/answer", png(), {}, 422, "question: none was asked"),
            ("/answer?colour=red", png(), {}, 422, "colour: not taken; this run takes pictures"),
            (ASK + "&batch=0", png(), {}, 422, "batch: not taken"),
            ("/answer?question=" + "a" * 5000, png(), {}, 414, "more than 4000 characters"),
            (ASK, b"", {}, 422, "which pictures?"),
            ("/etc/passwd", None, {}, 404, "expected /, /about, or a picture to /answer"),
            ("/../server.py", None, {}, 404, "expected /"),
        ):
            found, _, told = asked(server, path, body, **headers)
            assert (found, reason in told["error"]) == (status, True), (path, told)
            assert "/tmp" not in told["error"]
        assert asked(server, ASK, png())[0] == 200, "it goes on"


def test_too_many_are_told_when_to_come_back() -> None:
    with served(LIMITS._replace(per_minute=2)) as server:
        assert [asked(server, ASK, png())[0] for _ in range(2)] == [200, 200]
        status, headers, told = asked(server, ASK, png())
        assert (status, told["error"]) == (429, "more than 2 in a minute")
        assert 1 <= int(headers["Retry-After"]) <= 30
    with served(LIMITS._replace(waiting=1)) as server, server.waiting:
        assert asked(server, ASK, png())[0] == 503
    full = served(LIMITS._replace(connections=1))
    with full as server, server.connections, pytest.raises((http.client.HTTPException, ConnectionError)):
        asked(server, "/")


def test_a_rate_recovers() -> None:
    now = [0.0]
    rate = Rate(60, lambda: now[0])
    assert [rate.wait() for _ in range(60)] == [0.0] * 60
    assert rate.wait() == pytest.approx(1.0)
    now[0] = 1.0
    assert rate.wait() == 0.0 and rate.wait() > 0


def test_others_may_ask_only_where_they_are_let() -> None:
    with served() as server:
        assert server.server_address[0] == HOST
    with served(host="127.0.0.2") as server:
        assert server.address.startswith("http://127.0.0.2:")
    with served() as server, pytest.raises(RunError, match="another program uses this port"):
        Server(server.model, None, server.server_port, LIMITS)


@pytest.mark.slow
def test_a_person_drops_a_picture(tmp_path: Path) -> None:
    Path("white.png").write_bytes(png())
    Path("broken.png").write_bytes(b"none")
    with served() as server, chromium(tmp_path) as browser:
        browser.get(server.address)
        wait = WebDriverWait(browser, PATIENCE)
        question = wait.until(lambda page: page.find_element(By.NAME, "question"))
        assert browser.find_element(By.ID, "takes").text.startswith("takes a picture")
        question.send_keys("how bright?")
        browser.find_element(By.ID, "file").send_keys(str(Path("white.png").absolute()))
        browser.find_element(By.ID, "ask").click()
        wait.until(lambda page: '"bright": 255' in page.find_element(By.ID, "row").text)
        drawing = browser.find_element(By.ID, "drawing")
        assert drawing.is_displayed()
        wait.until(lambda _: drawing.get_property("naturalWidth") == 40)
        assert not console_errors(browser)
        browser.find_element(By.ID, "file").send_keys(str(Path("broken.png").absolute()))
        browser.find_element(By.ID, "ask").click()
        wait.until(lambda page: "no picture that is read here" in page.find_element(By.ID, "message").text)
        assert not drawing.is_displayed()
        assert all(address.startswith(server.address) for address in requests(browser))

"""The page on which a person chooses: in a real browser with the network cut, and for those who should get
nothing."""

import contextlib
import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser import chromium, console_errors, requests
from vision_apps.core.choosing import Question
from vision_apps.core.errors import DataError, RunError
from vision_apps.dashboard.choosing import Server, ask
from vision_apps.dashboard.hosts import HOST

PATIENCE = 600  # s; only what is stuck takes so long
HOSTILE = "<img src=x onerror=\"document.title='had'\"> </script><script>document.title='had'</script> & \"'"


def png(color: str) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(content, "PNG")
    return content.getvalue()


def questions() -> list[Question]:
    return [
        Question("photos/a.png", ["a red square", "a blue square"], lambda: png("red")),
        Question(HOSTILE, [HOSTILE, "two", "three"], lambda: png("blue")),
        Question("name \udcff.png", ["one", "two"], lambda: png("green")),
    ]


class Kept(dict[int, int | None]):
    """What was chosen of each question, the last time."""

    def __call__(self, question: int, candidate: int | None) -> None:
        self[question] = candidate


@contextlib.contextmanager
def served(kept: Callable[[int, int | None], None]) -> Iterator[Server]:
    server = Server(questions(), kept, None)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wait_for(something: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := something()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)
    return found


def shown(browser: Chrome, beginning: str) -> None:
    progress = browser.find_element(By.ID, "progress")
    wait_for(lambda: progress.text.startswith(beginning), beginning)


def candidates(browser: Chrome) -> list[str]:
    return [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#candidates span")]


LOADED = "const i = document.getElementById('picture'); return i.complete && i.naturalWidth"


@pytest.mark.slow
def test_choosing_with_the_keyboard_and_the_mouse(tmp_path: Path) -> None:
    kept = Kept()
    with served(kept) as server, chromium(tmp_path) as browser:

        def press(key: str) -> None:
            ActionChains(browser).send_keys(key).perform()

        browser.get(server.address)
        shown(browser, "Picture 1 of 3, 0 chosen")
        assert candidates(browser) == ["a red square", "a blue square"]
        assert wait_for(lambda: browser.execute_script(LOADED), "the picture") == 40
        press("3")  # of two there is no third
        press("2")
        shown(browser, "Picture 2 of 3, 1 chosen")
        assert candidates(browser) == [HOSTILE, "two", "three"]
        assert browser.find_element(By.ID, "file").text == HOSTILE
        press(Keys.ARROW_LEFT)
        shown(browser, "Picture 1 of 3")
        pressed = browser.find_element(By.CSS_SELECTOR, "#candidates [aria-pressed=true] span")
        assert pressed.text == "a blue square"
        browser.find_element(By.CSS_SELECTOR, "#candidates button").click()  # another opinion
        shown(browser, "Picture 2 of 3, 1 chosen")
        press("0")
        shown(browser, "Picture 3 of 3, 2 chosen")
        assert not server.finished.is_set()
        assert kept == {0: 0, 1: None}
        press("1")
        wait_for(server.finished.is_set, "the end")
        message = browser.find_element(By.ID, "message")
        wait_for(lambda: message.text, "the message")
        assert message.text.startswith("Finished: 3 of 3 chosen")
        assert kept == {0: 0, 1: None, 2: 0}
        assert browser.title.startswith("Which is best?"), "a text was taken for markup"
        assert console_errors(browser) == []
        assert {address for address in requests(browser) if not address.startswith(server.address)} == set()


@pytest.mark.slow
def test_finishing_early(tmp_path: Path) -> None:
    kept = Kept()
    with served(kept) as server, chromium(tmp_path, size=(400, 700), dark=True) as browser:
        browser.get(server.address)
        shown(browser, "Picture 1 of 3")
        width = browser.execute_script("return document.documentElement.scrollWidth")
        assert width <= 400, "a long text makes the page wider than a telephone"
        browser.find_element(By.ID, "skip").click()
        shown(browser, "Picture 2 of 3, 0 chosen")
        ActionChains(browser).send_keys(Keys.ESCAPE).perform()
        wait_for(server.finished.is_set, "the end")
    assert kept == {}


# ---- who gets nothing --------------------------------------------------------------------------------------


def said(server: Server, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=PATIENCE)
    content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, content, {"Host": f"{HOST}:{server.server_port}", **named})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


JSON = {"Content_Type": "application/json"}


def test_other_names_and_other_sites_get_nothing() -> None:
    kept = Kept()
    with served(kept) as server:
        port, choice = server.server_port, {"question": 0, "candidate": 1}
        assert said(server, "GET", "/questions")[0] == 200
        assert said(server, "GET", "/questions", Host=f"localhost:{port}")[0] == 200
        for host in ("evil.example", f"evil.example:{port}", HOST, f"localhost:{port + 1}", ""):
            for method, path in (("GET", "/"), ("GET", "/questions"), ("GET", "/picture/0")):
                refused = (403, b"asked by another name than this machine's own\n")
                assert said(server, method, path, Host=host) == refused, host
            assert said(server, "POST", "/choice", choice, Host=host, **JSON)[0] == 403
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            assert said(server, "POST", "/choice", choice, Content_Type=kind)[0] == 415
        assert said(server, "POST", "/choice", choice, Origin="http://evil.example", **JSON)[0] == 403
        assert said(server, "POST", "/finish", None, **JSON)[0] == 400, "nothing was said"
        assert kept == {} and not server.finished.is_set()
        own = f"http://localhost:{port}"
        assert said(server, "POST", "/choice", choice, Origin=own, **JSON) == (200, b"{}")
        assert kept == {0: 1}


@pytest.mark.parametrize(
    "path",
    [
        "/../serve.py",
        "/page.py",
        "/picture/3",
        "/picture/-1",
        "/picture/0x1",
        "/picture/²",
        "/picture/",
    ],
)
def test_there_is_nothing_else(path: str) -> None:
    with served(Kept()) as server:
        assert said(server, "GET", path.replace("²", "%C2%B2"))[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        {"question": 3, "candidate": 0},
        {"question": -1, "candidate": 0},
        {"question": True, "candidate": 0},
        {"question": 0, "candidate": 2},
        {"question": 0, "candidate": -1},
        {"question": 0, "candidate": "a red square"},
        {"candidate": 0},
        b"{",
        b"[" * 900,
        b" " * 2000,
    ],
)
def test_what_is_no_choice_is_refused(body: object) -> None:
    kept = Kept()
    with served(kept) as server:
        assert said(server, "POST", "/choice", body, **JSON)[0] == 400
    assert kept == {}


def test_what_the_page_may_do_is_said() -> None:
    with served(Kept()) as server:
        connection = http.client.HTTPConnection(HOST, server.server_port, timeout=PATIENCE)
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        connection.close()
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';") and "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_choice_that_cannot_be_kept_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    def full(question: int, candidate: int | None) -> None:
        raise DataError("choices.jsonl: cannot be written: the disk is full")

    failed: list[BaseException] = []

    def asking() -> None:
        try:
            ask(questions(), full, browse=False)
        except DataError as error:
            failed.append(error)

    thread = threading.Thread(target=asking)
    thread.start()
    told = wait_for(lambda: capsys.readouterr().out, "the address")
    port = int(told.split()[1].rstrip("/").rpartition(":")[2])
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    body = json.dumps({"question": 0, "candidate": 0})
    connection.request("POST", "/choice", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert (answer.status, b"the disk is full" in answer.read()) == (500, True)
    connection.close()
    thread.join()
    assert len(failed) == 1


def test_a_port_in_use_is_told() -> None:
    with socket.create_server((HOST, 0)) as taken, pytest.raises(RunError, match="another program uses"):
        Server(questions(), Kept(), taken.getsockname()[1])

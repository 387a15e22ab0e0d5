"""The dashboard as it is started from the command line, looked at in a real browser with the network cut."""

import contextlib
import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import filelock
import pytest
import small_runs
import toy_run
from selenium.webdriver import Chrome

from browser import chromium, console_errors, requests
from vision_apps.cli import main
from vision_apps.cli.dashboard import dashboard
from vision_apps.core.errors import ConfigError, RunError
from vision_apps.dashboard import boards
from vision_apps.dashboard.hosts import HOST
from vision_apps.dashboard.serve import serve

PATIENCE = 600  # s; only what is stuck takes so long
RUNS = ("0001-a", "0002-b")


def wait_for(something: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := something()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.2)
    return found


@contextlib.contextmanager
def training(name: str) -> Iterator[None]:
    """A run that logs an epoch and draws its picture now and then, as long as it is within."""
    folder, over = small_runs.make(Path("runs/toy", name)), threading.Event()

    def train() -> None:
        with folder.held():
            for epoch in itertools.count():
                small_runs.train(folder, range(epoch, epoch + 1))
                if over.wait(0.3):
                    return

    thread = threading.Thread(target=train)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def started(words: list[str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is asked to stop as Ctrl-C does it."""
    with open(output, "wb") as file:
        process = subprocess.Popen(words, env=toy_run.environment(), stdout=file, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()


@contextlib.contextmanager
def served(*words: str) -> Iterator[str]:
    """The address of a dashboard over ``runs``."""
    output = Path("dashboard.txt")
    command = [sys.executable, "-m", "vision_apps", "dashboard", "runs", "--no-browser", *words]
    with started(command, output) as process:

        def address() -> str | None:
            assert process.poll() is None, output.read_text()
            return next(
                (line.split()[1] for line in output.read_text().splitlines() if "http://" in line), None
            )

        yield wait_for(address, "the dashboard's address")
    assert process.returncode == 0
    assert output.read_text().endswith("dashboard ended\n")


# In one step each, because the page redraws itself.
CURVES = "return document.querySelector(`[data-metric='${arguments[0]}'] canvas`)?.toDataURL()"
BESIDE = "return document.querySelector(`[data-metric='${arguments[0]}']`)?.innerText ?? ''"
TABLE = "return [...document.querySelectorAll('tbody tr')].map(row => row.innerText)"
LOADED = (
    "return [...document.querySelectorAll('img')].filter(image => image.src.includes('media') "
    "&& image.complete && image.naturalWidth > 0).length"
)


def steps(browser: Chrome, address: str) -> dict[str, int]:
    """The last step of each run, as the page of runs lists them."""
    browser.get(f"{address}runs")
    words = [line.split() for line in wait_for(lambda: browser.execute_script(TABLE), "the list of runs")]
    return {name: int(last) for name, _, last in words}


@pytest.mark.slow
def test_two_runs_are_seen_while_they_train(tmp_path: Path) -> None:
    small_runs.train(small_runs.make(Path("runs/toy/0000-old")), range(3))  # of a run that ended long ago
    with contextlib.ExitStack() as stack:
        for name in RUNS:
            stack.enter_context(training(name))
        address = stack.enter_context(served())
        browser = stack.enter_context(chromium(tmp_path))
        wait_for(lambda: set(steps(browser, address)) >= set(RUNS), "both runs in the list")
        before = steps(browser, address)
        assert before["0000-old"] == 14
        wait_for(
            lambda: all(steps(browser, address)[name] > before[name] for name in RUNS),
            "more steps of both runs",
        )

        browser.get(address)
        curves = partial(browser.execute_script, CURVES, "train/loss")
        drawn = wait_for(curves, "the curves")
        beside = partial(browser.execute_script, BESIDE, "train/loss")
        wait_for(lambda: all(name in beside() for name in (*RUNS, "0000-old")), "all runs in one chart")
        # the page follows by itself, without being loaded again
        wait_for(lambda: curves() not in (None, drawn), "more of the curves")

        browser.get(f"{address}media")
        text = partial(browser.execute_script, "return document.body.innerText")
        wait_for(lambda: all(word in text() for word in ("val/sheet", *RUNS)), "the pictures of both runs")
        wait_for(partial(browser.execute_script, LOADED), "a picture")

        assert console_errors(browser) == []
        assert {request for request in requests(browser) if not request.startswith(address)} == set()


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("--tensorboard",)], ids=["trackio", "TensorBoard"])
def test_another_name_is_refused(words: tuple[str, ...]) -> None:
    small_runs.train(small_runs.make(Path("runs/toy/0001-a")), range(1))
    with served(*words, "--port", str(free_port())) as address:
        port = urllib.parse.urlsplit(address).port

        def status(host: str, method: str, path: str) -> int:
            connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
            with contextlib.closing(connection):
                connection.request(method, path, b"{}" if method == "POST" else None, {"Host": host})
                return connection.getresponse().status

        for host in (f"{HOST}:{port}", f"localhost:{port}"):
            assert status(host, "GET", "/") == 200
        for host in (
            "evil.example.com",
            f"{HOST}.example.com:{port}",
            f"evil.com@{HOST}",
            "0.0.0.0",
            "[::1]",
        ):
            assert status(host, "GET", "/") == 403, host
            assert status(host, "POST", "/api/get_runs_for_project") == 403, host


@pytest.mark.slow
def test_tensorboard() -> None:
    small_runs.train(small_runs.make(Path("runs/toy/0001-a")), range(3))
    with served("--tensorboard", "--port", str(free_port())) as address:

        def read(plugin: str) -> Any:
            """None as long as nothing of it is loaded."""
            try:
                with urllib.request.urlopen(f"{address}data/plugin/{plugin}", timeout=PATIENCE) as answer:
                    return json.loads(answer.read())
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
                return None

        def three(plugin: str) -> Any:
            found = read(plugin)
            return found if found and len(found) == 3 else None

        tags = wait_for(lambda: read("scalars/tags"), "the scalars")
        assert set(tags["toy/0001-a"]) == {"epoch", "train/loss", "val/loss"}
        points = wait_for(lambda: three("scalars/scalars?run=toy/0001-a&tag=val/loss"), "three points")
        assert [(step, value) for _, step, value in points] == [
            (4, 1.0),
            (9, 0.5),
            (14, pytest.approx(1 / 3)),
        ]
        sheet = "images/images?run=toy/0001-a&tag=val/sheet&sample=0"
        pictures = wait_for(lambda: three(sheet), "three pictures")
        assert [picture["step"] for picture in pictures] == [4, 9, 14]


def free_port() -> int:
    """Of those that the system gives to nobody, so that no other test has it before it is used."""
    for port in range(20_000 + os.getpid() % 10_000, 32_768):
        with contextlib.suppress(OSError), socket.create_server((HOST, port)):
            return port
    raise AssertionError("no port is free")


@pytest.mark.filterwarnings(
    "ignore:html5lib's sanitizer is deprecated:DeprecationWarning"
)  # TensorBoard's own
@pytest.mark.parametrize("kind", [boards.Trackio, boards.TensorBoard])
def test_a_port_in_use_is_told(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_environment(monkeypatch)
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(RunError, match=rf"--port {port}: another program uses this port"):
            kind(Path()).open(port)


def keep_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the dashboard sets for the rest of its process ends with the test."""
    for name in ("TRACKIO_DIR", "TRACKIO_PLOT_ORDER", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, "")


def test_a_folder_is_served_once() -> None:
    store = Path("runs/.dashboard/trackio")
    store.mkdir(parents=True)
    (store / "address.txt").write_text("http://127.0.0.1:7860/")
    with (
        filelock.FileLock(store / ".lock"),
        pytest.raises(RunError, match=r"runs is served already, at http://127\.0\.0\.1:7860/; open that"),
    ):
        serve(Path("runs"), "trackio", None, browse=False)


@pytest.mark.parametrize(
    ("kind", "module", "extra"),
    [(boards.Trackio, "trackio", "dashboard"), (boards.TensorBoard, "tensorboard", "tensorboard")],
)
def test_a_missing_extra_is_named(
    kind: Any, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_environment(monkeypatch)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"pip install 'vision-apps\[{extra}\]'"):
        kind(Path())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: no such folder; name the folder with the runs"),
        (["--tensorbord"], "--tensorbord: no such option; did you mean '--tensorboard'?"),
        (["--port"], "--port: expected a number from 1 to 65535, as in --port 7860"),
        (["--port=seven"], "--port: seven; expected a number from 1 to 65535"),
        (["--port", "70000"], "--port: 70000; expected a number from 1 to 65535"),
        (["a", "b"], "b: the dashboard shows one folder, here a"),
    ],
)
def test_words_that_are_wrong(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        dashboard(words)
    assert message in str(caught.value)


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboard", "--help"]) == 0
    assert capsys.readouterr().out.startswith("vision-apps dashboard [FOLDER]")

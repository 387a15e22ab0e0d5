"""What a process does that is asked to stop."""

import fcntl
import os
import pty
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import toy_run

from vision_apps.core.asked_to_stop import Asked

ASKS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """Listening, where no terminal is."""
    monkeypatch.setattr("vision_apps.core.asked_to_stop._leave_terminal", lambda: None)
    outside = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup may have started this
    before = [signal.getsignal(number) for number in ASKS]
    asked = Asked("stopping")
    asked.listen()
    yield asked
    asked.give_back()
    assert [signal.getsignal(number) for number in ASKS] == before
    signal.signal(signal.SIGHUP, outside)


def test_the_first_is_kept_and_the_second_raises(asked: Asked) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    assert asked.number == signal.SIGTERM
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert asked.number == signal.SIGTERM


def test_a_hangup_that_comes_twice_asks_once(asked: Asked) -> None:
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGHUP)
    assert asked.number == signal.SIGHUP


def test_nohup_is_left_alone() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        asked = Asked("stopping")
        asked.listen()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        asked.give_back()
    finally:
        signal.signal(signal.SIGHUP, before)


def in_a_terminal() -> None:
    """The new session's terminal is the one that the process writes to."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("toy")
def test_a_terminal_that_is_closed() -> None:
    """The kernel asks, and every later word to the terminal would be an error."""
    terminal, of_process = pty.openpty()
    words = toy_run.command("run.dir=run", "trainer.max_epochs=100000", "callbacks.pictures=null")
    ends = {"stdin": of_process, "stdout": of_process, "stderr": of_process}
    process = subprocess.Popen(
        words, env=toy_run.environment(), start_new_session=True, preexec_fn=in_a_terminal, **ends
    )
    os.close(of_process)
    patience = time.monotonic() + 600
    while not Path("run/checkpoints/last.ckpt").exists():
        assert process.poll() is None and time.monotonic() < patience
        time.sleep(0.02)
    os.close(terminal)
    assert process.wait(600) == 130
    log = Path("run/log.txt").read_text()
    assert "stopped by SIGHUP; continue with: " in log and "Traceback" not in log
    assert toy_run.last(Path("run"))["global_step"] > 0

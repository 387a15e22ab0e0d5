"""W&B never asks and never waits. No test reaches a network: the server is a closed port of this machine."""

import io
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import toy_run
from toy import ToyModule

from vision_apps.core import engine, wandb_logger

pytestmark = pytest.mark.usefixtures("toy", "no_server")
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
LOGGER = {"logger": {"wandb": {"_target_": "vision_apps.core.wandb_logger.WandbLogger", "project": "tests"}}}


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import wandb

    wandb.teardown()  # it reads the environment once per process
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    for name in ("WANDB_API_KEY", "WANDB_MODE", *PROXIES):
        monkeypatch.delenv(name, raising=False)
    yield
    wandb.teardown()


class Terminal(io.StringIO):
    """Somebody sits there, and answers nothing."""

    def isatty(self) -> bool:
        return True

    def readline(self, size: int = -1) -> str:
        raise AssertionError("something was asked")

    read = readline


def wandb_runs(run: Path) -> list[str]:
    """Identities of the W&B runs in a run folder."""
    return [path.name.split("-")[-1] for path in sorted((run / "wandb").glob("offline-run-*"))]


def test_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "no API key (set WANDB_API_KEY or run `wandb login` to see runs online)"
    assert wandb_logger.choose_mode() == ("offline", reason)
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert wandb_logger.choose_mode() == ("offline", reason)


def test_with_a_key_and_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    started = time.monotonic()
    assert wandb_logger.choose_mode() == ("offline", "127.0.0.1 cannot be reached")
    assert time.monotonic() - started < 5


def test_with_a_key_and_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(wandb_logger, "reachable", lambda url: True)
    assert wandb_logger.choose_mode() == ("online", "127.0.0.1")


def test_behind_a_proxy_only_wandb_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert wandb_logger.choose_mode() == ("online", "127.0.0.1")


def test_key_in_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert not wandb_logger.has_key("127.0.0.1")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password " + "0" * 40)
    (tmp_path / "netrc").chmod(0o600)
    assert wandb_logger.has_key("127.0.0.1")
    assert not wandb_logger.has_key("other")
    (tmp_path / "netrc").write_text("nonsense")
    assert not wandb_logger.has_key("127.0.0.1")


@pytest.mark.parametrize(
    ("asked", "mode"),
    [("offline", "offline"), ("dryrun", "offline"), ("disabled", "disabled"), ("online", "online")],
)
def test_the_environment_decides(asked: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", asked)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert wandb_logger.choose_mode() == (mode, f"WANDB_MODE={asked}")


@pytest.mark.slow
def test_a_run_per_run_and_the_same_after_a_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    import wandb

    for name in ("one", "two"):
        engine.train(toy_run.configure(Path(name), {"trainer.max_epochs": 1, **LOGGER}))
        assert wandb.run is None  # closed: the next run does not log into it
    one, two = wandb_runs(Path("one")), wandb_runs(Path("two"))
    assert len(one) == len(two) == 1
    assert one != two
    engine.resume("one", ["trainer.max_epochs=2"])
    assert set(wandb_runs(Path("one"))) == set(one)
    assert not Path("wandb").exists()  # nothing beside the run folders


@pytest.mark.slow
def test_closed_after_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    def crash(self: ToyModule) -> None:
        assert wandb.run is not None
        raise ZeroDivisionError

    monkeypatch.setattr(ToyModule, "on_train_epoch_end", crash)
    with pytest.raises(ZeroDivisionError):
        engine.train(toy_run.configure(Path("run"), LOGGER))
    assert wandb.run is None


@pytest.mark.slow
def test_server_that_vanishes_before_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The port answered when it was asked, and refuses afterwards: the run goes on offline."""
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(wandb_logger, "reachable", lambda url: True)
    monkeypatch.setattr(wandb_logger, "_INIT_SECONDS", 2.0)
    started = time.monotonic()
    with caplog.at_level(logging.WARNING, "vision_apps"):
        engine.train(toy_run.configure(Path("run"), {"trainer.max_epochs": 1, **LOGGER}))
    assert time.monotonic() - started < 60
    assert "logging offline, upload later with: wandb sync" in caplog.text
    assert len(wandb_runs(Path("run"))) == 1

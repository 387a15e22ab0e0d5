"""W&B never asks and never waits. No test reaches a network: the server is a closed port of this machine."""

import io
import json
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import toy_run
from toy import ToyModule

from vision_apps.core import engine, wandb_logger

pytestmark = pytest.mark.usefixtures("toy", "no_server")
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
TARGET = "vision_apps.core.wandb_logger.WandbLogger"
LOGGER = {"logger": {"wandb": {"_target_": TARGET, "project": "tests"}}}
CHOICES = {"task": "toy", "model": "toy_net", "data": "toy_pictures"}
AGENT = {"WANDB_SWEEP_ID": "sweep", "WANDB_RUN_ID": "agents", "WANDB_PROJECT": "theirs"}


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
    # not of the folders, whose names get a number where two begin within a second
    return [path.stem.removeprefix("run-") for path in sorted((run / "wandb").glob("offline-run-*/*.wandb"))]


def records(run: Path) -> list[dict[str, Any]]:
    """What W&B wrote about a run, as its own reader tells."""
    (file,) = (run / "wandb").glob("offline-run-*/*.wandb")
    words = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
    told = subprocess.run(words, capture_output=True, text=True, check=True, timeout=600)
    return [json.loads(line) for line in told.stdout.splitlines()]


def of_kind(told: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record[kind] for record in told if record["type"] == kind]


def logger(**arguments: Any) -> wandb_logger.WandbLogger:
    return wandb_logger.WandbLogger(folder="run", run_name="0001-a", run_id="id", **arguments)


def test_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "no API key (set WANDB_API_KEY or run `wandb login` to see runs online)"
    assert wandb_logger.choose_mode() == ("offline", reason)
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert wandb_logger.choose_mode() == ("offline", reason)


def test_with_a_key_and_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    asked = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append((address, timeout))
        return socket.create_connection(address, timeout)

    monkeypatch.setattr(wandb_logger, "socket", SimpleNamespace(create_connection=connect))
    assert wandb_logger.choose_mode() == ("offline", "127.0.0.1 cannot be reached")
    assert asked == [(("127.0.0.1", 9), 3.0)]  # and waits no longer


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
    import wandb

    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(wandb_logger, "reachable", lambda url: True)
    monkeypatch.setattr(wandb_logger, "_INIT_SECONDS", 2.0)
    waits, init = [], wandb.init

    def watched(**given: Any) -> Any:
        waits.append((given["mode"], given["settings"].init_timeout))
        return init(**given)

    monkeypatch.setattr(wandb, "init", watched)
    with caplog.at_level(logging.WARNING, "vision_apps"):
        engine.train(toy_run.configure(Path("run"), {"trainer.max_epochs": 1, **LOGGER}))
    assert waits == [("online", 2.0), ("offline", 600.0)]
    assert "logging offline, upload later with: vision-apps sync run" in caplog.text
    assert len(wandb_runs(Path("run"))) == 1


@pytest.mark.parametrize(
    ("users", "sweeps", "group"),
    [(None, None, None), (None, "sweep-1", "sweep-1"), ("mine", "sweep-1", "mine")],
)
def test_the_group_is_the_sweep_unless_named(
    users: str | None, sweeps: str | None, group: str | None
) -> None:
    assert logger(group=users, run_group=sweeps)._wandb_init["group"] == group


def test_tags_of_the_user_are_added() -> None:
    tags = logger(tags_of_run=["toy", "toy_net"], tags=["mine", "toy"])._wandb_init["tags"]
    assert tags == ["toy", "toy_net", "mine"]


@pytest.mark.slow
def test_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a page of W&B is made of, read back from an offline run."""
    changes = {
        "logger.wandb": {"_target_": TARGET, "monitor": "val/accuracy", "direction": "max"},
        "trainer.max_epochs": 2,
        "test": True,
    }
    config = toy_run.configure(Path("run"), changes)
    folder = engine.prepare(config, CHOICES, title="width=4", group="0001-calm-heron")
    engine.replay(str(folder.path), None)
    told = records(Path("run"))

    (run,) = of_kind(told, "run")
    assert (run["display_name"], run["run_group"]) == ("width=4", "0001-calm-heron")
    assert (run["project"], run["run_id"]) == ("vision_apps", folder.record["id"])
    assert run["tags"] == ["toy", "toy_net", "toy_pictures"]

    metrics = {metric.get("name", metric.get("glob_name")): metric for metric in of_kind(told, "metric")}
    assert metrics["val/accuracy"]["summary"] == {"max": True, "last": True}
    assert metrics["val/loss"]["summary"] == {"min": True, "last": True}
    assert all(
        metrics[name]["step_metric"] == "trainer/global_step" for name in ("val/accuracy", "*", "epoch")
    )
    assert metrics["epoch"]["options"]["hidden"]

    configured = of_kind(told, "config")[0]["update"]
    assert configured["model"] == {"_target_": "toy.ToyNet", "width": 4, "dropout": 0.5}
    assert configured["optimizer"]["lr"] == 0.001

    history = [record["item"] for record in of_kind(told, "history")]
    sheets = [item["val/sheet.count"] for item in history if "val/sheet.count" in item]
    assert sheets == [1, 1]  # one key, each epoch
    (table,) = [item for item in history if "test/predictions._type" in item]
    assert (table["test/predictions.ncols"], table["test/predictions.nrows"]) == (3, 8)
    (written,) = folder.path.glob("wandb/offline-run-*/files/media/table/test/*.json")
    content = json.loads(written.read_text())
    assert content["columns"] == ["sample", "picture", "bright"]
    assert all(kind == "Image" and 0 <= bright <= 1 for _, kind, bright in content["data"])
    (artifact,) = of_kind(told, "artifact")
    pictures = [entry["local_path"] for entry in artifact["manifest"]["contents"]]
    assert len(pictures) == 9  # the eight pictures and the table
    assert all(Path(path).is_relative_to(tmp_path / "run") for path in pictures)


@pytest.mark.slow
def test_under_the_agent_of_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its id and its project hold, and the run folder keeps the id for a resume."""
    for name, value in AGENT.items():
        monkeypatch.setenv(name, value)
    engine.train(toy_run.configure(Path("run"), {"trainer.max_epochs": 1, **LOGGER}), CHOICES)
    told = records(Path("run"))
    (run,) = of_kind(told, "run")
    assert (run["run_id"], run["project"], run["sweep_id"]) == ("agents", "theirs", "sweep")
    assert json.loads(Path("run/run.json").read_text())["id"] == "agents"
    # the agent reads one number per metric
    assert not any("summary" in metric for metric in of_kind(told, "metric"))

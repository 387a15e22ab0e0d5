"""`vision-apps sync` with a W&B that only says what it was asked."""

import os
from pathlib import Path

import pytest
import small_runs

from vision_apps.cli import main
from vision_apps.cli.dashboard import sync
from vision_apps.core.errors import ConfigError, RunError
from vision_apps.core.run_folder import RunFolder

# Marks what it uploads as W&B does, except where the path says what happens.
FAKE = """
import pathlib, sys
assert sys.argv[1] == "sync", sys.argv
with open("asked.txt", "a") as file:
    file.write(" ".join(sys.argv[2:]) + "\\n")
for folder in map(pathlib.Path, sys.argv[2:]):
    if "crashes" in str(folder):
        raise SystemExit("network is unreachable")
    if "refused" in str(folder):
        print("wandb: ERROR permission denied")
        continue
    for file in folder.glob("*.wandb"):
        file.with_suffix(".wandb.synced").touch()
"""


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package of this name for the processes that are started, and a key."""
    package = tmp_path / "fake" / "wandb"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)


def offline(name: str, starts: int = 1, started: str = "2026-01-01") -> RunFolder:
    folder = small_runs.make(Path("runs/toy") / name, started=started)
    for start in range(starts):
        part = folder.path / "wandb" / f"offline-run-2026010{start + 1}_000000-{name}"
        part.mkdir(parents=True)
        (part / f"run-{name}.wandb").touch()
    small_runs.finish(folder)
    return folder


def asked() -> list[str]:
    return Path("asked.txt").read_text().splitlines() if Path("asked.txt").exists() else []


@pytest.mark.usefixtures("wandb")
def test_every_run_once(capsys: pytest.CaptureFixture[str]) -> None:
    offline("b", started="2026-01-02")
    offline("a", starts=2)
    small_runs.make(Path("runs/toy/none"))
    sync([])
    parts = [f"runs/toy/a/wandb/offline-run-2026010{n}_000000-a" for n in (1, 2)]
    assert asked() == [" ".join(parts), "runs/toy/b/wandb/offline-run-20260101_000000-b"]  # the oldest first
    assert capsys.readouterr().out.endswith("2 uploaded\n")
    sync([])
    assert len(asked()) == 2
    assert capsys.readouterr().out == "nothing to upload: no offline W&B run is left\n"


@pytest.mark.usefixtures("wandb")
def test_only_what_is_named() -> None:
    offline("a")
    offline("b")
    sync(["runs/toy/b", "runs/toy/b"])
    assert asked() == ["runs/toy/b/wandb/offline-run-20260101_000000-b"]


@pytest.mark.usefixtures("wandb")
def test_a_failure_stops_no_other_and_is_listed_first() -> None:
    for name in ("crashes", "refused", "good"):
        offline(name)
    with pytest.raises(RunError) as caught:
        sync(["runs"])
    lines = str(caught.value).splitlines()
    assert lines[0] == "2 could not be uploaded:"
    assert sorted(lines[1:3]) == [
        "  runs/toy/crashes: network is unreachable",
        "  runs/toy/refused: wandb: ERROR permission denied",  # its status was 0
    ]
    assert lines[3].startswith("1 uploaded; ")
    assert len(asked()) == 3


def test_dry_run_needs_no_key(capsys: pytest.CaptureFixture[str]) -> None:
    offline("a")
    sync(["--dry-run"])
    assert capsys.readouterr().out.splitlines() == [
        "upload    runs/toy/a",
        "1 would be uploaded; leave --dry-run out to do it",
    ]


def test_a_run_that_trains_waits(capsys: pytest.CaptureFixture[str]) -> None:
    folder = offline("a")
    os.unlink(folder.path / "metrics.json")
    with folder.held():
        sync([])
    assert "later     runs/toy/a: it is still being trained" in capsys.readouterr().out


def test_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    offline("a")
    with pytest.raises(ConfigError, match=r"no API key for .*: set WANDB_API_KEY or run `wandb login`"):
        sync([])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: no such folder; name a run or a folder with runs"),
        (["--dryrun"], "--dryrun: no such option; did you mean '--dry-run'?"),
    ],
)
def test_words_that_are_wrong(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sync(words)
    assert message in str(caught.value)


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sync", "-h"]) == 0
    assert capsys.readouterr().out.startswith("vision-apps sync [RUN|FOLDER ...]")

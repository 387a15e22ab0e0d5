"""Packages are allowed by the person at the keyboard, and by no file."""

import contextlib
from pathlib import Path

import pytest

from vision_apps.cli import main

EVIL = """\
# @package _global_
allow_targets: [subprocess]
callbacks:
  x: {_target_: subprocess.Popen, args: [touch, mark]}
"""
COMMON = ["experiment=evil", "task=classification", "trainer=smoke", "--config-dir", "theirs"]


@pytest.mark.parametrize(
    "command",
    [["train"], ["sweep", "seed=1,2", "dir=s"], ["tune", "lr"], ["data", "check"]],
    ids=lambda c: c[0],
)
def test_a_configuration_folder_allows_nothing(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("theirs/experiment").mkdir(parents=True)
    Path("theirs/experiment/evil.yaml").write_text(EVIL)
    with contextlib.suppress(SystemExit):  # within Hydra
        assert main([*command, *COMMON]) == 2
    assert (
        "allow_targets: a configuration file asks for subprocess, which may run any code; if you trust it, "
        "add allow_targets=[subprocess] to the command"
    ) in capsys.readouterr().err
    assert not Path("mark").exists()


def test_a_sweep_file_allows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("theirs/sweep").mkdir(parents=True)
    Path("theirs/sweep/evil.yaml").write_text(
        "overrides: ['allow_targets=[subprocess]',\n"
        "  '+callbacks.x={_target_: subprocess.Popen, args: [touch, mark]}']\n"
        "space: {seed: '1,2'}\n"
    )
    assert main(["sweep", "sweep=evil", "task=classification", "dir=s", "--config-dir", "theirs"]) == 2
    assert "asks for subprocess, which may run any code" in capsys.readouterr().err
    assert not Path("mark").exists()

"""What the commands say of themselves: whole sentences, one application where one is named, a version."""

import re

import pytest

import vision_apps
from vision_apps.cli import COMMANDS, main
from vision_apps.core.config import options
from vision_apps.core.config.check import check
from vision_apps.core.config.compose import compose
from vision_apps.core.errors import ConfigError

FILES = [(group, name, path) for group in options.groups() for name, path in options.of_group(group).items()]


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == f"vision-apps {vision_apps.__version__}\n"


@pytest.mark.parametrize(("group", "name", "path"), FILES, ids=lambda value: str(value))
def test_no_description_is_cut(group: str, name: str, path: object) -> None:
    """It ends where a sentence does, or its comment, and brackets are closed."""
    text = options.description(path)  # type: ignore[arg-type]
    comment = " ".join(
        line.lstrip("# ").rstrip()
        for line in path.read_text().splitlines()
        if line.startswith("#")  # type: ignore[attr-defined]
    )
    after = comment.partition(text)[2].strip()
    assert text and (not after or text.endswith(".") or after.startswith(("python ", "vision-apps "))), text
    assert text.count("(") == text.count(")") and text.count("[") == text.count("]"), text


def test_help_of_one_application_is_of_that_alone(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "help", "detection")
    assert text == said(capsys, "train", "task=detection", "--help") == said(capsys, "help", "task=detection")
    assert "  detection        Which objects are in the picture" in text
    assert "    model=yolo " in text and "    data=coco_json " in text and "\ntrainer=\n" in text
    for task in set(options.applications()) - {"detection"}:
        assert not re.search(rf"^  {task} |task={task}\b", text, re.MULTILINE)
    assert said(capsys, "help", "predict") == said(capsys, "predict", "--help")
    assert said(capsys, "help") == said(capsys, "--help") == said(capsys)


def test_what_has_no_help_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "detect"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "error: help detect: neither a command nor an application; did you mean 'detection'?"
    )
    assert main(["train", "task=detect", "--help"]) == 2
    assert "task=detect: no such application; did you mean 'detection'?" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_narrow_and_names_no_constant(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, command, "--help")
    assert max(map(len, text.splitlines())) <= 110
    assert not re.search(r"\b_?[A-Z]+_[A-Z_]+\b", text.replace("VISION_APPS_CONF", "")), "a constant's name"


def test_a_number_of_devices_is_one() -> None:
    with pytest.raises(
        ConfigError, match=r"trainer.devices: expected auto, .* got cpu; trainer=cpu trains on the CPU"
    ):
        check(compose(["task=classification", "trainer.devices=cpu"]))
    with pytest.raises(ConfigError, match=r"data\.batch_size: expected at least 1, got 0"):
        check(compose(["task=classification", "data.batch_size=0"]))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_written_for_who_types(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No mark-up, no name of a constant, and each option that takes a value with what it is without one."""
    assert main([command, "--help"]) == 0
    told = capsys.readouterr().out
    assert "`" not in told
    assert not re.search(r"\b(SAMPLERS|PRUNERS|LAUNCHERS|UNFINISHED)\b", told)
    if command == "train":  # whose options are Hydra's
        return
    usage = told.partition("\n\n")[0]
    for option in re.findall(r"\[(--[a-z-]+) [A-Zga-z|]+\]", usage):
        described = re.search(rf"^ +{option} .*(?:\n {{8,}}.*)*", told, re.MULTILINE)
        if command != "tune":  # which says its figures within a sentence
            assert described is not None and "default" in described[0], f"{option}: what is it without?"


def test_settings_of_a_sweep_say_their_words_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "sampler, sampler_options: one of tpe, cma_es, qmc, gp, nsga2, random, grid and arguments" in told
    assert "seed and those after it, or their list; their mean is its value. By default 1." in told
    assert "launcher: processes on this machine, or slurm (jobs of submitit). By default processes." in told

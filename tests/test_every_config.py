"""Every shipped configuration, and every command in the documentation, composes and passes the check."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do

from vision_apps.cli import COMMANDS, arguments
from vision_apps.cli.sweep import settings_and_space
from vision_apps.core.config import options
from vision_apps.core.config.check import check
from vision_apps.core.config.compose import compose, compose_with_choices

REPOSITORY = Path(__file__).parents[1]


def choices() -> Iterator[str]:
    """The shortest command line that chooses each file."""
    for group in options.groups():
        for name in options.of_group(group):
            if group in options.BY_APPLICATION:
                yield f"task={options.application_of(name)} {group}={name}"
            else:
                yield f"{group}={name}"


@pytest.mark.slow
@pytest.mark.parametrize("line", list(choices()))
def test_every_file_composes_and_passes(line: str) -> None:
    check(compose(line.split()))


@pytest.mark.parametrize("name", options.of_group("sweep"))
def test_every_space_can_be_searched(name: str) -> None:
    _, searched = settings_and_space(arguments.parse([f"sweep={name}"]))
    assert searched.axes
    for sample in searched.samples():
        check(compose([*searched.fixed, *sample]))


@pytest.mark.parametrize("group", options.BY_APPLICATION)
def test_every_name_begins_with_its_application(group: str) -> None:
    strangers = [name for name in options.of_group(group) if options.application_of(name) is None]
    assert not strangers, f"conf/{group}: no application for {', '.join(strangers)}"


@pytest.mark.parametrize("group", [*options.groups(), "sweep"])
def test_every_file_says_what_it_is(group: str) -> None:
    silent = [path.name for path in options.of_group(group).values() if not options.description(path)]
    assert not silent, f"conf/{group}: the first line should be a comment in {', '.join(silent)}"


def pretrained_of(application: str) -> str | None:
    models = options.of_application("model", application)
    return next((name for name in models if options.short(name) == "pretrained"), None)


def own_data() -> Iterator[tuple[str, str]]:
    """Applications with published weights, and each of their data sets that a user brings."""
    for application in options.applications():
        if pretrained_of(application):
            for name, path in options.of_application("data", application).items():
                if options.description(path).startswith("Your own"):
                    yield application, name


@pytest.mark.parametrize(("application", "data"), list(own_data()))
def test_own_data_start_from_published_weights_where_nobody_names_a_model(
    application: str, data: str, tmp_path: Path
) -> None:
    pretrained = pretrained_of(application)
    (tmp_path / "data").mkdir()
    (tmp_path / "experiment").mkdir()
    mine = tmp_path / "data" / f"{application}_mine.yaml"
    mine.write_text(f"defaults:\n  - {data}\n  - _self_\nroot: mine\n")
    (tmp_path / "experiment" / "silent.yaml").write_text(
        "# @package _global_\n"
        f"defaults:\n  - override /task: {application}\n  - override /data: {application}_mine\n"
    )
    other = next(name for name in options.of_application("model", application) if name != pretrained)
    (tmp_path / "experiment" / "naming.yaml").write_text(
        "# @package _global_\n"
        f"defaults:\n  - override /task: {application}\n  - override /model: {other}\n"
        f"  - override /data: {application}_mine\n"
    )

    def model(*words: str) -> str | None:
        config, chosen = compose_with_choices(words, [tmp_path])
        check(config)
        assert "defaults" not in config.data
        return chosen["model"]

    task = f"task={application}"
    assert model(task, f"data={data}") == model(task, "data=mine") == model("experiment=silent") == pretrained
    assert (
        model(task, f"data={data}", f"model={other}") == model(f"model={other}", task, "data=mine") == other
    )
    assert model("experiment=naming") == model("experiment=silent", f"model={other}") == other
    assert model(task) != pretrained


def commands() -> Iterator[str]:
    """Our commands in fenced blocks of the experiments' accounts and in the heads of configuration files.
    Those of the README and of docs/ are executed by tests/test_documents.py."""
    for path in sorted(REPOSITORY.glob("experiments/*/*.md")):
        for block in re.findall(r"^```\w*\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            yield from filter(is_ours, map(bare, block.replace("\\\n", " ").splitlines()))
    for path in sorted(options.conf_dir().glob("*/*.yaml")):
        head = (line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#"))
        yield from filter(is_ours, map(bare, head))


def bare(line: str) -> str:
    """A line without prompt, variables set for it, and comment."""
    return re.sub(r"^\s*(\$ )?([A-Z_]+=\S+ )*", "", line).split(" #")[0].strip()


def is_ours(line: str) -> bool:
    return line.startswith(("python train.py", "vision-apps ")) and "..." not in line


@pytest.mark.slow
@pytest.mark.parametrize("line", sorted(set(commands())))
def test_every_documented_command_composes(line: str) -> None:
    words = shlex.split(line.removeprefix("python train.py").removeprefix("vision-apps "))
    command = "train" if line.startswith("python train.py") else words.pop(0)
    assert command in COMMANDS, line
    if command in ("test", "predict", "export", "compare"):
        assert words, line
        return
    if command in ("runs", "dashboard", "sync"):  # executed by test_documents
        return
    if command == "data":
        words = [word for word in words[1:] if not word.startswith("out=")]
    taken = arguments.parse(words)
    if taken.help or taken.pop("resume"):
        return
    if command == "sweep":
        taken.pop("dir")
        settings_and_space(taken)
        return
    # of a sweep the first run stands for all
    firsts = [re.sub(r"=([^\[\]{}()'\",]+),.*", r"=\1", word) for word in taken.overrides]
    check(compose(firsts, taken.config_dirs))

"""What there is, read from the configuration folders."""

import textwrap
from collections.abc import Collection, Sequence
from pathlib import Path

from vision_apps.core.config import options
from vision_apps.core.config.suggest import instead_of
from vision_apps.core.errors import ConfigError

WIDTH = 110  # characters of a line

_OPTIONS = """\
options
  --cfg job          show the configuration instead of training
  -m                 one run for each combination of values: model=a,b seed=0,1
  --config-dir DIR   a folder with more configurations (or set VISION_APPS_CONF)
  --info, --resolve, --package, --hydra-help, --shell-completion: see Hydra's manual"""


def overview(dirs: Sequence[Path]) -> str:
    """A few commands that work."""
    lines = [
        "vision-apps: computer-vision applications on PyTorch Lightning",
        "",
        *(f"  vision-apps train task={task} trainer=smoke" for task in options.applications(dirs)),
        "  vision-apps train --help              everything that can be chosen",
        "  vision-apps tune lr task=...          a learning rate to begin with; tune batch: a batch size",
        "  vision-apps sweep sweep=colorization jobs=2   search settings, in fresh processes",
        "  vision-apps runs                      list the runs, newest first",
        "  vision-apps compare RUN RUN           what differs, and whether it matters",
        "  vision-apps dashboard                 curves and pictures of all runs, live, with no account",
        "  vision-apps test RUN                  score a trained run again",
        "  vision-apps predict RUN photo.jpg     use it on pictures, videos or a webcam",
        "  vision-apps serve RUN                 a page on which one drops a picture, and the same as JSON",
        "  vision-apps choose RUN photos         say which captions are best: it orders them so",
        "  vision-apps export RUN                one file for other programs, checked against the run",
        "  vision-apps sync                      upload W&B runs that were offline",
        "  vision-apps data check task=...       count and open the files of a data set",
        "",
        "RUN is a folder under runs/, a checkpoint, last, or best:METRIC.",
        "vision-apps help predict, vision-apps help detection: more about a command, or an application",
    ]
    return "\n".join(lines)


def asked(words: Sequence[str], commands: Collection[str], dirs: Sequence[Path]) -> list[str]:
    """The command line that answers ``help WORDS``: a command, or an application; none for the overview.
    `ConfigError` where it is neither."""
    if not words:
        return []
    name = words[0].removeprefix("task=")
    if name in commands:
        return [name, "--help"]
    applications = options.applications(dirs)
    if name in applications:
        return ["train", f"task={name}", "--help"]
    raise ConfigError(
        f"help {name}: neither a command nor an application{instead_of(name, [*commands, *applications])}"
    )


def train(dirs: Sequence[Path], task: str | None = None) -> str:
    """Everything that can be chosen, or what one application takes. `ConfigError` where there is none of this
    name."""
    tasks = options.of_group("task", dirs)
    if task is not None and task not in tasks:
        raise ConfigError(f"task={task}: no such application{instead_of(task, tasks)}")
    lines = ["vision-apps train [group=name ...] [key=value ...] [options]", "", "applications (task=)"]
    for name in tasks if task is None else [task]:
        lines += entry(f"  {name:<16} ", tasks[name])
        for group in options.BY_APPLICATION:
            for option, file in options.of_application(group, name, dirs).items():
                lines += entry(f"    {f'{group}={options.short(option, dirs)}':<26} ", file)
    for group in options.groups(dirs):
        if group not in ("task", *options.BY_APPLICATION):
            lines += ["", f"{group}="]
            for option, file in options.of_group(group, dirs).items():
                lines += entry(f"  {option:<16} ", file)
    shown = [
        line for line in examples(dirs) if task is None or f"task={task} " in line or "task=" not in line
    ]
    if task is not None:
        lines += ["", "settings of all applications and their values: vision-apps train --cfg job", ""]
    lines += ["", _OPTIONS, "", "examples", *(f"  {line}" for line in shown)]
    return "\n".join(line.rstrip() for line in lines)


def entry(name: str, path: Path) -> list[str]:
    """The lines of a name and of the description of its file, which goes on below itself."""
    text = options.description(path)
    if not text:
        return [name]
    return textwrap.wrap(
        name + text, WIDTH, subsequent_indent=" " * len(name), break_on_hyphens=False, break_long_words=False
    )


def examples(dirs: Sequence[Path]) -> list[str]:
    """Commands that run without downloads."""
    lines = []
    for task in options.applications(dirs):
        model = options.short(list(options.of_application("model", task, dirs))[-1], dirs)
        lines += [
            f"vision-apps train task={task} trainer=smoke",
            f"vision-apps train task={task} model={model} trainer.max_epochs=3 optimizer.lr=3e-4",
            f"vision-apps train -m task={task} trainer=smoke seed=0,1",
        ]
    return [*lines, "vision-apps train resume=runs/RUN trainer.max_epochs=20"]

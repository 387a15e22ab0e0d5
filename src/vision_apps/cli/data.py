"""``vision-apps data``: look at a data set, or derive from it what an application needs.

An application adds a command with a file: ``vision_apps/<task>/data_<command>.py`` that has
``run(config, out)``.
"""

import ast
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

import vision_apps
from vision_apps.cli import arguments
from vision_apps.cli.output import announce
from vision_apps.core import compose, listing, targets
from vision_apps.core.errors import ConfigError, CorruptSample, DataError
from vision_apps.core.suggest import nearest


def data(argv: Sequence[str]) -> None:
    commands = of_applications()
    if not argv or argv[0] in ("--help", "-h"):
        print(usage(commands))
        return
    command, *rest = argv
    if command not in ("check", *commands):
        known = ["check", *commands]
        raise ConfigError(
            f"data {command}: no such command{nearest(command, known)}; there are: {', '.join(known)}"
        )
    words = arguments.parse(rest)
    if words.help:
        print(usage(commands))
        return
    out = words.pop("out")
    if command in commands:
        _choose(commands[command].parent.name, command, words)
    config = compose.compose(words.overrides, words.config_dirs)
    targets.allow(config.allow_targets)
    announce()
    if command == "check":
        check_data(config)
    else:
        import_module(f"vision_apps.{config.task.name}.data_{command}").run(config, out)


def of_applications() -> dict[str, Path]:
    """Command to the file that has it."""
    root = Path(vision_apps.__file__).parent
    files = [path for task in listing.applications() for path in sorted((root / task).glob("data_*.py"))]
    return {path.stem.removeprefix("data_"): path for path in files}


def usage(commands: dict[str, Path]) -> str:
    lines = ["vision-apps data COMMAND [data=...] [key=value ...]", ""]
    lines.append("  check   count the samples of each split, open every one, list the broken files")
    for name, path in commands.items():
        about = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]
        lines.append(f"  {name:<7} {about.rpartition('``: ')[2].rstrip('.')} (out=FILE)")
    return "\n".join(lines)


def _choose(task: str, command: str, words: arguments.Words) -> None:
    """The application that has the command, unless another one is asked for."""
    asked = words.pop("task")
    if asked not in (None, task):
        raise ConfigError(f"data {command}: belongs to {task}, the task is {asked}")
    words.overrides.insert(0, f"task={task}")


def check_data(config: DictConfig) -> None:
    """Count the samples of each split, open every one, list the broken files.

    Raises:
        DataError: some cannot be read.
    """
    from vision_apps.core import assembly, check
    from vision_apps.core.data import SPLITS

    check.check(config)
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    module = targets.resolve(plain["module"]["_target_"])
    source = assembly.build_data(plain)
    source.batch_type = module.batch_type  # type: ignore[attr-defined]
    broken: dict[str, str] = {}
    for split in SPLITS:
        samples = source.samples(split)
        in_memory = getattr(samples, "in_memory", False)
        for index in range(len(samples)):
            try:
                samples.__getitems__([index]) if in_memory else samples[index]
            except CorruptSample as error:
                broken[error.path] = error.reason
        print(f"{split:<6} {len(samples):>8} samples")
    for name, value in source.facts.items():
        print(f"{name}: {value}")
    if broken:
        listed = "\n  ".join(f"{path}: {reason}" for path, reason in broken.items())
        raise DataError(
            f"{len(broken)} broken files; remove or mend them, or leave them out with "
            f"data.on_corrupt=skip\n  {listed}"
        )
    print("every file opens")

"""``vision-apps data``: look at a data set, or derive from it what an application needs."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vision_apps.cli import arguments
from vision_apps.cli.output import announce
from vision_apps.core import compose, targets
from vision_apps.core.errors import ConfigError, CorruptSample, DataError
from vision_apps.core.suggest import nearest

_USAGE = """\
vision-apps data COMMAND task=... data=... [key=value ...]

  check   count the samples of each split, open every one, list the broken files
An application can have more: a wrong COMMAND lists them."""


def data(argv: Sequence[str]) -> None:
    if not argv or argv[0] in ("--help", "-h"):
        print(_USAGE)
        return
    command, *rest = argv
    words = arguments.parse(rest)
    config = compose.compose(words.overrides, words.config_dirs)
    targets.allow(config.allow_targets)
    announce()
    commands: dict[str, Callable[[DictConfig], None]] = {"check": check_data, **of_application(config)}
    if command not in commands:
        raise ConfigError(
            f"data {command}: no such command{nearest(command, commands)}; "
            f"{config.task.name} has: {', '.join(commands)}"
        )
    commands[command](config)


def of_application(config: DictConfig) -> dict[str, Callable[[DictConfig], None]]:
    """What the application's package offers under ``commands``: name to a function of the configuration."""
    home = targets.resolve(config.module._target_).__module__
    package = import_module(home.rpartition(".")[0] or home)
    return dict(getattr(package, "commands", {}))


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
        for index in range(len(samples)):
            try:
                samples.__getitems__([index]) if getattr(samples, "in_memory", False) else samples[index]
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

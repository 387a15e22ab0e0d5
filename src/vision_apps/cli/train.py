"""``vision-apps train``: compose with Hydra, hand over to the engine."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

import yaml
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from vision_apps.cli import arguments, help
from vision_apps.cli.output import announce, refuse
from vision_apps.core import parent
from vision_apps.core.config import compose, options, overrides, targets
from vision_apps.core.config.allowing import CONFIGURED, allow_targets
from vision_apps.core.errors import ConfigError, UserError


def train(argv: Sequence[str]) -> None:
    parent.end_with_parent()
    words = arguments.parse(argv)
    if words.help:
        print(help.train(options.conf_dirs(words.config_dirs), words.task))
    elif "--replay" in words.own:
        from vision_apps.core import engine
        from vision_apps.core.checkpoint import Interrupted, Pruned

        # of further processes the first one tells; another status would get it killed
        with contextlib.suppress(*((Interrupted, Pruned) if "LOCAL_RANK" in os.environ else ())):
            engine.replay(words.own["--replay"], words.own.get("--checkpoint"), words.overrides)
    elif (run := words.pop("resume")) is not None:
        _resume(run, words)
    else:
        _launch(words)


def _resume(run: str, words: arguments.Words) -> None:
    if words.hydra:
        raise ConfigError(f"{words.hydra[0]}: cannot be combined with resume={run}, which composes nothing")
    overrides.require_resumable(words.overrides, options.groups())
    changes = allow_targets(words.overrides)
    announce()
    from vision_apps.core import engine

    engine.resume(run, changes)


def _launch(words: arguments.Words) -> None:
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException

    dirs = options.conf_dirs(words.config_dirs)
    given = words.overrides if words.completes else compose.expand(words.overrides, dirs)
    extra = [compose.search_path(dirs)] if len(dirs) > 1 and not words.completes else []
    running = False
    allow_targets(words.overrides)

    @hydra.main(config_path=str(dirs[0]), config_name="config", version_base="1.3")
    def job(config: DictConfig) -> None:
        nonlocal running
        running = True
        try:
            chosen = compose.choices(HydraConfig.get().runtime.choices)
            compose.require_one_application(chosen, dirs)
            targets.require_allowed(config.allow_targets, CONFIGURED)
            announce()
            from vision_apps.core import engine

            engine.train(config, chosen)
        except UserError as error:  # here, because Hydra would print a line of its own about it
            sys.exit(refuse(error))
        running = False

    with _command_line([*words.hydra, *given, *extra]):
        try:
            job()
        except (HydraException, OmegaConfBaseException, ValueError, yaml.YAMLError) as error:
            if running:
                raise
            raise compose.explain(error, given, dirs) from error


@contextlib.contextmanager
def _command_line(argv: list[str]) -> Iterator[None]:
    """``hydra.main`` reads ``sys.argv``, and prints errors its own way unless it is asked to raise them."""
    saved, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [saved[0], *argv]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = saved
        if full is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full

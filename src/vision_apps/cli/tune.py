"""``vision-apps tune``: a learning rate or a batch size to begin with."""

from collections.abc import Sequence
from pathlib import Path

from vision_apps.cli import options
from vision_apps.cli.output import announce
from vision_apps.core.command import command
from vision_apps.core.config import compose, targets
from vision_apps.core.config.allowing import CONFIGURED, allow_targets
from vision_apps.core.config.suggest import instead_of
from vision_apps.core.errors import ConfigError

_USAGE = """\
vision-apps tune lr [group=name ...] [key=value ...] [--least LR] [--most LR] [--steps N] [--out FOLDER]
vision-apps tune batch [group=name ...] [key=value ...] [--least N] [--most N] [--out FOLDER]

  group=name, key=value  what is to be trained, as for train
  lr       trains --steps steps (by default 100) at rates that rise from --least (by default 1e-6) to --most
           (by default 1), and says where the loss falls fastest (Smith 2017): optimizer.lr=...
  batch    trains a few steps with batches of --least samples (by default 2) and each double of it up to
           --most, and says which is the smallest that is as fast as any, and which no longer fits:
           data.batch_size=...
  --out    a new folder for the curve (lr.png, batch.png) and its table; by default below runs/tune
  --config-dir DIR       a folder with more configurations

Nothing is kept of what was trained; a schedule is left out, and one device is used."""

_TAKES = {
    "--least": "a number above 0",
    "--most": "a number above 0",
    "--steps": "a number from 10, as in --steps 200",
    "--out": "a folder, as in --out tuned",
    "--config-dir": "a folder, as in --config-dir conf",
}


def tune(argv: Sequence[str]) -> None:
    given = options.parse(argv, _USAGE, _TAKES)
    what, *words = given.words or [""]
    if what not in ("lr", "batch"):
        raise ConfigError(f"tune {what}: tune what{instead_of(what, ('lr', 'batch'))}")
    if what == "batch" and "--steps" in given:
        raise ConfigError("tune batch: takes no --steps, it trains four with each size")
    kind = float if what == "lr" else int
    least, most, steps = (
        given.number("--least", kind),
        given.number("--most", kind),
        given.number("--steps", int),
    )
    config = compose.compose(words, [Path(folder) for folder in given.values.get("--config-dir", [])])
    allow_targets(words)
    targets.require_allowed(config.allow_targets, CONFIGURED)
    announce()
    from vision_apps.core.tuning import Tuner

    tuner = Tuner(config, given.value("--out"))
    if what == "lr":
        found = f"optimizer.lr={tuner.rate(least or 1e-6, most or 1.0, steps or 100):.2g}"
    else:
        found = f"data.batch_size={tuner.batch(int(least or 2), None if most is None else int(most))}"
    folders = [word for folder in given.values.get("--config-dir", []) for word in ("--config-dir", folder)]
    kept = [word for word in words if word.lstrip("+").partition("=")[0] != found.partition("=")[0]]
    print(f"next     {' ' * 6 if what == 'lr' else ''}{command('train', *kept, found, *folders)}", flush=True)

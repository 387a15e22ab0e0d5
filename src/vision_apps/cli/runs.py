"""Commands that take a run folder or checkpoint and nothing else."""

import re
from collections.abc import Sequence

from vision_apps.cli import arguments
from vision_apps.cli.output import announce
from vision_apps.cli.train import allow_targets
from vision_apps.core.errors import ConfigError
from vision_apps.core.suggest import nearest

_TEST = """\
vision-apps test RUN [key=value ...]

  RUN        a run folder or a checkpoint
  key=value  changes to its saved configuration, as in data.root=elsewhere

Scores the best weights on the test split, next to the baselines. The results go into the run, or into
<name>-test here for a checkpoint outside of a run."""

_PREDICT = """\
vision-apps predict RUN INPUT [INPUT ...] [--out FOLDER] [module.key=value ...] [allow_targets=[PACKAGE]]

  RUN     a run folder or a checkpoint
  INPUT   a picture, a folder of pictures, or a pattern such as 'photos/*.jpg'
  module  what the application lets be chosen after training, as in module.tile=512
  --out   where the pictures and predictions.jsonl go; by default RUN/predictions, or
          <name>-predictions here for a checkpoint outside of a run"""


def test(argv: Sequence[str]) -> None:
    run, rest, _ = _run_and(argv, _TEST)
    if run is None:
        return
    words = arguments.Words(overrides=rest)
    allow_targets(words)
    announce()
    from vision_apps.core import evaluate

    evaluate.test(run, words.overrides)


def predict(argv: Sequence[str]) -> None:
    run, inputs, out = _run_and(argv, _PREDICT, takes_out=True)
    if run is None:
        return
    words = arguments.Words(overrides=inputs)
    allow_targets(words)
    changes = [word for word in words.overrides if re.match(r"module\.[\w.]+=", word)]
    pictures = [word for word in words.overrides if word not in changes]
    if not pictures:
        raise ConfigError(f"predict {run}: which pictures? vision-apps predict {run} photo.jpg")
    announce()
    from vision_apps.core import predict as prediction
    from vision_apps.datasets.images import EXTENSIONS, read_image

    prediction.predict(run, pictures, out, read_image, EXTENSIONS, changes)


def _run_and(
    argv: Sequence[str], usage: str, takes_out: bool = False
) -> tuple[str | None, list[str], str | None]:
    """The run, the words after it and ``--out``; no run after ``--help`` was answered."""
    names = ["--help", "-h", *(["--out"] if takes_out else [])]
    words: list[str] = []
    out: str | None = None
    left = list(argv)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name in ("--help", "-h"):
            print(usage)
            return None, [], None
        if name == "--out" and takes_out:
            if not equals and not left:
                raise ConfigError("--out: expected a folder, as in --out colored")
            out = value if equals else left.pop(0)
        elif word.startswith("-"):
            raise ConfigError(f"{name}: no such option{nearest(name, names)}; see --help")
        else:
            words.append(word)
    if not words:
        raise ConfigError(f"which run? It is a folder under runs/, or a checkpoint\n{usage.splitlines()[0]}")
    return words[0], words[1:], out

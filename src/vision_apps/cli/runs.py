"""Commands that take a run folder or checkpoint and nothing else."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
vision-apps predict RUN INPUT [INPUT ...] [--out FOLDER] [--batch N] [--every N] [--seconds N]
                    [module.key=value ...] [allow_targets=[PACKAGE]]

  RUN        a run folder, a checkpoint or an exported file
  INPUT      a picture, a video, a folder of them, a pattern such as 'photos/*.jpg', @list.txt with one of
             these a line, webcam, or webcam:1 for a second one; a webcam goes on until Ctrl-C
  module     what the application lets be chosen after training, as in module.tile=512
  --out      where the drawings and predictions.jsonl go; by default RUN/predictions, or
             <name>-predictions here for a checkpoint outside of a run
  --batch    pictures at once; by default (auto) as many as is fast and fits the memory
  --every    of a video or webcam, take the first of so many frames
  --seconds  of each video and webcam

A video becomes an MP4 (codec mp4v) of the same rate and length."""

_PREDICT_OPTIONS = {  # what takes a value, and an example of it
    "--out": "a folder, as in --out colored",
    "--batch": "auto or a number from 1, as in --batch 16",
    "--every": "a number from 1, as in --every 5",
    "--seconds": "a number above 0, as in --seconds 10",
}


def test(argv: Sequence[str]) -> None:
    run, rest, _ = _run_and(argv, _TEST, {})
    if run is None:
        return
    words = arguments.Words(overrides=rest)
    allow_targets(words)
    announce()
    from vision_apps.core import evaluate

    evaluate.test(run, words.overrides)


def predict(argv: Sequence[str]) -> None:
    run, inputs, options = _run_and(argv, _PREDICT, _PREDICT_OPTIONS)
    if run is None:
        return
    words = arguments.Words(overrides=inputs)
    allow_targets(words)
    changes = [word for word in words.overrides if re.match(r"module\.[\w.]+=", word)]
    given = [word for word in words.overrides if word not in changes]
    if not given:
        raise ConfigError(f"predict {run}: which pictures? vision-apps predict {run} photo.jpg")
    batch = None if options.get("--batch") == "auto" else _number(options, "--batch", int)
    every = _number(options, "--every", int) or 1
    seconds = _number(options, "--seconds", float)
    announce()
    from vision_apps.prediction import predict as prediction

    prediction.predict(run, given, options.get("--out"), changes, batch, every, seconds)


def _number(options: dict[str, str], name: str, kind: Callable[[str], Any]) -> Any:
    """The value of an option; None where it was not given."""
    if name not in options:
        return None
    try:
        value = kind(options[name])
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise ConfigError(f"{name}: {options[name]}; expected {_PREDICT_OPTIONS[name]}")
    return value


def _run_and(
    argv: Sequence[str], usage: str, takes: Mapping[str, str]
) -> tuple[str | None, list[str], dict[str, str]]:
    """The run, the words after it and the options that have a value; no run after ``--help`` was answered.

    Args:
        takes: the options, and what is expected of each.
    """
    words: list[str] = []
    options: dict[str, str] = {}
    left = list(argv)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name in ("--help", "-h"):
            print(usage)
            return None, [], {}
        if name in takes:
            if not equals and not left:
                raise ConfigError(f"{name}: expected {takes[name]}")
            options[name] = value if equals else left.pop(0)
        elif word.startswith("-"):
            raise ConfigError(f"{name}: no such option{nearest(name, ['--help', '-h', *takes])}; see --help")
        else:
            words.append(word)
    if not words:
        raise ConfigError(f"which run? It is a folder under runs/, or a checkpoint\n{usage.splitlines()[0]}")
    return words[0], words[1:], options

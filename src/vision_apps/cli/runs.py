"""Commands that take a run folder or checkpoint and nothing else."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from vision_apps.cli import options
from vision_apps.cli.output import announce
from vision_apps.core.config.allowing import allow_targets
from vision_apps.core.errors import ConfigError

_TEST = """\
vision-apps test RUN [key=value ...] [allow_targets=[PACKAGE]]

  RUN        a run folder or a checkpoint; last: the run that began last; best:METRIC: whose METRIC is best
  key=value  changes to its saved configuration, of what a test is made with: as in data.root=elsewhere

Scores the best weights on the test split, next to the baselines. The results go into the run, or into
<name>-test here for a checkpoint outside of a run."""

_PREDICT = """\
vision-apps predict RUN [INPUT ...] [--with NAME=TEXT] [--out FOLDER] [--batch N] [--every N] [--seconds N]
                    [--coco FILE] [--explain gradcam] [module.key=value ...] [allow_targets=[PACKAGE]]
vision-apps predict RUN --help

  RUN        a run folder, a checkpoint or an exported file; last: the run that began last; best:METRIC:
             whose METRIC is best; with --help it says what it takes
  INPUT      a picture, a video, a folder of them, a pattern such as 'photos/*.jpg', @list.txt with one of
             these a line, webcam, or webcam:1 for a second one (a webcam goes on until Ctrl-C); or
             rows.jsonl with a line for each answer: {"file": "photo.jpg", "question": "how many?"}, the
             file beside rows.jsonl, in images/ there or from here; it may be called image, and an id such as
             question_id goes into the answer. Where no pictures are taken: rows without a file, or none
  module     what the application lets be chosen after training, as in module.tile=512
  --with     what is said beside every picture, once for each NAME; by default nothing; rows may say their own
  --out      where the drawings and predictions.jsonl go; by default RUN/predictions, or
             <name>-predictions here for a checkpoint outside of a run
  --batch    pictures at once; by default (auto) as many as is fast and fits the memory
  --every    of a video or webcam, take the first of so many frames; by default 1, each of them
  --seconds  of each video and webcam; by default all of a video, and of a webcam until Ctrl-C
  --coco     an annotation file of your own: boxes are written once more as results.json, with its ids, for
             loadRes of pycocotools; by default not
  --explain  gradcam: each picture is written once more, as gradcam/NAME.png, its evidence in colours: of the
             class, or of the five surest boxes. Pictures only, and networks of convolutions; by default not

A video becomes an MP4 (codec mp4v) of the same rate and length."""

_PREDICT_OPTIONS = {
    "--with": "NAME=TEXT, as in --with question='how many?'",
    "--out": "a folder, as in --out colored",
    "--batch": "auto or a number from 1, as in --batch 16",
    "--every": "a number from 1, as in --every 5",
    "--seconds": "a number above 0, as in --seconds 10",
    "--explain": "gradcam",
    "--coco": "an annotation file, as in --coco instances_val.json",
}


def test(argv: Sequence[str]) -> None:
    given = options.parse(argv, _TEST, {})
    run = options.run_of(given, _TEST)
    changes = allow_targets(given.words)
    announce()
    from vision_apps.trained import evaluate

    evaluate.test(run, changes)


def predict(argv: Sequence[str]) -> None:
    given = options.parse(argv, _predict_usage, _PREDICT_OPTIONS)
    run = options.run_of(given, _PREDICT)
    words = allow_targets(given.words)
    changes = [word for word in words if re.match(r"module\.[\w.]+=", word)]
    inputs = [word for word in words if word not in changes]
    for word in inputs:
        name, equals, value = word.partition("=")
        if equals and f"--{name}" in _PREDICT_OPTIONS and not Path(word).exists():
            raise ConfigError(f"{word}: expected --{name} {shlex.quote(value)}")
    batch = None if given.value("--batch") == "auto" else given.number("--batch", int)
    every, seconds = given.number("--every", int) or 1, given.number("--seconds", float)
    said: dict[str, str] = {}
    for pair in given.values.get("--with", []):
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise ConfigError(f"--with {pair}: expected {_PREDICT_OPTIONS['--with']}")
        if name in said:
            raise ConfigError(
                f"--with {name}: given twice; for several answers about a picture name a file of rows, see "
                "vision-apps predict --help"
            )
        said[name] = text
    announce()
    from vision_apps.prediction import predict as prediction

    prediction.predict(
        run,
        inputs,
        given.value("--out"),
        changes,
        batch,
        every,
        seconds,
        said,
        given.value("--coco"),
        given.one_of("--explain", ("gradcam",)),
    )


def _predict_usage(words: list[str]) -> str:
    """Of the command, or of the run that is named."""
    if not words:
        return _PREDICT
    allow_targets(words[1:])
    announce()
    from vision_apps.prediction import predict as prediction

    return prediction.usage(words[0])

"""``vision-apps choose``."""

import re
from collections.abc import Sequence
from functools import partial

from vision_apps.cli import options
from vision_apps.cli.output import announce
from vision_apps.core.config.allowing import allow_targets

_LAST_PORT = 65535

_CHOOSE = """\
vision-apps choose RUN [PICTURE ...] [--choices FILE] [--port N] [--no-browser] [module.key=value ...]
                   [allow_targets=[PACKAGE]]

  RUN           a run folder or a checkpoint whose answers are several texts: captioning; last: the run that
                began last; best:METRIC: whose METRIC is best
  PICTURE       a picture, a folder of them, a pattern such as 'photos/*.jpg', or @list.txt with one of these
                a line: a page asks which of the run's texts is best of each. Never of the test split
  --choices     where the choices are kept, a line each: {"file": "photo.jpg", "candidates": ["a cat", "a
                dog"], "chosen": "a dog"}, chosen null where none is right; by default RUN/choices.jsonl, or
                <name>-choices.jsonl here for a checkpoint outside of a run
  --port        by default a free one
  --no-browser  only print the address
  module        what the texts are found with, as in module.beam_width=5 module.best=5

Without a PICTURE the choices that are kept are all there is. To them the weights are fitted by which the run
orders its texts, and printed as settings for test and predict. The page is served to this machine alone."""

_OPTIONS = {
    "--choices": "a file, as in --choices choices.jsonl",
    "--port": f"a number from 1 to {_LAST_PORT}, as in --port 7861",
    "--no-browser": None,
}


def choose(argv: Sequence[str]) -> None:
    given = options.parse(argv, _CHOOSE, _OPTIONS)
    run = options.run_of(given, _CHOOSE)
    port = given.number("--port", int, most=_LAST_PORT)
    words = allow_targets(given.words)
    changes = [word for word in words if re.match(r"module\.[\w.]+=", word)]
    announce()
    from vision_apps.dashboard.choosing import ask
    from vision_apps.prediction import choose as choosing

    asked = partial(ask, port=port, browse="--no-browser" not in given)
    pictures = [word for word in words if word not in changes]
    choosing.choose(run, pictures, given.value("--choices"), asked, changes)

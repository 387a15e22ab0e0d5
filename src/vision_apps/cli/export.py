"""``export``: a run as one file."""

import re
from collections.abc import Sequence
from pathlib import Path

from vision_apps.cli import options
from vision_apps.cli.output import announce
from vision_apps.core.config.allowing import allow_targets
from vision_apps.core.errors import ConfigError
from vision_apps.trained.formats import SUFFIXES

_USAGE = """\
vision-apps export RUN [--format FORMAT] [--out FILE] [module.key=value ...] [allow_targets=[PACKAGE]]

  RUN       a run folder or a checkpoint; of a run its best weights; last: the run that began last;
            best:METRIC: whose METRIC is best
  --format  onnx (default): all that is computed, pixels and words in, answer out, for any ONNX runtime
            torch-export: the same for torch.export.load, a .pt2 file
            safetensors: the weights, of every application
  --out     the file; by default RUN/exported/model.SUFFIX, or <name>.SUFFIX here for a checkpoint outside
            of a run
  module    what the application lets be chosen after training, as in module.flip_test=true

The file is compared with the network on samples of the run's test data before it gets its name, and a model
card FILE.md is written beside it. Use it: vision-apps predict FILE photo.jpg"""


_OPTIONS = {
    "--format": f"one of {', '.join(SUFFIXES)}",
    "--out": "a file, as in --out model.onnx",
}


def export(argv: Sequence[str]) -> None:
    given = options.parse(argv, _USAGE, _OPTIONS)
    run, out = options.run_of(given, _USAGE), given.value("--out")
    of_suffix = {suffix: kind for kind, suffix in SUFFIXES.items()}
    kind = given.one_of("--format", SUFFIXES) or of_suffix.get(Path(out or "").suffix.lower(), "onnx")
    changes = allow_targets(given.words)
    wrong = [word for word in changes if not re.match(r"module\.[\w.]+=", word)]
    if wrong:
        raise ConfigError(f"{wrong[0]}: expected module.key=value, such as module.flip_test=true; see --help")
    announce()
    from vision_apps.export import export as exporting

    exporting.export(run, kind, out, changes)

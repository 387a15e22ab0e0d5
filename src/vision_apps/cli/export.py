"""``export``: a run as one file."""

import re
from collections.abc import Sequence

from vision_apps.cli import arguments
from vision_apps.cli.output import announce
from vision_apps.cli.train import allow_targets
from vision_apps.core.errors import ConfigError
from vision_apps.core.formats import SUFFIXES
from vision_apps.core.suggest import nearest

_USAGE = """\
vision-apps export RUN [--format FORMAT] [--out FILE] [module.key=value ...] [allow_targets=[PACKAGE]]

  RUN       a run folder or a checkpoint; of a run its best weights
  --format  onnx (default): the whole graph, pixels in, answer out, for any ONNX runtime
            torch-export: the same for torch.export.load, a .pt2 file
            safetensors: the weights, of every network
  --out     the file; by default RUN/exported/model.SUFFIX, or <name>.SUFFIX here for a checkpoint outside
            of a run
  module    what the application lets be chosen after training, as in module.flip_test=true

The file is compared with the network on pictures of the run's test data before it gets its name, and a model
card FILE.md is written beside it. Use it: vision-apps predict FILE photo.jpg"""


def export(argv: Sequence[str]) -> None:
    run, kind, out, rest = _words(argv)
    if run is None:
        return
    words = arguments.Words(overrides=rest)
    allow_targets(words)
    wrong = [word for word in words.overrides if not re.match(r"module\.[\w.]+=", word)]
    if wrong:
        raise ConfigError(f"{wrong[0]}: expected module.key=value, such as module.flip_test=true; see --help")
    announce()
    from vision_apps.export import export as exporting

    exporting.export(run, kind, out, words.overrides)


def _words(argv: Sequence[str]) -> tuple[str | None, str, str | None, list[str]]:
    """The run, format, file and the words after the run; no run after ``--help`` was answered."""
    values: dict[str, str] = {}
    words: list[str] = []
    left = list(argv)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name in ("--help", "-h"):
            print(_USAGE)
            return None, "", None, []
        if name in ("--format", "--out"):
            if not equals and not left:
                example = "onnx" if name == "--format" else "model.onnx"
                raise ConfigError(f"{name}: expected a value, as in {name} {example}")
            values[name] = value if equals else left.pop(0)
        elif word.startswith("-"):
            raise ConfigError(
                f"{name}: no such option{nearest(name, ('--format', '--out', '--help'))}; see --help"
            )
        else:
            words.append(word)
    if not words:
        raise ConfigError(f"which run? It is a folder under runs/, or a checkpoint\n{_USAGE.splitlines()[0]}")
    kind, out = values.get("--format"), values.get("--out")
    if kind is None:
        kind = next((k for k, suffix in SUFFIXES.items() if out and out.lower().endswith(suffix)), "onnx")
    if kind not in SUFFIXES:
        raise ConfigError(f"--format {kind}: expected {', '.join(SUFFIXES)}{nearest(kind, SUFFIXES)}")
    return words[0], kind, out, words[1:]

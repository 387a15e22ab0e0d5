"""``vision-apps data``: look at a data set, or derive from it what an application needs.

An application adds a command with a file: ``vision_apps/applications/<task>/data_<command>.py`` that has
``run(config, out, command)``: the composed configuration, what ``out=`` says, and the words that compose the
same configuration again, for a shell.
"""

import ast
import contextlib
import io
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

import vision_apps
from vision_apps.cli import arguments
from vision_apps.cli.output import announce
from vision_apps.core.config import compose, options, targets
from vision_apps.core.config.allowing import CONFIGURED, allow_targets
from vision_apps.core.config.suggest import instead_of
from vision_apps.core.errors import ConfigError, CorruptSample, DataError, RunError
from vision_apps.core.neutral import visible
from vision_apps.core.plain import Config

if TYPE_CHECKING:
    from torch import Tensor

    from vision_apps.core.data import Samples, VisionData

_AT_ONCE = 32  # files that a reader process opens before it tells
_DRAWN, _PER_LINE = 16, 4  # pictures of a sheet
_LISTED = 100  # words of a fact, such as a vocabulary
_NAMED = 10  # files that are left out
_OF = ".data-check-of"  # names the data whose sheets are in a folder
_CHECKED = 512  # training samples that the network's own checks look at


def data(argv: Sequence[str]) -> None:
    commands = of_applications()
    if not argv or argv[0] in ("--help", "-h"):
        print(usage(commands))
        return
    command, *rest = argv
    if command not in ("check", *commands):
        raise ConfigError(f"data {command}: no such command{instead_of(command, ['check', *commands])}")
    words = arguments.parse(rest)
    if words.help:
        print(usage(commands))
        return
    out = words.pop("out")
    if command in commands:  # of its application, unless another one is asked for
        task, asked = commands[command].parent.name, words.pop("task")
        if asked not in (None, task):
            raise ConfigError(f"data {command}: belongs to {task}, the task is {asked}")
        words.overrides.insert(0, f"task={task}")
    config = compose.compose(words.overrides, words.config_dirs)
    allow_targets(words.overrides)
    targets.require_allowed(config.allow_targets, CONFIGURED)
    announce()
    if command == "check":
        check_data(config, out)
    else:
        module = import_module(f"vision_apps.applications.{config.task.name}.data_{command}")
        folders = [word for folder in words.config_dirs for word in ("--config-dir", str(folder))]
        module.run(config, out, shlex.join([*words.overrides, *folders]))


def of_applications() -> dict[str, Path]:
    """Command to the file that has it."""
    root = Path(vision_apps.__file__).parent / "applications"
    files = [path for task in options.applications() for path in sorted((root / task).glob("data_*.py"))]
    return {path.stem.removeprefix("data_"): path for path in files}


def usage(commands: dict[str, Path]) -> str:
    lines = [
        "vision-apps data COMMAND [data=...] [key=value ...]",
        "",
        "  check   count the samples of each split, open and draw them, list the broken files (out=FOLDER)",
    ]
    for name, path in commands.items():
        about = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]
        lines.append(f"  {name:<7} {about.rpartition('``: ')[2].rstrip('.')} (out=FILE)")
    return "\n".join(lines)


def check_data(config: DictConfig, out: str | None) -> None:
    """Count the samples of each split, open every one, draw the first ones into ``<split>.png`` of the folder
    ``out`` (by default ``data-check`` below ``run.root``), say what looks wrong, list the broken files.
    `DataError` where some cannot be read."""
    from vision_apps.core import assembly
    from vision_apps.core.config import check
    from vision_apps.core.data import SPLITS

    check.check(config)
    plain: Config = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    module = targets.resolve(plain["module"]["_target_"])
    source = assembly.build_data(plain)
    source.batch_type = module.batch_type  # type: ignore[attr-defined]
    folder = Path(out) if out else Path(plain["run"]["root"]) / "data-check"
    broken: dict[str, str] = {}
    sheets = _sheets(folder, plain["data"].get("root"))
    for split in SPLITS:
        samples = source.samples(split)
        broken |= _open_all(samples, split, source.workers)
        _draw_first(samples, source.facts, sheets, split)
    for name, value in source.facts.items():
        long = isinstance(value, list) and len(value) > _LISTED
        print(
            f"{name}: {value[:_LISTED]} and {len(value) - _LISTED} more"
            if long
            else visible(f"{name}: {value}")
        )
    for finding in (*source.doctor(), *_of_the_network(plain, source)):
        print(visible(finding))
    if broken:
        listed = "\n  ".join(f"{path}: {reason}" for path, reason in sorted(broken.items()))
        count = "1 broken file" if len(broken) == 1 else f"{len(broken)} broken files"
        raise DataError(f"{count}; remove or mend, or leave out with data.on_corrupt=skip\n  {listed}")
    left_out = source.left_out
    if not left_out:
        print("every file opens")
        return
    listed = "\n  ".join(f"{path}: {reason}" for path, reason in sorted(left_out.items())[:_NAMED])
    more = f"\n  and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
    count = "1 file is" if len(left_out) == 1 else f"{len(left_out)} files are"
    print(f"every file that is used opens; {count} left out:\n  {visible(listed)}{more}")


def _sheets(folder: Path, root: str | None) -> Path:
    """The folder that is given, or the first with a number after it where the sheets of other data lie."""
    data = str(Path(root).absolute()) if root else ""
    number, found = 1, folder
    while (known := found / _OF).is_file() and known.read_text(encoding="utf-8", errors="replace") != data:
        number += 1
        found = folder.with_name(f"{folder.name}-{number}")
    with contextlib.suppress(OSError):  # told when the first sheet is written
        found.mkdir(parents=True, exist_ok=True)
        (found / _OF).write_text(data, encoding="utf-8", errors="replace")
    return found


def _of_the_network(config: Config, source: "VisionData") -> list[str]:
    """What the application says of the training samples, with its network as it starts."""
    from vision_apps.core import assembly
    from vision_apps.core.loader import BatchLoader
    from vision_apps.core.module import VisionModule

    if targets.resolve(config["module"]["_target_"]).check is VisionModule.check:  # type: ignore[attr-defined]
        return []
    module = assembly.build_module(config, source.facts, trainable=False, trained=True)
    loader = BatchLoader(
        source.samples("train"), module.batch_type, batch_size=_CHECKED, shuffle=True, on_corrupt="skip"
    )
    return module.check(next(iter(loader)))


def _only_broken(read: list[object]) -> list[CorruptSample | None]:
    """Executed by a reader process: nothing that was read crosses the border between the processes."""
    return [one if isinstance(one, CorruptSample) else None for one in read]


def _open_all(samples: "Samples", split: str, workers: int) -> dict[str, str]:
    """Path to reason of the broken files. A terminal shows how far it is."""
    from torch.utils.data import DataLoader

    from vision_apps.core.loader import Tolerant

    total, live = len(samples), sys.stdout.isatty()
    reader = DataLoader(
        Tolerant(samples),
        batch_size=_AT_ONCE,
        num_workers=0 if getattr(samples, "in_memory", False) else workers,
        collate_fn=_only_broken,
    )
    broken: dict[str, str] = {}
    done = 0
    for answers in reader:
        done += len(answers)
        broken |= {answer.path: answer.reason for answer in answers if answer}
        if live:
            print(f"\r{split:<6} {done:>8} of {total}", end="", flush=True)
    found = f", {len(broken)} broken" if broken else ""
    print("\r" * live + f"{split:<6} {total:>8} samples{found}", flush=True)
    return broken


def _draw_first(samples: "Samples", facts: Config, folder: Path, split: str) -> None:
    """A sheet of the first pictures that can be read, with their boxes and masks: ``<split>.png``, with a
    number where a file that this command did not write has the name."""
    from vision_apps.core.loader import read_sample
    from vision_apps.core.pictures import sheet, to_pil
    from vision_apps.data.drawn import drawn
    from vision_apps.prediction.ours import Ours

    pictures: list[Tensor] = []
    for index in range(len(samples)):
        if len(pictures) == _DRAWN:
            break
        with contextlib.suppress(CorruptSample):
            pictures.append(drawn(read_sample(samples, index), facts))
    if pictures:
        content = io.BytesIO()
        to_pil(sheet(pictures, per_line=_PER_LINE)).save(content, "PNG")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            ours = Ours(folder, ".data-check")
            name = ours.free(f"{split}.png")
            ours.write(name, content.getvalue())
            ours.close()
        except OSError as error:
            raise RunError(
                f"{folder}: cannot be written: {error.strerror or error}; make room, or choose another "
                "folder, as in out=check"
            ) from error
        print(f"       first {len(pictures)} drawn in {folder / name}")

"""``vision-apps compare`` and ``vision-apps runs``."""

import shutil
import sys
from collections.abc import Sequence
from typing import NamedTuple

from vision_apps.core.errors import ConfigError
from vision_apps.core.suggest import nearest

_COMPARE = """\
vision-apps compare RUN|SWEEP|FOLDER ... [--last N] [--metric NAME] [--by NAME:max] [--out FOLDER]
                    [--format FORMAT]

  RUN ...   run folders, sweeps (runs/sweeps/<number>-<words>), or folders with runs below
  --last    only the newest N of them; without a folder, of runs/
  --metric  a metric to show, as in test/accuracy; may be given several times. By default the best value of
            the monitored metric, and everything that was tested
  --by      what the best configuration is chosen by, and which values are good, as in test/accuracy:max;
            by default the best value of the monitored metric
  --out     a folder for index.html (a page that needs no network), table.csv, table.md and runs.csv
  --format  text, csv or markdown: what is printed

Runs that differ in nothing but the seed are one row: mean ± standard deviation [95 % interval]."""

_RUNS = """\
vision-apps runs [FOLDER] [FILTER ...] [--last N] [--format text|csv]

  FOLDER    where to look; by default runs/
  FILTER    task=, model=, data=, status=, group= or seed= with a value, or several between commas;
            or a metric, as in 'test/accuracy>0.9' or 'val/loss<=1.5': of the monitored one the best
            value counts, of others the last
  --last    only the newest N that pass

Status is finished, running, stopped (it can be resumed), pruned or failed."""

_WIDTH = 110  # characters where the output is no terminal


class _Words(NamedTuple):
    words: list[str]
    options: dict[str, list[str]]

    def one(self, name: str, default: str) -> str:
        return self.options.get(name, [default])[-1]

    def number(self, name: str) -> int | None:
        if name not in self.options:
            return None
        text = self.options[name][-1]
        if not text.isdecimal() or int(text) < 1:
            raise ConfigError(f"{name} {text}: expected how many, as in {name} 20")
        return int(text)

    def format(self, *known: str) -> str:
        text = self.one("--format", known[0])
        if text not in known:
            raise ConfigError(
                f"--format {text}: no such format{nearest(text, known)}; there are: {', '.join(known)}"
            )
        return text


def compare(argv: Sequence[str]) -> None:
    given = _parse(
        argv,
        {
            "--last": "20",
            "--metric": "test/accuracy",
            "--by": "test/accuracy:max",
            "--out": "FOLDER",
            "--format": "csv",
        },
        _COMPARE,
    )
    if given is None:
        return
    last, form = given.number("--last"), given.format("text", "csv", "markdown")
    if not given.words and last is None:
        raise ConfigError(
            "compare what? Run folders, a sweep or a folder with runs, or --last 20 for the newest of runs/\n"
            + _COMPARE.splitlines()[0]
        )
    from vision_apps.compare import comparison, reading, tables

    metrics = [name for text in given.options.get("--metric", []) for name in text.split(",")]
    result = comparison.compare(reading.gather(given.words or ["runs"], last), metrics, given.one("--by", ""))
    if form == "text":
        width = shutil.get_terminal_size((_WIDTH, 0)).columns
        print(tables.text(result, width))
    else:
        print(tables.csv_of_rows(result) if form == "csv" else tables.markdown(result), end="")
    if "--out" in given.options:
        from vision_apps.compare import writing

        page = writing.write(result, given.one("--out", ""))
        print(f"\npage  {page}", file=sys.stdout if form == "text" else sys.stderr)


def runs(argv: Sequence[str]) -> None:
    given = _parse(argv, {"--last": "20", "--format": "csv"}, _RUNS)
    if given is None:
        return
    last, form = given.number("--last"), given.format("text", "csv")
    from vision_apps.compare import overview

    filters = [word for word in given.words if overview.is_filter(word)]
    folders = [word for word in given.words if word not in filters]
    if len(folders) > 1:
        raise ConfigError(
            f"{folders[1]}: expected one folder, and filters such as status=finished; see --help"
        )
    lines = overview.overview((folders or ["runs"])[0], filters, last)
    print(overview.csv(lines) if form == "csv" else overview.text(lines), end="")


def _parse(argv: Sequence[str], options: dict[str, str], usage: str) -> _Words | None:
    """The words, and the values of the options; None after ``--help`` was answered.

    ``options``: name to a value that an error shows.
    """
    given = _Words([], {})
    left = list(argv)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name in ("--help", "-h"):
            print(usage)
            return None
        if not word.startswith("-"):
            given.words.append(word)
            continue
        if name not in options:
            raise ConfigError(f"{name}: no such option{nearest(name, [*options, '--help'])}; see --help")
        if not equals and (not left or left[0].startswith("--")):
            raise ConfigError(f"{name}: expected a value, as in {name} {options[name]}")
        given.options.setdefault(name, []).append(value if equals else left.pop(0))
    return given

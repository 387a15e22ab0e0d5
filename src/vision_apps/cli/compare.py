"""``vision-apps compare`` and ``vision-apps runs``."""

import os
import shutil
import sys
from collections.abc import Sequence

from vision_apps.cli import options
from vision_apps.core import storages
from vision_apps.core.errors import ConfigError
from vision_apps.core.neutral import visible

_COMPARE = """\
vision-apps compare RUN|SWEEP|FOLDER ... [--last N] [--metric NAME] [--by NAME:max] [--out FOLDER]
                    [--format FORMAT] [--storage URL]

  RUN ...   run folders, sweeps (runs/sweeps/<number>-<words>), folders with runs below, last, best:METRIC
  --last    only the newest N of them; by default all; without a folder, of runs/
  --metric  a metric to show, as in test/accuracy; may be given several times. By default the best value of
            the monitored metric, and everything that was tested
  --by      what the best configuration is chosen by, and which values are good, as in test/accuracy:max;
            by default the best value of the monitored metric
  --out     a folder for index.html (a page that needs no network), table.csv, table.md and runs.csv; by
            default nothing is written
  --format  text, csv or markdown: what is printed; by default text
  --storage where a sweep keeps its study, if that is outside of its folder; by default it is within, and
            no other is opened

Runs that differ in nothing but the seed, or the fold that they hold out, are one row: mean ± standard
deviation [95 % interval]. Those of folds are corrected for the training samples that they share."""

_RUNS = """\
vision-apps runs [FOLDER] [FILTER ...] [--last N] [--format text|csv]

  FOLDER    where to look; by default runs/
  FILTER    task=, model=, data=, status=, group= or seed= with a value, or several between commas;
            or a metric, as in 'test/accuracy>0.9' or 'val/loss<=1.5': of the monitored one the best
            value counts, of others the last
  --last    only the newest N that pass; by default all
  --format  text or csv; by default text

Status is finished, running, stopped (it can be resumed), pruned or failed."""

WIDTH = 110  # characters where the output is no terminal


_LAST = {"--last": "how many, as in --last 20"}
_COMPARE_OPTIONS = {
    **_LAST,
    "--metric": "a metric, as in --metric test/accuracy",
    "--by": "a metric and which values are good, as in --by test/accuracy:max",
    "--out": "a folder, as in --out comparison",
    "--format": "text, csv or markdown",
    "--storage": "a storage as the sweep was given it, as in --storage journal://search.log",
}
_RUNS_OPTIONS = {**_LAST, "--format": "text or csv"}


def compare(argv: Sequence[str]) -> None:
    given = options.parse(argv, _COMPARE, _COMPARE_OPTIONS)
    last, form = given.number("--last", int), given.one_of("--format", ("text", "csv", "markdown")) or "text"
    if not given.words and last is None:
        raise ConfigError(
            "compare what? Run folders, a sweep or a folder with runs, or --last 20 for the newest of runs/\n"
            + _COMPARE.splitlines()[0]
        )
    if (storage := given.value("--storage")) is not None:
        os.environ[storages.NAMED] = storage
    from vision_apps.compare import comparison, reading, tables

    metrics = [name for text in given.values.get("--metric", []) for name in text.split(",")]
    found = reading.gather(given.words or ["runs"], last)
    result = comparison.compare(found, metrics, given.value("--by") or "")
    if form == "text":
        print(tables.text(result, shutil.get_terminal_size((WIDTH, 0)).columns))
    else:
        print(tables.csv_of_rows(result) if form == "csv" else tables.markdown(result), end="")
    if (out := given.value("--out")) is not None:
        from vision_apps.compare import writing

        page = writing.write(result, out)
        print(f"\npage  {visible(page, kept='')}", file=sys.stdout if form == "text" else sys.stderr)


def runs(argv: Sequence[str]) -> None:
    given = options.parse(argv, _RUNS, _RUNS_OPTIONS)
    last, form = given.number("--last", int), given.one_of("--format", ("text", "csv")) or "text"
    from vision_apps.compare import overview

    filters = [word for word in given.words if overview.is_filter(word)]
    folders = [word for word in given.words if word not in filters]
    if len(folders) > 1:
        raise ConfigError(
            f"{folders[1]}: expected one folder, and filters such as status=finished; see --help"
        )
    lines = overview.overview((folders or ["runs"])[0], filters, last)
    print(overview.to_csv(lines) if form == "csv" else overview.to_text(lines), end="")
    for problem in overview.problems(lines):
        print(visible(problem), file=sys.stderr)

"""Runs as configurations: what differs in nothing but the seed, or the fold held out, is one."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Literal

from vision_apps.compare import folds, paired, settings
from vision_apps.compare.paired import Pair
from vision_apps.compare.reading import Gathered, Run
from vision_apps.core.config.suggest import instead_of
from vision_apps.core.errors import ConfigError
from vision_apps.core.statistics import Summary, summarize

BEST = "best "  # before the name of a monitored metric
_SAME = 1e-5  # relative; a baseline that was summed over other batches differs by rounding


@dataclass
class Row:
    """One configuration."""

    label: str
    settings: dict[str, str]  # of those that differ
    runs: list[Run]  # finished, one per seed and fold
    started: int  # how many there are, with the unfinished ones
    summaries: dict[str, Summary]

    @property
    def folds(self) -> int | None:
        """How many folds the samples were cut into; none without cross-validation."""
        return self.runs[0].folds

    @property
    def repeats(self) -> int:
        """How many values a mean is of: seeds; or folds, each with the mean of its seeds."""
        return len({run.repeat for run in self.runs})

    @property
    def seconds(self) -> float | None:
        """Mean of the runs that tell."""
        known = [seconds for run in self.runs if (seconds := run.metrics.get("seconds")) is not None]
        return fmean(known) if known else None

    def largest(self, name: Literal["peak_memory", "parameters"]) -> int | None:
        """Of the runs that tell; memory in bytes."""
        return max((count for run in self.runs if (count := run.metrics.get(name))), default=None)


@dataclass
class Comparison:
    """Runs of one task, grouped by the settings that differ."""

    task: str
    monitor: str | None
    mode: str
    by: str  # the metric, named as in the tables, that orders the rows
    by_mode: str
    runs: list[Run]
    of_runs: list[dict[str, str]]  # the settings that differ, of each of `runs`
    rows: list[Row]  # with a finished run, the best by `by` first
    metrics: list[str]
    unfinished: list[Run]
    left_out: list[tuple[Path, str]]
    baselines: dict[str, dict[str, float]]  # metrics on which all runs agree
    tests: dict[str, dict[str, Pair]] = field(default_factory=dict)  # metric to row's label to result
    notes: list[str] = field(default_factory=list)

    @property
    def unit(self) -> str:
        """What the runs of a configuration differ by: ``seed`` or ``fold``; ``run`` where it is now this, now
        that."""
        folded = {bool(row.folds) for row in self.rows}
        return "run" if len(folded) > 1 else "fold" if True in folded else "seed"

    @property
    def settings(self) -> list[str]:
        """The keys that differ."""
        return list(self.of_runs[0]) if self.of_runs else []


def compare(gathered: Gathered, metrics: Sequence[str] = (), by: str | None = None) -> Comparison:
    """Group runs by what differs but the seed and the fold, and summarise ``metrics``, by default the best
    value of the monitored metric and everything that was tested. ``by``: ``<metric>:min`` or
    ``<metric>:max``, what the best configuration is chosen by; by default the best value of the monitored
    metric. `ConfigError` where no run has such a metric."""
    runs = gathered.runs
    of_runs = settings.differing(runs)
    notes: list[str] = []
    monitor, mode = _monitor(runs, notes)
    shown = _chosen(runs, "--metric", metrics) if metrics else _default(runs, monitor)
    judge, judge_mode = _judge(runs, by) if by else (f"{BEST}{monitor}", mode)
    result = Comparison(
        task=runs[0].task,
        monitor=monitor,
        mode=mode,
        by=judge,
        by_mode=judge_mode,
        runs=runs,
        of_runs=of_runs,
        rows=_rows(runs, of_runs, shown, notes),
        metrics=shown,
        unfinished=sorted((run for run in runs if not run.finished), key=lambda run: run.status != "failed"),
        left_out=gathered.left_out,
        baselines=_baselines(runs, notes),
        notes=notes,
    )
    sign = 1 if judge_mode == "min" else -1
    notes += folds.notes(result.rows, shown)
    means = {id(row): fmean(_by_repeat(row, judge).values() or [math.nan]) for row in result.rows}
    result.rows.sort(key=lambda row: (math.isnan(means[id(row)]), sign * means[id(row)]))
    if (
        judge.endswith("/loss")
        and len({frozenset(_tested(row.runs[0].final)) for row in result.rows} - {frozenset()}) > 1
    ):
        notes.append(
            f"these configurations have losses of different kinds, whose values ({judge}) say nothing about "
            "each other; choose what to judge by, as in --by test/accuracy:max"
        )
    if len(result.rows) > 1:
        best = result.rows[0]
        result.tests = _tests(result.rows, shown, notes, result.unit)
        if judge.startswith("test/"):
            notes.append(
                f"{best.label} is the best of {len(result.rows)} by the test split, which chose it: "
                "its own figures there are too good; choose by validation, or test it on other samples"
            )
    return result


def value(run: Run, metric: str) -> float | None:
    """A run's value of a metric as the tables name it; None where the run has not finished or lacks it."""
    if not run.finished:
        return None
    if metric.startswith(BEST):
        return run.best if run.monitor == metric.removeprefix(BEST) else None
    return run.final.get(metric)


def is_baseline(metric: str) -> bool:
    """Whether a metric's name is ``test/<baseline>/<metric>``."""
    return metric.count("/") > 1


def _monitor(runs: Sequence[Run], notes: list[str]) -> tuple[str | None, str]:
    named = Counter((run.monitor, run.mode) for run in runs)
    (monitor, mode), _ = named.most_common(1)[0]
    if len(named) > 1:
        differing = sorted({str(name) for name, _ in named} - {str(monitor)})
        others = ", ".join(differing) or f"{monitor}, reversed"
        notes.append(f"most of the runs monitor {monitor} ({mode}); others: {others}")
    return monitor, mode


def _known(runs: Sequence[Run]) -> list[str]:
    best = dict.fromkeys(f"{BEST}{run.monitor}" for run in runs if run.finished and run.best is not None)
    return [*best, *dict.fromkeys(name for run in runs for name in run.final)]


def _default(runs: Sequence[Run], monitor: str | None) -> list[str]:
    known = _known(runs)
    best = [name for name in known if name.startswith(BEST)]
    best.sort(key=lambda name: name != f"{BEST}{monitor}")
    return best + _tested(known)


def _judge(runs: Sequence[Run], by: str) -> tuple[str, str]:
    name, _, mode = by.rpartition(":")
    if mode not in ("min", "max"):
        raise ConfigError(
            f"--by {by}: expected a metric and which values are good, as in --by test/accuracy:max"
        )
    return _chosen(runs, "--by", [name])[0], mode


def _tested(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith("test/") and not is_baseline(name)]


def _chosen(runs: Sequence[Run], option: str, metrics: Sequence[str]) -> list[str]:
    known = _known(runs)
    for name in metrics:
        if name not in known:
            raise ConfigError(f"{option} {name}: no finished run has it{instead_of(name, known)}")
    return list(metrics)


def _rows(
    runs: Sequence[Run], of_runs: Sequence[dict[str, str]], metrics: Sequence[str], notes: list[str]
) -> list[Row]:
    grouped: dict[tuple[str, ...], list[Run]] = {}
    for run, own in zip(runs, of_runs, strict=True):
        grouped.setdefault(tuple(own.values()), []).append(run)
    names = list(of_runs[0])
    rows = []
    for values, members in grouped.items():
        finished = _one_per_seed([run for run in members if run.finished], notes)
        if finished:
            own = dict(zip(names, values, strict=True))
            row = Row(_name(finished), own, finished, len({(run.seed, run.repeat) for run in members}), {})
            columns = {metric: list(_by_repeat(row, metric).values()) for metric in metrics}
            row.summaries = {
                metric: _summary(row, metric, known) for metric, known in columns.items() if known
            }
            rows.append(row)
    return rows


def _summary(row: Row, metric: str, values: list[float]) -> Summary:
    found = summarize(values, row.folds)
    return found._replace(low=None, high=None) if folds.share_test_samples(row.runs, metric) else found


def _one_per_seed(runs: Sequence[Run], notes: list[str]) -> list[Run]:
    """Of ``runs``, the newest first, one per seed and fold, sorted by them. A run that was done again with
    the same is no further evidence."""
    by_seed: dict[tuple[str, str], Run] = {}
    for run in runs:
        kept = by_seed.setdefault((str(run.seed), run.repeat), run)
        if kept is not run:
            what = "the settings, the seed and the fold" if run.folds else "the settings and the seed"
            notes.append(f"{run.label} has {what} of {kept.label}, which is newer: it is in no mean")
    return sorted(
        by_seed.values(), key=lambda run: (not isinstance(run.seed, int), run.seed, run.fold, run.label)
    )


def _name(runs: Sequence[Run]) -> str:
    if len(runs) == 1:
        return runs[0].label
    # what a sweep calls its runs ends with the seed where it has several, and with the fold
    common, *others = {
        str(run.record.get("title") or "").removesuffix(f" fold={run.fold}").removesuffix(f" seed={run.seed}")
        for run in runs
    }
    return common if common and not others else f"{runs[0].label} +{len(runs) - 1}"


def _baselines(runs: Sequence[Run], notes: list[str]) -> dict[str, dict[str, float]]:
    """Where all runs have the same; of cross-validation the mean over folds, where all runs of each have."""
    seen: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        for name, number in run.final.items() if run.finished else ():
            if name.startswith("test/") and is_baseline(name):
                seen.setdefault(name, {}).setdefault(run.repeat if run.folds else "", []).append(number)
    agreed: dict[str, dict[str, float]] = {}
    differing = set()
    for name, of_folds in seen.items():
        stage, baseline, metric = name.split("/", 2)
        one_kind = len({fold.partition(" of ")[2] for fold in of_folds}) == 1
        if one_kind and all(
            math.isclose(number, numbers[0], rel_tol=_SAME, abs_tol=1e-9)
            for numbers in of_folds.values()
            for number in numbers
        ):
            agreed.setdefault(baseline, {})[f"{stage}/{metric}"] = fmean(
                numbers[0] for numbers in of_folds.values()
            )
        else:
            differing.add(baseline)
    if differing:
        notes.append(
            f"the runs do not agree on the baseline {', '.join(sorted(differing))}, so they were tested on "
            "different data, or it is drawn by chance; each run's figures are in runs.csv (--out)"
        )
    return agreed


def _tests(
    rows: Sequence[Row], metrics: Sequence[str], notes: list[str], unit: str
) -> dict[str, dict[str, Pair]]:
    """Every configuration against the first."""
    first, *others = rows
    tests = {}
    for metric in metrics:
        of_rows = [
            (row, values)
            for row in rows
            if len(values := _by_repeat(row, metric)) > 1 and not folds.share_test_samples(row.runs, metric)
        ]
        if not of_rows or of_rows[0][0] is not first:
            continue
        tested = paired.against_first([values for _, values in of_rows], [row.folds for row, _ in of_rows])
        found = zip(of_rows[1:], tested, strict=True)
        pairs = {row.label: pair for (row, _), pair in found if pair is not None}
        if pairs:
            tests[metric] = pairs
    without = [row.label for row in others if not any(row.label in pairs for pairs in tests.values())]
    if without and any(len(row.runs) > 1 for row in rows):
        notes.append(f"fewer than two {unit}s in common with {first.label}, so no test: {', '.join(without)}")
    elif without:
        notes.append(
            "one seed each: whether these configurations differ by more than the seed cannot be said; "
            "run each with several"
        )
    least = min((pair.n for pairs in tests.values() for pair in pairs.values()), default=paired.FEW)
    if least < paired.FEW:
        notes.append(
            f"with {least} {unit}s only differences that are large against their spread can be told from "
            "chance: a large p-value is no proof that there is none"
        )
    return tests


def _by_repeat(row: Row, metric: str) -> dict[str, float]:
    """Seed to value, or fold to the mean of its seeds."""
    found: dict[str, list[float]] = {}
    for run in row.runs:
        if (known := value(run, metric)) is not None:
            found.setdefault(run.repeat, []).append(known)
    return {repeat: fmean(values) for repeat, values in found.items()}

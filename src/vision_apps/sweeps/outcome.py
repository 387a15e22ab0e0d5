"""What a sweep found: ``results.csv`` and the closing lines, the failures first."""

from optuna.trial import FrozenTrial, TrialState

from vision_apps.core.command import command
from vision_apps.core.neutral import csv_text, visible
from vision_apps.core.plain_files import write_whole
from vision_apps.core.statistics import Summary, summarize
from vision_apps.sweeps import studies, table
from vision_apps.sweeps.controller import Sweep

RESULTS = "results.csv"


def write(sweep: Sweep) -> None:
    """Write ``results.csv``: one row for each trial with its state, settings, and per objective the mean over
    seeds or folds, their standard deviation, interval and n."""
    trials = studies.counted(sweep.study.trials)
    rows = [_row(sweep, known) for known in trials]
    names = list(dict.fromkeys(name for row in rows for name in row))
    write_whole(sweep.folder / RESULTS, csv_text(names, rows))


def _row(sweep: Sweep, known: FrozenTrial) -> dict[str, object]:
    row: dict[str, object] = {"trial": known.number, "state": known.state.name.lower()} | known.params
    for index, name in enumerate(sweep.objectives):
        found = summary(known, index, sweep.settings.folds)
        if found is not None:
            row |= {name: found.mean}
            if sweep.runs > 1:
                row |= {f"{name} {part}": getattr(found, part) for part in ("std", "low", "high", "n")}
    row["error"] = next(iter(known.user_attrs.get("error", "").splitlines()), "")
    return row


def summary(known: FrozenTrial, objective: int, folds: int | None) -> Summary | None:
    """An objective, by its index, over a trial's seeds, or over its ``folds``; None where the trial did not
    finish."""
    if known.state != TrialState.COMPLETE or known.values is None:
        return None
    by_run = known.user_attrs.get(studies.BY_FOLD if folds else studies.BY_SEED)
    values = [found[objective] for found in by_run.values()] if by_run else [known.values[objective]]
    return summarize(values, folds)


def tell(sweep: Sweep) -> None:
    """Print the failures, what was given up, and the best."""
    trials = studies.counted(sweep.study.trials)
    failed = [known for known in trials if known.state == TrialState.FAIL]
    pruned = sum(known.state == TrialState.PRUNED for known in trials)
    finished = sum(known.state == TrialState.COMPLETE for known in trials)
    print()
    for known in failed:
        error = known.user_attrs.get("error", "no reason was recorded")
        print(f"trial {known.number:04d} failed: {visible(error)}\n  {table.settings_text(known)}")
        print(f"  output in {visible(sweep.folder / 'output', kept='')}/{known.number:04d}-*.txt")
    place = visible(sweep.folder / RESULTS, kept="")
    print(f"{finished} finished · {pruned} pruned · {len(failed)} failed · {place}")
    for known in table.best_trials(sweep.study):
        values = [
            f"{name} {summary(known, index, sweep.settings.folds)}"
            for index, name in enumerate(sweep.objectives)
        ]
        print(f"best  trial {known.number:04d}: {visible(' · '.join(values), kept='')}")
        if known.params:
            print(f"      {table.settings_text(known)}")
    print(f"next  {visible(command('compare', sweep.folder, '--out', sweep.folder / 'compare'))}", flush=True)

"""What differs between the settings of runs."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence

from vision_apps.compare.reading import Run
from vision_apps.core.config.overrides import rounded
from vision_apps.core.plain import Config

MISSING = "–"  # the setting does not exist in this run
BY_FOLD = "by fold"
# A choice stands for all the keys of its group.
_GROUPS = ("model", "data", "optimizer", "scheduler", "trainer")
# Where a run is kept and what is shown of it: two runs that differ in nothing else are the same.
_NO_SETTINGS = (
    "run",
    "seed",
    "data.fold",
    "resume",
    "allow_targets",
    "logger",
    "hydra",
    "callbacks.progress",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
)
_CLASS = "_target_"
_SWEEPS = "vision_apps.sweeps."  # a callback of a sweep knows its trial's number


def flatten(config: Config) -> dict[str, object]:
    """Dotted key to value; lists are values."""
    flat: dict[str, object] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{below}": inner for below, inner in flatten(value).items()}
        else:
            flat[str(key)] = value
    return flat


def spell(value: object) -> str:
    """A value as it is written on a command line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def in_short(key: str, value: str) -> tuple[str, str]:
    """A setting for a person's eyes: of a class its name, of a number six digits."""
    if key.rpartition(".")[2] != _CLASS:
        return key, rounded(value, 6)
    return key.removesuffix(f".{_CLASS}"), value.rpartition(".")[2]


def of_runs(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Per run every key that has to do with what is learned, and its spelled value; `MISSING` where the run
    has no such key and another one has."""
    flat = [_of(run) for run in runs]
    seeds = [spell(run.seed) for run in runs]
    keys = dict.fromkeys(key for one in flat for key in one)
    own = [key for key in keys if not key.endswith(".seed") or [one.get(key) for one in flat] != seeds]
    found = [{key: one.get(key, MISSING) for key in own} for one in flat]
    _join_folds(runs, found)
    return found


def _join_folds(runs: Sequence[Run], found: Sequence[dict[str, str]]) -> None:
    """What ``auto`` became may differ between the folds of a trial: `BY_FOLD` stands for it in all."""
    trials: dict[tuple[object, ...], list[dict[str, str]]] = defaultdict(list)
    for run, one in zip(runs, found, strict=True):
        if run.folds and run.record.get("trial") is not None:
            trials[run.sweep, run.record["trial"]].append(one)
    for members in trials.values():
        for key in members[0]:
            if _differ(one[key] for one in members):
                for one in members:
                    one[key] = BY_FOLD


def _of(run: Run) -> dict[str, str]:
    callbacks = run.config.get("callbacks") or {}
    of_sweep = {
        f"callbacks.{name}"
        for name, node in callbacks.items()
        if isinstance(node, dict) and str(node.get(_CLASS, "")).startswith(_SWEEPS)
    }
    hidden = {*_NO_SETTINGS, *of_sweep}
    return {
        key: spell(value)
        for key, value in flatten(run.config).items()
        if not any(key == name or key.startswith(f"{name}.") for name in hidden)
    }


def choices(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Per run the name that was chosen of each group. Where a run did not record it, the class stands for it,
    in all of them."""
    recorded = [run.record.get("choices") or {} for run in runs]
    chosen: list[dict[str, str]] = [{} for _ in runs]
    for group in _GROUPS:
        known = all(group in one for one in recorded)
        for run, one, into in zip(runs, recorded, chosen, strict=True):
            into[group] = spell(one[group]) if known else class_of(run.config.get(group))
    return chosen


def class_of(node: object) -> str:
    """Name of the class that a part of a configuration builds; `MISSING` where it names none."""
    return str(node.get(_CLASS, MISSING)).rpartition(".")[2] if isinstance(node, dict) else MISSING


def differing(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Per run what differs from any other one, in few words: a choice, or the class of a part, stands for the
    keys that follow from it, and such a key is told only when runs with the same choice differ in it."""
    chosen, all_settings = choices(runs), of_runs(runs)
    groups = [group for group in _GROUPS if _differ(one[group] for one in chosen)]
    keys = []
    for key in all_settings[0] if all_settings else ():
        group, above = key.partition(".")[0], _above(key)
        alike: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for choice, one in zip(chosen, all_settings, strict=True):
            parts = (one.get(f"{part}.{_CLASS}", MISSING) for part in above)
            alike[choice[group] if group in groups else "", *parts].add(one[key])
        if any(len(values) > 1 for values in alike.values()):
            keys.append(key)
    return [
        {group: choice[group] for group in groups} | {key: one[key] for key in keys}
        for choice, one in zip(chosen, all_settings, strict=True)
    ]


def _above(key: str) -> list[str]:
    """The parts of a configuration that a key belongs to, from the outermost; a class is in no part of its
    own."""
    parts = key.removesuffix(f".{_CLASS}").split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def differing_in_full(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Every key that differs, and its value in each run."""
    all_settings = of_runs(runs)
    columns = {key: [one[key] for one in all_settings] for key in (all_settings[0] if all_settings else ())}
    return {key: values for key, values in columns.items() if _differ(values)}


def _differ(values: Iterable[str]) -> bool:
    return len(set(values)) > 1

"""How a sweep goes about it: the keys of ``conf/sweep/*.yaml`` and of ``vision-apps sweep``."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping, Sequence

from omegaconf import OmegaConf

from vision_apps.core.config.overrides import value
from vision_apps.core.config.suggest import instead_of
from vision_apps.core.errors import ConfigError
from vision_apps.core.plain import Config

SAMPLERS = {
    "tpe": "TPESampler",
    "cma_es": "CmaEsSampler",
    "qmc": "QMCSampler",
    "gp": "GPSampler",
    "nsga2": "NSGAIISampler",
    "random": "RandomSampler",
    "grid": "RandomSampler",  # every combination is enqueued: nothing is left to sample
}
PRUNERS = {
    "median": "MedianPruner",
    "percentile": "PercentilePruner",
    "halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
    "threshold": "ThresholdPruner",
}
LAUNCHERS = ("processes", "slurm")
UNFINISHED = ("resume", "again")
# What may be changed when a sweep goes on: the search itself stays as it was.
CHANGEABLE = ("n_trials", "jobs", "max_time", "fail_fast", "unfinished", "launcher", "slurm", "storage")
_TRIALS = 20


@dataclasses.dataclass(frozen=True)
class Settings:
    """
    Args:
        n_trials: trials that end, well or not; null: every combination of a grid, else 20.
        seeds: runs of each trial, ``seed`` and those after it, or their list; their mean is its value.
        folds: each trial is cross-validated: as many runs, each of which holds one of so many parts of the
            samples out and is tested on it (``data.folds``, ``data.fold``).
        jobs: trials at a time; null: as many as the GPUs allow, one without GPUs.
        sampler, sampler_options: one of `SAMPLERS` and arguments of its Optuna class; null: ``grid`` where
            each axis is a list and ``n_trials`` is null, else ``tpe``.
        pruner, pruner_options: one of `PRUNERS` and arguments of its Optuna class; null: every run is
            trained to its end.
        objectives: metric to ``min`` or ``max``; null: what the task monitors. ``parameters``, ``seconds``
            and ``peak_memory`` can be named too.
        choose_on_test: whether objectives may be figures of the test split, which measures nothing new
            after that.
        storage: where Optuna keeps the study: an SQLAlchemy URL, or ``journal://FILE``; null: SQLite in the
            sweep's folder.
        study: its name there; null: the folder's. Machines that name the same one share the search.
        max_time: ``[DD:]HH:MM:SS`` after which the sweep stops; runs save themselves and can go on later.
        fail_fast: stop at the first trial that fails.
        unfinished: what happens to runs that were killed: ``resume`` from their last checkpoint, or
            ``again``: the trial is marked as failed and a new one gets its values.
        launcher: ``processes`` on this machine, or ``slurm`` (jobs of `submitit`).
        slurm: arguments of submitit's ``update_parameters``, as ``timeout_min`` or ``slurm_partition``.
    """

    n_trials: int | None = None
    seeds: int | tuple[int, ...] = 1
    folds: int | None = None
    jobs: int | None = None
    sampler: str | None = None
    sampler_options: Mapping[str, object] = dataclasses.field(default_factory=dict)
    pruner: str | None = None
    pruner_options: Mapping[str, object] = dataclasses.field(default_factory=dict)
    objectives: Mapping[str, str] | None = None
    choose_on_test: bool = False
    storage: str | None = None
    study: str | None = None
    max_time: str | None = None
    fail_fast: bool = False
    unfinished: str = "resume"
    launcher: str = "processes"
    slurm: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def seeds_from(self, first: int) -> list[int]:
        """The seeds of each trial's runs; ``first`` where only their number is set."""
        return [first + i for i in range(self.seeds)] if isinstance(self.seeds, int) else list(self.seeds)

    @property
    def several(self) -> bool:
        """Whether a trial has more than one run."""
        return self.folds is not None or len(self.seeds_from(0)) > 1

    @property
    def seconds(self) -> float | None:
        """``max_time`` in seconds."""
        if self.max_time is None:
            return None
        parts = [int(part) for part in self.max_time.split(":")]
        return float(sum(part * unit for part, unit in zip(parts[::-1], (1, 60, 3600, 86400), strict=False)))

    def for_space(self, combinations: int | None) -> "Settings":
        """A copy with the sampler chosen; ``combinations``: how many a grid has, None where an axis is no
        list. `ConfigError` where the sampler is a grid and the space is none."""
        if self.sampler == "grid" and combinations is None:
            raise ConfigError(
                "sampler: grid needs a list of values for every key; an interval has no end of them. Use "
                "range(low,high,step) or another sampler, as sampler=qmc"
            )
        chosen = self.sampler or ("grid" if combinations is not None and self.n_trials is None else "tpe")
        return dataclasses.replace(self, sampler=chosen)

    def count(self, combinations: int | None) -> int:
        """How many trials there shall be; ``combinations``: how many a grid has, None where there is none."""
        if self.n_trials is not None:
            return min(self.n_trials, combinations or 0) if self.sampler == "grid" else self.n_trials
        return combinations if combinations is not None and self.sampler == "grid" else _TRIALS


FIELDS = tuple(field.name for field in dataclasses.fields(Settings))


def documented() -> dict[str, str]:
    """What each setting is to who types it: its text above, with the words that can be said, and
    what it is by default."""
    texts = inspect.cleandoc((Settings.__doc__ or "").partition("Args:\n")[2])
    known = {"`SAMPLERS`": ", ".join(SAMPLERS), "`PRUNERS`": ", ".join(PRUNERS)}
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    found = {}
    for entry in re.split(r"\n(?=\S)", texts):
        names, _, text = " ".join(entry.split()).partition(": ")
        for name, words in known.items():
            text = text.replace(name, words)
        default = defaults[names.partition(",")[0]]
        text = text.replace("`", "").replace("null: ", "by default ")
        if "by default" not in text and default is not dataclasses.MISSING:
            text += f" By default {'none' if default is None else str(default).lower()}."
        found[names] = text
    return found


def read(content: Mapping[str, object], words: Sequence[str]) -> Settings:
    """Settings of the keys of a file in ``conf/sweep`` and of ``key=value`` words, which win; one
    `ConfigError` tells all unknown keys and values that cannot be."""
    changes: Config = {}
    for word in words:
        *path, name = word.partition("=")[0].split(".")
        node = changes
        for part in path:
            node = node.setdefault(part, {})
        node[name] = value(word)
    merged: Config = OmegaConf.to_container(OmegaConf.merge(dict(content), changes))  # type: ignore[assignment]
    problems = [
        f"{name}: a sweep has no such setting{instead_of(name, FIELDS)}"
        for name in merged.keys() - set(FIELDS)
    ]
    for name, given in merged.items():
        if name in _CHECKS and given is not None:
            fits, expected = _CHECKS[name]
            if not fits(given):
                problems.append(f"{name}: {given!r}, expected {expected}")
    if problems:
        raise ConfigError("\n".join(sorted(problems)))
    if isinstance(merged.get("seeds"), list):
        merged["seeds"] = tuple(merged["seeds"])
    result = Settings(**{name: given for name, given in merged.items() if given is not None})
    tested = [name for name in result.objectives or () if name.startswith("test/")]
    if tested and not result.choose_on_test:
        instead = f"{{{tested[0].replace('test/', 'val/', 1)}: {(result.objectives or {})[tested[0]]}}}"
        raise ConfigError(
            f"objectives: {', '.join(tested)}: what is chosen by figures of the test split is no longer "
            f"measured by it; choose by validation, as in objectives={instead}, or say that this is meant: "
            "choose_on_test=true"
        )
    if result.pruner and result.objectives and len(result.objectives) > 1:
        raise ConfigError(
            f"pruner: {result.pruner} needs one objective, there are {len(result.objectives)} "
            f"({', '.join(result.objectives)}); leave pruner or all but one objective out"
        )
    return result


_Check = tuple[Callable[[object], object], str]  # whether a value may be, and what is expected


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _seeds(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and len(set(value)) == len(value) and all(isinstance(v, int) for v in value)
    return _count(value)


def _one_of(*names: str) -> _Check:
    return lambda value: value in names, f"one of: {', '.join(names)}"


_CHECKS: dict[str, _Check] = {
    **dict.fromkeys(("n_trials", "jobs"), (_count, "a number above 0")),
    "seeds": (_seeds, "a number above 0, or a list of different seeds as in seeds=[1,2,3]"),
    "folds": (lambda value: _count(value) and value != 1, "a number above 1"),
    "sampler": _one_of(*SAMPLERS),
    "pruner": _one_of(*PRUNERS),
    **dict.fromkeys(
        ("sampler_options", "pruner_options", "slurm"), (lambda value: isinstance(value, dict), "a mapping")
    ),
    "objectives": (
        lambda value: isinstance(value, dict) and value and set(value.values()) <= {"min", "max"},
        "metric: min or max, as in objectives={val/loss: min, parameters: min}",
    ),
    **dict.fromkeys(
        ("fail_fast", "choose_on_test"), (lambda value: isinstance(value, bool), "true or false")
    ),
    "max_time": (
        lambda value: isinstance(value, str) and re.fullmatch(r"(\d+:)?\d{1,2}:\d{2}:\d{2}", value),
        "[DD:]HH:MM:SS as in max_time=01:30:00, in a file between quotes",
    ),
    "unfinished": _one_of(*UNFINISHED),
    "launcher": _one_of(*LAUNCHERS),
}

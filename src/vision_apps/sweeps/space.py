"""What a sweep varies, in Hydra's own grammar, as Optuna's distributions.

``choice(a, b)`` or ``a,b``, ``range(1, 9, 2)`` (the end excluded, as in Python), ``interval(0.1, 0.9)``,
``int(interval(1, 64))``, and ``tag(log, ...)`` for a logarithmic scale.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from vision_apps.core.config import compose, options
from vision_apps.core.config.overrides import readable
from vision_apps.core.errors import ConfigError

_SCALARS = (bool, int, float, str)
_PLACES = ("run.dir", "run.root")  # that the sweep gives its runs
Values = Mapping[str, CategoricalChoiceType]  # of one trial: key to value


class Axis(NamedTuple):
    """One key that is varied."""

    key: str  # with the + or ++ of a new key
    text: str  # as it was written
    distribution: BaseDistribution
    choices: dict[CategoricalChoiceType, str]  # value to its text for Hydra; empty for numbers
    points: list[CategoricalChoiceType] | None  # all values, where they are a list

    @property
    def name(self) -> str:
        """The key without its ``+``."""
        return self.key.lstrip("+")

    def spelled(self, value: CategoricalChoiceType) -> object:
        """A value for Hydra; of a range the nearest one, because steps are added in floating point."""
        if self.points and not self.choices and isinstance(value, float):
            return min(self.points, key=lambda point: abs(point - value))  # type: ignore[operator]
        return self.choices.get(value, value)


class Space(NamedTuple):
    """What all runs have in common, and what differs."""

    fixed: list[str]
    axes: list[Axis]
    dirs: list[Path]  # the user's own configuration folders

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Key to what Optuna draws from."""
        return {axis.name: axis.distribution for axis in self.axes}

    @property
    def varies_seed(self) -> bool:
        """Whether the seed is one of the values that are tried."""
        return any(axis.name == "seed" for axis in self.axes)

    @property
    def combinations(self) -> int | None:
        """How many a grid has; None where an axis is no list of values."""
        lengths = [None if axis.points is None else len(axis.points) for axis in self.axes]
        return None if None in lengths else math.prod(n for n in lengths if n is not None)

    def grid(self) -> list[dict[str, CategoricalChoiceType]]:
        """Every combination, the last axis fastest."""
        names = [axis.name for axis in self.axes]
        every = itertools.product(*(axis.points or [] for axis in self.axes))
        return [dict(zip(names, values, strict=True)) for values in every]

    def words(self, values: Values) -> list[str]:
        """The overrides of one trial, without what is fixed."""
        return [f"{axis.key}={axis.spelled(values[axis.name])}" for axis in self.axes]

    def of_folds(self) -> str | None:
        """The word that says how a run cuts its samples into folds, or which one it holds out."""
        words = [*self.fixed, *(f"{axis.key}={axis.text}" for axis in self.axes)]
        ours = ("data.folds", "data.fold")
        return next((word for word in words if word.partition("=")[0].lstrip("+") in ours), None)

    def samples(self) -> list[list[str]]:
        """Overrides of a few trials that between them take every option of every group that is varied: what
        is checked before the start."""
        firsts = {axis.name: axis.points[0] if axis.points else _inside(axis) for axis in self.axes}
        samples = [firsts]
        for axis in self.axes:
            if axis.name in options.groups(options.conf_dirs(self.dirs)):
                samples += [{**firsts, axis.name: point} for point in (axis.points or [])[1:]]
        return [self.words(sample) for sample in samples]


def parse(
    words: Sequence[str], axes: Mapping[str, str], config_dirs: Sequence[Path] = (), several: bool = False
) -> Space:
    """The space that a sweep is to search.

    Args:
        words: overrides, some with several values.
        axes: key to values, as a file in ``conf/sweep`` lists them; ``words`` win.
        config_dirs: the user's own configuration folders.
        several: each trial has several runs, so that one trial is enough.

    Raises:
        ConfigError: nothing is varied, or something cannot be.
    """
    dirs = options.conf_dirs(config_dirs)
    given = {word.partition("=")[0].lstrip("+") for word in words}
    ours = [f"{key}={text}" for key, text in axes.items() if key.lstrip("+") not in given]
    groups = options.groups(dirs)
    parsed = [_parse(word, dirs) for word in (*ours, *words)]
    simple = [_simple(override, groups) for override in parsed]
    if place := next((word for word in words if word.startswith("run.dir=")), None):
        raise ConfigError(f"{place}: the runs of a sweep lie in its folder, which dir=FOLDER chooses")
    fixed, varied = [], []
    for word in compose.expand(simple, dirs):
        override = _parse(word, dirs)
        if override.is_sweep_override():
            varied.append(_axis(override))
        else:
            fixed.append(word)
    if not varied and not several:
        raise ConfigError(
            "the space is empty: nothing varies; give a key several values, as in seed=0,1 or "
            "'optimizer.lr=tag(log,interval(1e-4,1e-2))', train the same several times (seeds=5, folds=5), "
            "or choose one of conf/sweep with sweep=" + "|".join(options.of_group("sweep", dirs))
        )
    return Space(fixed, varied, list(config_dirs))


def _parse(word: str, dirs: Sequence[Path]) -> Override:
    if "=" not in word and not word.startswith("~"):
        compose.expand([word], dirs)  # says what is wrong with it
    try:
        return OverridesParser.create().parse_override(readable(word))
    except HydraException as error:
        raise ConfigError(f"{word}: cannot be read: {str(error).splitlines()[0]}") from error


def _simple(override: Override, groups: list[str]) -> str:
    """``model=a,b`` for ``model=choice(a,b)``, so that short names are understood."""
    value = override.value()
    if isinstance(value, ChoiceSweep) and override.key_or_group in groups:
        prefix = "+" if override.is_add() else ""
        return f"{prefix}{override.key_or_group}={','.join(map(_text, value.list))}"
    return str(override.input_line)


def _text(value: object) -> str:
    return Override._get_value_element_as_str(value)  # type: ignore[arg-type]


def _axis(override: Override) -> Axis:
    key, _, text = str(override.input_line).partition("=")
    if key.lstrip("+") in _PLACES:
        raise ConfigError(f"{key}={text}: the runs of a sweep lie in its folder, which dir=FOLDER chooses")
    value = override.value()
    log = "log" in getattr(value, "tags", ())
    if unknown := sorted(set(getattr(value, "tags", ())) - {"log"}):
        raise ConfigError(f"{key}={text}: the tag {unknown[0]} means nothing here; expected log")
    if getattr(value, "shuffle", False):
        raise ConfigError(f"{key}={text}: the sampler chooses the order; leave shuffle() out")
    if isinstance(value, ChoiceSweep):
        if log:
            raise ConfigError(
                f"{key}={text}: a logarithmic scale is one of interval(...), not of single values"
            )
        return Axis(key, text, *_choices(f"{key}={text}", value.list))
    if isinstance(value, RangeSweep):
        return _range_axis(key, text, value, log)
    if isinstance(value, IntervalSweep):
        low, high = value.start, value.end
        if (
            low is None
            or high is None
            or not low <= high
            or not math.isfinite(low)
            or not math.isfinite(high)
        ):
            raise ConfigError(f"{key}={text}: expected interval(low, high) with low <= high")
        _require_positive(f"{key}={text}", low, log)
        return Axis(key, text, _between(low, high, log), {}, None)
    raise ConfigError(f"{key}={text}: a sweep takes a,b, choice(...), range(...) or interval(...)")


def _choices(
    word: str, items: Sequence[object]
) -> tuple[BaseDistribution, dict[CategoricalChoiceType, str], list[CategoricalChoiceType]]:
    """Optuna takes 1, 1.0 and true for one value, and they are three."""
    values: list[CategoricalChoiceType] = [x if isinstance(x, _SCALARS) else _text(x) for x in items]
    if len({(type(value), value) for value in values}) < len(values):
        raise ConfigError(
            f"{word}: the same value twice; every value is tried once, and seeds=2 runs it twice"
        )
    spelled = [_text(item).lower() if isinstance(item, bool) else _text(item) for item in items]
    if len(set(values)) < len(values):
        values = list(spelled)
    return CategoricalDistribution(values), dict(zip(values, spelled, strict=True)), values


def _range_axis(key: str, text: str, value: RangeSweep, log: bool) -> Axis:
    """In the order that was asked for; Optuna knows the least, the greatest and the step."""
    points: list[CategoricalChoiceType] = list(value.range())
    if not points:
        raise ConfigError(f"{key}={text}: the range holds no value; its end is excluded")
    ends = [value.start or 0, value.stop, value.step]
    step = 1 if len(points) == 1 else abs(value.step)
    if any(isinstance(end, float) for end in ends):  # 0.1 + 0.2 is meant to be 0.3
        first, size = Decimal(str(ends[0])), Decimal(str(ends[2]))
        points = [float(first + number * size) for number in range(len(points))]
    low, high = min(points), max(points)  # type: ignore[type-var]
    _require_positive(f"{key}={text}", low, log)  # type: ignore[arg-type]
    if log and len(points) > 1 and not (isinstance(step, int) and step == 1):
        listed = ",".join(map(str, points))
        raise ConfigError(
            f"{key}={text}: a logarithmic scale has no steps; use choice({listed}), or "
            f"tag(log,interval({low},{high})), around it int(...) for whole numbers"
        )
    return Axis(key, text, _between(low, high, log, step), {}, points)  # type: ignore[arg-type]


def _require_positive(word: str, low: float, log: bool) -> None:
    if log and low <= 0:
        raise ConfigError(f"{word}: a logarithmic scale begins above 0")


def _between(low: float, high: float, log: bool, step: float | None = None) -> BaseDistribution:
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log, step=1 if log or step is None else int(step))
    return FloatDistribution(low, high, log=log, step=None if log else step)


def _inside(axis: Axis) -> float:
    distribution = axis.distribution
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return distribution.low

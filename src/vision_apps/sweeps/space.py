"""What a sweep varies, in Hydra's own grammar, as Optuna's distributions.

``choice(a, b)`` or ``a,b``, ``range(1, 9, 2)`` (the end excluded, as in Python), ``interval(0.1, 0.9)``,
``int(interval(1, 64))``, and ``tag(log, ...)`` for a logarithmic scale.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
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
from vision_apps.core.errors import ConfigError

_SCALARS = (bool, int, float, str)
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
        return [f"{axis.key}={axis.choices.get(values[axis.name], values[axis.name])}" for axis in self.axes]

    def samples(self) -> list[list[str]]:
        """Overrides of a few trials that between them take every option of every group that is varied: what
        is checked before the start."""
        firsts = {axis.name: axis.points[0] if axis.points else _inside(axis) for axis in self.axes}
        samples = [firsts]
        for axis in self.axes:
            if axis.name in options.groups(options.conf_dirs(self.dirs)):
                samples += [{**firsts, axis.name: point} for point in (axis.points or [])[1:]]
        return [self.words(sample) for sample in samples]


def parse(words: Sequence[str], axes: Mapping[str, str], config_dirs: Sequence[Path] = ()) -> Space:
    """The space that a sweep is to search.

    Args:
        words: overrides, some with several values.
        axes: key to values, as a file in ``conf/sweep`` lists them; ``words`` win.
        config_dirs: the user's own configuration folders.

    Raises:
        ConfigError: nothing is varied, or something cannot be.
    """
    dirs = options.conf_dirs(config_dirs)
    given = {word.partition("=")[0].lstrip("+") for word in words}
    ours = [f"{key}={text}" for key, text in axes.items() if key.lstrip("+") not in given]
    groups = options.groups(dirs)
    parsed = [_parse(word, dirs) for word in (*ours, *words)]
    simple = [_simple(override, groups) for override in parsed]
    fixed, varied = [], []
    for word in compose.expand(simple, dirs):
        override = _parse(word, dirs)
        if override.is_sweep_override():
            varied.append(_axis(override))
        else:
            fixed.append(word)
    if not varied:
        raise ConfigError(
            "the space is empty: nothing varies; give a key several values, as in seed=0,1 or "
            "'optimizer.lr=tag(log,interval(1e-4,1e-2))', or choose one of conf/sweep with sweep="
            + "|".join(options.of_group("sweep", dirs))
        )
    return Space(fixed, varied, list(config_dirs))


def _parse(word: str, dirs: Sequence[Path]) -> Override:
    if "=" not in word and not word.startswith("~"):
        compose.expand([word], dirs)  # says what is wrong with it
    try:
        return OverridesParser.create().parse_override(word)
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
    value = override.value()
    log = "log" in getattr(value, "tags", ())
    if isinstance(value, ChoiceSweep):
        choices: dict[CategoricalChoiceType, str] = {
            item if isinstance(item, _SCALARS) else _text(item): _text(item) for item in value.list
        }
        return Axis(key, text, CategoricalDistribution(list(choices)), choices, list(choices))
    if isinstance(value, RangeSweep):
        points = list(value.range())
        if not points:
            raise ConfigError(f"{key}={text}: the range holds no value; its end is excluded")
        return Axis(key, text, _between(points[0], points[-1], log, value.step), {}, points)
    if isinstance(value, IntervalSweep):
        if value.start is None or value.end is None or not value.start <= value.end:
            raise ConfigError(f"{key}={text}: expected interval(low, high) with low <= high")
        if log and value.start <= 0:
            raise ConfigError(f"{key}={text}: a logarithmic scale begins above 0")
        return Axis(key, text, _between(value.start, value.end, log), {}, None)
    raise ConfigError(f"{key}={text}: a sweep takes a,b, choice(...), range(...) or interval(...)")


def _between(low: float, high: float, log: bool, step: float | None = None) -> BaseDistribution:
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log, step=1 if log or step is None else abs(int(step)))
    return FloatDistribution(low, high, log=log, step=None if log else step)


def _inside(axis: Axis) -> float:
    distribution = axis.distribution
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return distribution.low

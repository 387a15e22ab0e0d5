"""Runs by what they are: ``last``, and ``best:METRIC``."""

from pathlib import Path

from vision_apps.core import run_list
from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import CheckpointError, ConfigError, some
from vision_apps.core.run_list import Listed

ROOT = "runs"
LAST, BEST = "last", "best:"
_MODES = ("min", "max")
_LISTED = 12  # metrics in an error


def is_name(place: object) -> bool:
    """Whether it stands for a run; a file or folder of that name comes before."""
    return isinstance(place, str) and (place == LAST or place.startswith(BEST)) and not Path(place).exists()


def named(place: str) -> Path:
    """The folder of the run below ``runs`` that began last, or whose METRIC is best: among those that monitor
    it by their best value, else among those that have it by their last. ``best:METRIC:max`` (or ``min``) says
    which values are good where no run monitors it.

    Raises:
        CheckpointError: there is no run.
        ConfigError: no run has the metric, runs of several tasks have it, or nothing says what is good.
    """
    found = run_list.runs(Path(ROOT))
    if not found:
        raise CheckpointError(f"{place}: there is no run below {ROOT}/; name its folder, or train one first")
    return found[0].folder.path if place == LAST else _best(place, found)


def _best(place: str, found: list[Listed]) -> Path:
    metric, _, mode = place.removeprefix(BEST).partition(":")
    values = [(value, run) for run in found if (value := _value(run, metric)) is not None]
    if not values:
        known = sorted({name for run in found for name in run.metrics.get("final") or ()})
        raise ConfigError(
            f"{place}: no run below {ROOT}/ has {metric or 'a metric without a name'}"
            f"{nearest(metric, known)}; they have {some(known, _LISTED) or 'none, because none has finished'}"
        )
    monitoring = [pair for pair in values if pair[1].metrics.get("monitor") == metric]
    values = monitoring or values
    tasks = sorted({str((run.record.get("choices") or {}).get("task")) for _, run in values})
    if len(tasks) > 1:
        raise ConfigError(
            f"{place}: runs of {', '.join(tasks)} have it; name one: vision-apps runs lists them"
        )
    if not mode and monitoring:
        mode = str(monitoring[0][1].metrics.get("mode"))
    if mode not in _MODES:
        raise ConfigError(
            f"{place}: which values are good? Expected {BEST}{metric}:max or {BEST}{metric}:min, or what the "
            f"runs monitor, as in {BEST}{found[0].metrics.get('monitor', 'val/loss')}"
        )
    return (min if mode == "min" else max)(values, key=lambda pair: pair[0])[1].folder.path


def _value(run: Listed, metric: str) -> float | None:
    monitors, final = run.metrics.get("monitor") == metric, run.metrics.get("final") or {}
    value = run.best if monitors else final.get(metric)
    return None if value is None or value != value else value  # NaN is never the best

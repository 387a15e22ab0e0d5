"""What a person sees of a sweep while it runs: one table on a terminal, a line for each change elsewhere."""

import sys
import time
from contextlib import nullcontext

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.live import Live
from rich.table import Table

from vision_apps.core.neutral import visible
from vision_apps.core.progress import duration
from vision_apps.sweeps import studies, trial
from vision_apps.sweeps.controller import Open, Sweep

_EVERY = 1.0  # s
_ROWS = 24
_WORDS = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "elsewhere",
}


def follow(sweep: Sweep) -> None:
    """Run a sweep and show what is new of it at most once a second, and how it ended."""
    console = Console(file=sys.stdout)
    last = float("-inf")
    told: dict[int, str] = {}

    def show(sweep: Sweep) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _EVERY:
            return
        last = now
        if live is not None:
            live.update(table(sweep), refresh=True)
            return
        for known in studies.counted(sweep.study.get_trials(deepcopy=False)):
            state = "running" if known.number in sweep.open else _WORDS[known.state]
            if told.get(known.number) != state:
                told[known.number] = state
                line = f"trial {known.number:04d} {state:9} {value_text(known)} {settings_text(known)}"
                print(line.rstrip(), flush=True)

    with Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext() as live:
        try:
            sweep.run(show)
        finally:
            last = float("-inf")
            show(sweep)


def table(sweep: Sweep) -> Table:
    """State, value and settings of the newest trials, the best one marked; what is left in the caption."""
    trials = studies.counted(sweep.study.get_trials(deepcopy=False))
    best = {found.number for found in best_trials(sweep.study)}
    objectives = ", ".join(f"{name} ({mode})" for name, mode in sweep.objectives.items())
    runs = f"mean of {sweep.of_each}" if sweep.runs > 1 else "one seed each"
    title = visible(f"{sweep.folder.name} · {objectives}, {runs}", kept="")
    result = Table(title=title, caption=_caption(sweep, trials), expand=False)
    for name in ("trial", "state", "value", "best", "settings"):
        result.add_column(name, no_wrap=name != "settings", justify="right" if name == "value" else "left")
    for known in trials[-_ROWS:]:
        opened = sweep.open.get(known.number)
        state, value = _WORDS[known.state], value_text(known)
        if opened is not None:
            state, value = "running", _running(sweep, opened)
        style = {"failed": "red", "pruned": "yellow", "running": "cyan"}.get(state, "")
        mark = "best" if known.number in best else ""
        result.add_row(f"{known.number:04d}", state, value, mark, settings_text(known), style=style)
    return result


def _running(sweep: Sweep, opened: Open) -> str:
    """The newest validated value of the run that is furthest."""
    metric = next(iter(sweep.objectives))
    found = [trial.progress(running.unit.folder, metric) for running in opened.running.values()]
    newest = max((known for known in found if known is not None), default=None)
    runs = f" · {len(opened.values)}/{sweep.runs} runs" if sweep.runs > 1 else ""
    return (f"epoch {newest[0] + 1}: {newest[1]:.4g}" if newest else "starting") + runs


def _caption(sweep: Sweep, trials: list[FrozenTrial]) -> str:
    done = studies.ended(trials)
    seconds = time.monotonic() - sweep.began
    durations = [known.duration.total_seconds() for known in done if known.duration]
    left = sum(durations) / len(durations) * (sweep.count - len(done)) / sweep.slots if durations else None
    failed = sum(known.state == TrialState.FAIL for known in done)
    parts = [
        f"{len(done)}/{sweep.count} trials",
        f"{failed} failed" if failed else "",
        duration(seconds),
        f"about {duration(left)} left" if left else "",
    ]
    return " · ".join(part for part in parts if part)


def best_trials(opened: optuna.Study) -> list[FrozenTrial]:
    """The best trial; of several objectives those that no other beats in all."""
    if not opened.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return []
    return [opened.best_trial] if len(opened.directions) == 1 else opened.best_trials


def value_text(known: FrozenTrial) -> str:
    """The values of the objectives with four digits; nothing before the trial has ended."""
    return " ".join(f"{value:.4g}" for value in known.values or ())


def settings_text(known: FrozenTrial) -> str:
    """The trial's ``key=value``, numbers with four digits."""
    shown = {name: f"{v:.4g}" if isinstance(v, float) else str(v) for name, v in known.params.items()}
    return visible(" ".join(f"{name}={text}" for name, text in shown.items()), kept="")

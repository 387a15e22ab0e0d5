"""The plain data that a run keeps, by file."""

from typing import Any, TypedDict

# config.yaml: nested, and as the signatures of its targets say; whoever asks for a key knows its type
Config = dict[str, Any]
Choices = dict[str, str | list[str] | None]  # group to the name, or names, that were chosen of it


class Resumed(TypedDict):
    """Where a run went on, and what was changed."""

    step: int
    changes: list[str]  # key=value


class Record(TypedDict, total=False):
    """``run.json``: what lists need."""

    id: str
    started: str  # ISO 8601, UTC
    choices: Choices
    seed: int
    title: str  # of a sweep's run, as its group and trial
    group: str
    trial: int
    command: list[str]
    starts_from: dict[str, Any]  # its weights; where they are another run's, how many of how many it took
    resumed: list[Resumed]
    status: str  # pruned or failed
    error: str


class Past(TypedDict):
    """What a checkpoint keeps of the run so far that is in no weights."""

    seconds: float
    peak_memory: int | None  # bytes
    corrupt_files: dict[str, str]  # path to reason


class Best(TypedDict):
    """The monitored metric where it was best; None where nothing was validated."""

    value: float | None
    epoch: int | None


class Metrics(TypedDict, total=False):
    """``metrics.json``, which a run writes when it has finished."""

    monitor: str
    mode: str  # min or max
    best: Best
    final: dict[str, float]  # the last value of each metric, tested ones too
    series: dict[str, dict[str, float]]  # metric to last, min and max
    parameters: int
    seconds: float
    peak_memory: int | None  # bytes
    corrupt_files: dict[str, str]  # path to reason

"""Errors that are written for the person at the keyboard.

Each text names the key, its value, what was expected and the next command. The command line prints them
without a traceback and exits with status 2; everything else is a bug and keeps its traceback.
"""

from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path


class UserError(Exception):
    """Something that the user can mend."""

    status = 2  # of the process, and printed as an error


class ConfigError(UserError):
    """The configuration does not fit; the text lists every problem that was found."""


class DataError(UserError):
    """A data set is missing, empty or malformed."""


class CheckpointError(UserError):
    """A checkpoint or run folder cannot be read or does not fit."""


class RunError(UserError):
    """A run had to stop: the loss is not finite, the disk is full, the launch cannot work."""


class CorruptSample(DataError):  # noqa: N818 - it names a thing that is found, counted and listed
    """One file of a data set cannot be read; the loader refuses or skips it as ``data.on_corrupt`` says."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type["CorruptSample"], tuple[str, str]]:
        return CorruptSample, (self.path, self.reason)  # crosses the process border of loader workers


def require_no(problems: Iterable[str]) -> None:
    """Raise a `ConfigError` of all problems, if there are any."""
    if text := "\n".join(problems):
        raise ConfigError(text)


def some(items: Collection[object], most: int, between: str = ", ") -> str:
    """The first items and how many more there are, for a text: ``a, b and 3 more``."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return between.join(map(str, islice(items, most))) + more

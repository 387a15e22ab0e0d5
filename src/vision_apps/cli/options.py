"""Words and ``--options`` of the commands that compose nothing."""

import contextlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import ConfigError

N = TypeVar("N", bound=float)


class Answered(Exception):  # noqa: N818 - it names an event, not a failure
    """``--help`` was answered: the command has nothing left to do."""


@dataclass
class Given:
    """A command line taken apart. ``takes``: the options, and what is expected of each; None of those without
    a value."""

    takes: Mapping[str, str | None]
    words: list[str] = field(default_factory=list)
    values: dict[str, list[str]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def value(self, name: str) -> str | None:
        """The last one, None where the option was not given."""
        return self.values[name][-1] if name in self.values else None

    def number(self, name: str, kind: type[N], most: float = sys.float_info.max) -> N | None:
        """A finite number above 0 and at most ``most``; None where the option was not given."""
        text = self.value(name)
        if text is None:
            return None
        with contextlib.suppress(ValueError):
            number = kind(text)
            if 0 < number <= most:
                return number
        raise ConfigError(f"{name}: {text}; expected {self.takes[name]}")

    def one_of(self, name: str, known: Collection[str]) -> str | None:
        """The value of an option that takes one of ``known``; None where it was not given."""
        text = self.value(name)
        if text is not None and text not in known:
            raise ConfigError(f"{name} {text}: expected {', '.join(known)}{nearest(text, known)}")
        return text


def parse(
    argv: Sequence[str], usage: str | Callable[[list[str]], str], takes: Mapping[str, str | None]
) -> Given:
    """Take a command line apart; ``usage`` is what ``--help`` prints, or from the words before it to that.
    `Answered` where ``--help`` is among the words, `ConfigError` where an option does not exist or lacks its
    value."""
    given = Given(takes)
    left = list(argv)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name in ("--help", "-h"):
            print(usage if isinstance(usage, str) else usage(given.words))
            raise Answered
        if not word.startswith("-"):
            given.words.append(word)
            continue
        if name not in takes or (takes[name] is None and equals):
            raise ConfigError(f"{word}: no such option{nearest(name, [*takes, '--help'])}; see --help")
        if takes[name] is not None and not equals:
            if not left or left[0].startswith("--"):
                raise ConfigError(f"{name}: expected {takes[name]}")
            value = left.pop(0)
        given.values.setdefault(name, []).append(value)
    return given


def run_of(given: Given, usage: str) -> str:
    """The first word, taken out of the others; `ConfigError` where there is none."""
    if not given.words:
        expected = "which run? It is a folder under runs/, a checkpoint, last or best:METRIC"
        raise ConfigError(f"{expected}\n{usage.splitlines()[0]}")
    return given.words.pop(0)

"""The words after ``train``, before Hydra reads them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vision_apps.core.config.overrides import unquoted
from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import ConfigError

# Options that are passed on to Hydra: name to how many values follow (None: one of a few words may follow).
_HYDRA = {
    **dict.fromkeys(("--cfg", "-c", "--package", "-p"), 1),
    **dict.fromkeys(("--info", "-i"), None),
    **dict.fromkeys(("--resolve", "--run", "-r", "--multirun", "-m", "--version"), 0),
    **dict.fromkeys(("--hydra-help", "--shell-completion", "-sc"), 0),
}
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
_INTERNAL = ("--replay", "--checkpoint")  # what the further processes of a run are started with
_OWN = {"--help": 0, "-h": 0, **dict.fromkeys(("--config-dir", "-cd", *_INTERNAL), 1)}


@dataclass
class Words:
    """A command line taken apart."""

    overrides: list[str] = field(default_factory=list)
    hydra: list[str] = field(default_factory=list)
    own: dict[str, str] = field(default_factory=dict)
    config_dirs: list[Path] = field(default_factory=list)

    @property
    def help(self) -> bool:
        return "--help" in self.own or "-h" in self.own

    @property
    def task(self) -> str | None:
        """The application that is named."""
        return next(
            (w.removeprefix("task=") for w in reversed(self.overrides) if w.startswith("task=")), None
        )

    @property
    def completes(self) -> bool:
        """The shell asks for completions: half-written words are no errors."""
        return "--shell-completion" in self.hydra or "-sc" in self.hydra

    def pop(self, key: str) -> str | None:
        """Take ``key=value`` out of the overrides; the value of the last one, None when there is none."""
        values = [word.removeprefix(f"{key}=") for word in self.overrides if word.startswith(f"{key}=")]
        self.overrides = [word for word in self.overrides if not word.startswith(f"{key}=")]
        return unquoted(values[-1]) if values and values[-1] not in ("null", "") else None


def parse(argv: Sequence[str]) -> Words:
    """Take a command line apart; `ConfigError` where an option does not exist or lacks its value."""
    words = Words()
    left = list(argv)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            words.overrides.append(word)
            continue
        name, equals, value = word.partition("=")
        known = _HYDRA | _OWN
        if name not in known:
            shown = [option for option in known if option not in _INTERNAL]
            raise ConfigError(
                f"{name}: no such option{nearest(name, shown)}; see --help, settings are key=value"
            )
        count = known[name]
        values = [value] if equals else []
        if not equals and left and (count == 1 or (count is None and left[0] in _INFO)):
            values = [left.pop(0)]
        if count == 1 and not values:
            example = {"--cfg": "job", "-c": "job", "--package": "trainer", "-p": "trainer"}
            raise ConfigError(f"{name}: expected a value, as in {name} {example.get(name, 'FOLDER')}")
        if name in ("--config-dir", "-cd"):
            words.config_dirs.append(Path(values[0]))
        elif name in _OWN:
            words.own[name] = "".join(values)
        else:
            words.hydra += [name, *values]
    return words

"""What there is to choose from. The configuration files are the only registry: a name is a file name."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import vision_apps
from vision_apps.core.errors import ConfigError

BY_APPLICATION = ("model", "data")  # flat groups whose names start with the application
_NO_GROUPS = {"hydra", "sweep"}  # a sweep is no part of a run
VARIABLE = "VISION_APPS_CONF"
_BORROWED = re.compile(r"^  models_of: (\w+)", re.MULTILINE)  # in a task file, below ``task``


def conf_dir() -> Path:
    """The shipped configuration: ``vision_apps/conf`` in a wheel, ``conf`` beside ``src`` in a clone;
    `ConfigError` when there is none."""
    package = Path(vision_apps.__file__).parent
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise ConfigError(
        f"no configuration in {package / 'conf'}: install vision_apps again, or work in a clone"
    )


# Up to a full stop, which is not that of `et al.` or of an ellipsis; a name alone says too little.
_SENTENCE = re.compile(r".{24,}?(?:(?<! al)(?<![ .])\.(?= |$)|$)")


def conf_dirs(extra: Iterable[Path] = ()) -> list[Path]:
    """The shipped configuration and the user's own: the folders in ``VISION_APPS_CONF`` (separated as in
    ``PATH``) and ``extra``; `ConfigError` when one does not exist."""
    named = [Path(text) for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text]
    folders = [conf_dir(), *(folder.absolute() for folder in (*named, *extra))]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(
                f"configuration folder {folder} does not exist; see {VARIABLE} and --config-dir"
            )
    return folders


def groups(dirs: Sequence[Path] | None = None) -> list[str]:
    """The names of all groups of which one chooses with ``group=name``, sorted."""
    folders = conf_dirs() if dirs is None else dirs
    return sorted({path.parent.name for folder in folders for path in folder.glob("*/*.yaml")} - _NO_GROUPS)


def of_group(group: str, dirs: Sequence[Path] | None = None) -> dict[str, Path]:
    """Name to file of one group, sorted; the first folder that has a name wins, as in Hydra."""
    folders = conf_dirs() if dirs is None else dirs
    found = {path.stem: path for folder in reversed(folders) for path in (folder / group).glob("*.yaml")}
    return dict(sorted(found.items()))


def applications(dirs: Sequence[Path] | None = None) -> list[str]:
    """Names of all applications, sorted."""
    return list(of_group("task", dirs))


def application_of(name: str, dirs: Sequence[Path] | None = None) -> str | None:
    """The application that a model or data set is named after; None where it is of none."""
    fitting = [task for task in applications(dirs) if name.startswith(f"{task}_")]
    return max(fitting, key=len, default=None)


def owners(group: str, application: str, dirs: Sequence[Path] | None = None) -> list[str]:
    """Whose models or data sets an application takes: its own, and the models of the application that
    ``models_of`` in its task file names."""
    path = of_group("task", dirs).get(application)
    borrowed = _BORROWED.search(path.read_text(encoding="utf-8")) if path and group == "model" else None
    return [application, borrowed[1]] if borrowed else [application]


def of_application(group: str, application: str, dirs: Sequence[Path] | None = None) -> dict[str, Path]:
    """The models (``group="model"``) or data sets (``group="data"``) that one application takes."""
    found, of = of_group(group, dirs), owners(group, application, dirs)
    return {name: path for name, path in found.items() if application_of(name, dirs) in of}


def short(name: str, dirs: Sequence[Path] | None = None) -> str:
    """A model or data set without the application in its name: what is typed where the task is known."""
    return name.removeprefix(f"{application_of(name, dirs)}_")


def description(path: Path) -> str:
    """The first sentence of the comment that a configuration file opens with, without Hydra's own
    ``@package`` line."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.lstrip("# ").rstrip()
        if not line.startswith("#") or text.startswith(("python ", "vision-apps ")):
            break
        if text and not text.startswith("@package"):
            lines.append(text)
    text = " ".join(lines)
    found = _SENTENCE.match(text)
    return found[0] if found else text

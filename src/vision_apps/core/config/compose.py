"""From words on the command line to one configuration, with Hydra, and from Hydra's errors to ours.

Nothing here imports torch: a wrong word costs as little as ``--help``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vision_apps.core.config import options, suggest
from vision_apps.core.config.overrides import keys, readable, unreadable
from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import ConfigError, require_no
from vision_apps.core.plain import Choices

# `model=a`, `+callbacks=ema`, `callbacks=[ema,early_stop]`; a key with dots or a package chooses no option
_CHOICE = re.compile(r"^(\+?)([a-z_]+)=(.+)$")
_NOUNS = {"task": "application", "data": "data set"}


def compose(overrides: Sequence[str] = (), config_dirs: Sequence[Path] = ()) -> DictConfig:
    """The configuration of ``vision-apps train OVERRIDES``, without training; `ConfigError` where a name, key
    or value does not exist or cannot be read."""
    return compose_with_choices(overrides, config_dirs)[0]


def compose_with_choices(
    overrides: Sequence[str] = (), config_dirs: Sequence[Path] = ()
) -> tuple[DictConfig, Choices]:
    """The configuration of ``vision-apps train OVERRIDES``, and the name that was chosen of each group;
    `ConfigError` where a name, key or value does not exist or cannot be read."""
    from hydra.errors import HydraException

    dirs = options.conf_dirs(config_dirs)
    words = [*expand(overrides, dirs), search_path(dirs)]
    try:
        config = _composed(words, dirs[0])
    except (HydraException, OmegaConfBaseException, ValueError, yaml.YAMLError) as error:
        raise explain(error, words, dirs) from error
    chosen = choices(config.hydra.runtime.choices)
    require_one_application(chosen, dirs)
    return without_hydra(config), chosen


def _composed(words: list[str], folder: Path) -> DictConfig:
    """By Hydra, with its own settings; an outer job's state of Hydra stays what it was."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    backup = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(folder), version_base="1.3"):
            return hydra.compose("config", words, return_hydra_config=True)
    finally:
        GlobalHydra.instance().hydra = backup


def choices(runtime: Mapping[str, object]) -> Choices:
    """Group to chosen name, of Hydra's ``runtime.choices`` and without Hydra's own groups."""
    plain: Choices = OmegaConf.to_container(runtime)  # type: ignore[assignment]
    return {group: name for group, name in plain.items() if not group.startswith("hydra/")}


def without_hydra(config: DictConfig) -> DictConfig:
    """The same object, open for new keys."""
    OmegaConf.set_struct(config, False)
    OmegaConf.set_readonly(config, False)
    config.pop("hydra")
    return config


def search_path(dirs: Sequence[Path]) -> str:
    """The override that makes Hydra look into all folders but the first, where it looks anyway."""
    escaped = [str(folder).replace("\\", "\\\\").replace("'", "\\'") for folder in dirs[1:]]
    return "hydra.searchpath=[" + ",".join(f"'file://{path}'" for path in escaped) + "]"


def expand(overrides: Sequence[str], dirs: Sequence[Path]) -> list[str]:
    """The overrides with short names in full: ``model=zhang16`` is ``model=colorization_zhang16`` where
    ``task=colorization``. One `ConfigError` tells all words that are no override, and options that do not
    exist or belong to another application."""
    task = chosen_application(overrides, dirs)
    groups = options.groups(dirs)
    problems: list[str] = []
    expanded = []
    for word in overrides:
        choice = _CHOICE.match(word)
        if word.startswith("sweep="):
            problems.append(f"{word}: belongs to another command: vision-apps sweep {word}")
        elif "=" not in word and not word.startswith("~"):
            problems.append(_no_override(word, groups, dirs))
        elif choice and choice[2] in groups:
            plus, group, text = choice.groups()
            names = ",".join(_full_name(name, group, task, dirs, problems) for name in _names(text))
            if names:
                word = f"{plus}{group}=" + (f"[{names}]" if text.startswith("[") else names)
        expanded.append(readable(word))
    require_no(problems)
    return expanded


def chosen_application(overrides: Sequence[str], dirs: Sequence[Path]) -> str | None:
    """The application that ``task=`` or an experiment names, or the default; None when several are swept."""
    for word in reversed(overrides):
        if word.startswith("task="):
            task = word.removeprefix("task=")
            return task if task in options.applications(dirs) else None
    for word in reversed(overrides):
        if word.startswith("experiment="):
            path = options.of_group("experiment", dirs).get(word.removeprefix("experiment="))
            return _listed_task(path) if path else None
    return _listed_task(dirs[0] / "config.yaml")


def _listed_task(path: Path) -> str | None:
    """The application in the defaults list of a file."""
    for entry in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("defaults", []):
        for key, value in entry.items() if isinstance(entry, dict) else ():
            if key.split()[-1].strip("/") == "task":
                return str(value)
    return None


def _names(text: str) -> list[str]:
    """The option names in ``a``, ``a,b`` (a sweep) or ``[a,b]``; none in what only Hydra can read."""
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    names = inner.split(",")
    return names if all(re.fullmatch(r"[\w.-]+", name) for name in names) else []


def _full_name(name: str, group: str, task: str | None, dirs: Sequence[Path], problems: list[str]) -> str:
    known = options.of_group(group, dirs)
    by_application = group in options.BY_APPLICATION
    for owner in options.owners(group, task, dirs) if by_application and task else ():
        if f"{owner}_{name}" in known:
            return f"{owner}_{name}"
    if name in known:
        if by_application and task:
            problems += _foreign(group, name, task, dirs)
        return name
    offered = list(options.of_application(group, task, dirs)) if by_application and task else list(known)
    elsewhere = [f"{other}_{name}" for other in options.applications(dirs) if f"{other}_{name}" in known]
    if by_application and task is None and len(elsewhere) == 1:
        return elsewhere[0]
    if by_application and task and elsewhere:
        return _full_name(elsewhere[0], group, task, dirs, problems)
    short = [options.short(option, dirs) for option in offered] if by_application else []
    problems.append(
        f"{group}={name}: no such {_NOUNS.get(group, group)}{nearest(name, [*offered, *short])}; "
        f"there are: {', '.join(offered) or 'none'}"
    )
    return name


def _no_override(word: str, groups: list[str], dirs: Sequence[Path]) -> str:
    for group in groups:
        known = options.of_group(group, dirs)
        if word in known or any(name.endswith(f"_{word}") for name in known):
            return f"{word}: expected key=value; did you mean '{group}={word}'?"
    return f"{word}: expected key=value, for instance trainer.max_epochs=20"


def require_one_application(chosen: Choices, dirs: Sequence[Path]) -> None:
    """`ConfigError` when a chosen model or data set belongs to another application than the task."""
    names = [(group, str(chosen.get(group)), str(chosen.get("task"))) for group in options.BY_APPLICATION]
    problems = [problem for name in names for problem in _foreign(*name, dirs)]
    require_no(problems)


def _foreign(group: str, name: str, task: str, dirs: Sequence[Path]) -> list[str]:
    """What is wrong with a model or data set that belongs to another application."""
    owner, offered = options.application_of(name, dirs), options.of_application(group, task, dirs)
    told = f"belongs to {owner}, the task is {task}; use task={owner}, or one of: {', '.join(offered)}"
    return [f"{group}={name}: {told}"] if owner and name not in offered else []


def explain(error: Exception, overrides: Sequence[str], dirs: Sequence[Path]) -> ConfigError:
    """An error of Hydra, OmegaConf or YAML said anew, with the key, the value, what would fit, and the
    nearest name; ``dirs`` are the configuration folders, the shipped one first."""
    from hydra.errors import OverrideParseException

    if isinstance(error, OverrideParseException):
        return ConfigError(unreadable(str(error.override), error))
    if isinstance(error, yaml.YAMLError):
        return ConfigError(f"a configuration file is not valid YAML: {error}")
    problems = list(_unknown_keys(overrides, dirs))
    return ConfigError("\n".join(problems) if problems else _reworded(error))


def _unknown_keys(overrides: Sequence[str], dirs: Sequence[Path]) -> Iterator[str]:
    """The overrides that name no key of the configuration that the chosen options make."""
    known = _known_keys(overrides, dirs)
    for word in overrides if known else ():
        key, _, value = word.lstrip("~").partition("=")
        adds = key.startswith("+")
        key = key.lstrip("+")
        if _chooses(word, dirs) or key.startswith("hydra"):
            continue
        exists = key in known or key in options.groups(dirs)
        if adds and exists and not word.startswith("++"):
            yield f"{word}: {key} is there already; change it with {key}={value}"
        elif not adds and not exists and "@" not in key:
            group, option = [*key.split("."), ""][:2]
            if option in options.of_group(group, dirs):
                yield f"{key}: no such key; {option} is not there until it is added with +{group}={option}"
                continue
            if usual := suggest.usual(key, value, known):
                yield f"{key}: no such key; did you mean '{usual}'?"
                continue
            new = "" if word.startswith("~") else f" (a new key is added with +{key}={value})"
            yield f"{key}: no such key{_nearest_key(key, known)}{new}"


def _nearest_key(key: str, known: list[str]) -> str:
    """The nearest key: first one of the same name elsewhere, then among its siblings, then any."""
    parent, _, name = key.rpartition(".")
    siblings = [other for other in known if other.rpartition(".")[0] == parent]
    namesakes = [other for other in known if other.rpartition(".")[2] == name]
    return nearest(key, namesakes, alike=0) or nearest(key, siblings) or nearest(key, known)


def _chooses(word: str, dirs: Sequence[Path]) -> bool:
    choice = _CHOICE.match(word)
    return bool(choice and choice[2] in options.groups(dirs))


def _known_keys(overrides: Sequence[str], dirs: Sequence[Path]) -> list[str]:
    """Every key of the configuration that the chosen options make without the other overrides."""
    from hydra.errors import HydraException

    # Of a sweep the first value stands for all: their keys are alike but for what differs between options.
    chosen = [re.sub(r"^([^\[]*?=[^,\[]*),.*", r"\1", word) for word in overrides if _chooses(word, dirs)]
    try:
        config = without_hydra(_composed([*chosen, search_path(dirs)], dirs[0]))
    except (HydraException, OmegaConfBaseException, ValueError):
        return []  # the choice itself is the problem, and Hydra's own words say so
    return list(keys(OmegaConf.to_container(config)))  # type: ignore[arg-type]


def _reworded(error: Exception) -> str:
    from hydra.errors import MissingConfigException

    text = str(error) or str(error.__cause__)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        offered = list(error.options or [])
        where = re.match(r"In '([^']+)'", text)
        asked = f" (asked for in {where[1]}.yaml)" if where and where[1] != "config" else ""
        listed = f"; there are: {', '.join(offered)}" if offered else ""
        return f"{group}={name}: no such {_NOUNS.get(group, group)}{asked}{nearest(name, offered)}{listed}"
    ambiguous = re.match(r"Ambiguous value for argument '(.*)'", text) or re.match(
        r"Sweep parameters '(.*)' requires", text
    )
    if ambiguous:
        key, _, value = ambiguous[1].partition("=")
        return (
            f"{ambiguous[1]}: several values are a sweep and need -m; "
            f"a list is written {key}=[{value}], a text with a comma \"{key}='{value}'\""
        )
    several = re.match(r"Multiple values for (\w+)", text)
    if several:
        return f"{several[1]}: chosen more than once; give all in one list: +{several[1]}=[a,b]"
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())

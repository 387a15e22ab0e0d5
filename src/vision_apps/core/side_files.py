"""The small text files of a folder, read as what they may be: anybody's, damaged, or no files at all."""

import datetime
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args, get_type_hints, is_typeddict

import yaml

from vision_apps.core.config.types import fits, spell

LARGEST = 64 << 20  # bytes of a file
MOST = 100_000  # values of a configuration, all aliases written out
DEEPEST = 100  # levels
_DEEP = f"is nested more than {DEEPEST} levels deep"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where libyaml is there
_DIGITS = 18  # of a whole number that stays one


def read_text(path: Path) -> str:
    """`OSError` where it cannot be read, `ValueError` where it is no plain file, above `LARGEST` or no
    UTF-8."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("is no plain file")
    if found.st_size > LARGEST:
        raise ValueError(f"has {found.st_size >> 20} MiB; expected at most {LARGEST >> 20}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError("is no UTF-8") from None


def read_json(path: Path) -> Any:
    """Content of a JSON file; errors as of `read_text`."""
    try:
        return json.loads(read_text(path), parse_int=_number)
    except json.JSONDecodeError:
        raise ValueError("is empty or was cut off, or is no JSON") from None
    except RecursionError:
        raise ValueError("is nested too deep") from None


def _number(text: str) -> int | float:
    return int(text) if len(text) <= _DIGITS else float(text)


def parse_yaml(text: str, loader: Any = _LOADER) -> Any:
    """`ValueError` where it is no YAML, or more than `MOST` values and `DEEPEST` levels: an alias costs its
    writer a line, and whoever reads it all that it stands for."""
    try:
        level = 0
        for event in yaml.parse(text, loader):  # first, for libyaml's reader of whole documents recurs in C
            level += isinstance(event, yaml.CollectionStartEvent)
            level -= isinstance(event, yaml.CollectionEndEvent)
            if level > DEEPEST:
                raise ValueError(_DEEP)
        parser = loader(text)
        try:
            node = parser.get_single_node()
            if node is None:
                return None
            if _written_out(node, {}, 0) > MOST:
                raise ValueError(f"its aliases stand for more than {MOST:,} values")
            return parser.construct_document(node)
        finally:
            parser.dispose()
    except yaml.YAMLError as error:
        raise ValueError(f"is no YAML: {error}") from error


def _written_out(node: yaml.Node, known: dict[int, int], level: int) -> int:
    """How many values a node stands for. `ValueError` where it is too deep, which what holds itself is."""
    if level > DEEPEST:
        raise ValueError(_DEEP)
    if id(node) not in known:
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        own = [one for part in parts for one in (part if isinstance(part, tuple) else (part,))]
        known[id(node)] = 1 + sum(_written_out(one, known, level + 1) for one in own)
    return known[id(node)]


def sound(content: Mapping[str, Any], kind: type) -> tuple[dict[str, Any], list[str]]:
    """Those entries of a mapping that are as a `TypedDict` says, or that it does not know, and what is wrong
    with the others."""
    hints = get_type_hints(kind)
    good: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in content.items():
        hint = hints.get(name)
        if is_typeddict(hint) and isinstance(value, dict):
            good[name], wrong = sound(value, cast(type, hint))
            problems += [f"{name}.{one}" for one in wrong]
        elif hint is None or _is(value, hint):
            good[name] = value
        else:
            problems.append(f"{name}: {str(value)[:60]!r}, expected {spell(hint)}")
    if not _is_time(good.get("started")):
        problems.append(
            f"started: {str(good.pop('started'))[:60]!r}, expected a time as 2026-03-01T12:00:00+00:00"
        )
    return good, problems


def _is(value: object, hint: object) -> bool:
    """`fits`, and mappings in lists are as they shall be."""
    if not fits(value, hint):
        return False
    inner = next(iter(get_args(hint)), None)
    listed = value if isinstance(value, list) and is_typeddict(inner) else []
    return not any(sound(one, cast(type, inner))[1] for one in listed)


def _is_time(text: str | None) -> bool:
    try:
        return text is None or bool(datetime.datetime.fromisoformat(text).astimezone())
    except (ValueError, OverflowError, OSError):  # a year that this place's clock has not
        return False

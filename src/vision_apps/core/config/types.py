"""Does a plain configuration value fit a type annotation?

Configurations hold None, bool, int, float, str, lists and dicts. What an annotation says beyond those
(tensors, callables, protocols, forward references that cannot be read) is either never a plain value or not
known; the first is refused, the second accepted.
"""

import enum
import inspect
import numbers
import os
import types
import typing
from collections import abc
from typing import Any, Literal, Union, get_args, get_origin

_LISTS = (list, set, frozenset, abc.Sequence, abc.MutableSequence, abc.Set, abc.Iterable, abc.Collection)
_DICTS = (dict, abc.Mapping, abc.MutableMapping)


def fits(value: object, annotation: object) -> bool:
    """Whether a parameter with this annotation may be given this plain value."""
    if isinstance(value, dict) and "_target_" in value:
        return True  # some object: what it is shows when it is built
    if annotation in (Any, object, inspect.Parameter.empty) or isinstance(annotation, str | typing.TypeVar):
        return True
    if annotation is None or annotation is type(None):
        return value is None
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin is typing.Annotated:
        return fits(value, arguments[0])
    if origin in (Union, types.UnionType):
        return any(fits(value, choice) for choice in arguments)
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in arguments)
    if _is_list(origin, arguments):
        return isinstance(value, list) and all(fits(item, arg) for arg in arguments[:1] for item in value)
    if origin is tuple:
        return isinstance(value, list) and len(value) == len(arguments) and all(map(fits, value, arguments))
    if origin in _DICTS:
        items = value.values() if isinstance(value, dict) and len(arguments) == 2 else ()
        return isinstance(value, dict) and all(fits(item, arguments[1]) for item in items)
    return _fits_class(value, origin) if isinstance(origin, type) else value is not None


def _is_list(origin: object, arguments: tuple[object, ...]) -> bool:
    """Of any length; a tuple may be."""
    return origin in _LISTS or (origin is tuple and (not arguments or arguments[-1] is Ellipsis))


def _fits_class(value: object, kind: type) -> bool:
    if kind in (float, numbers.Number, numbers.Real):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind in (int, numbers.Integral):
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (bool, str):
        return isinstance(value, kind)
    if issubclass(kind, enum.Enum):
        return isinstance(value, str) and (value in kind.__members__ or value in [m.value for m in kind])
    if issubclass(kind, os.PathLike) or kind.__name__ == "device":
        return isinstance(value, str)
    if typing.is_typeddict(kind):
        return isinstance(value, dict)
    return bool(getattr(kind, "_is_protocol", False))


def spell(annotation: object) -> str:
    """An annotation as the user would say it: ``int or null``, ``'a', 'b' or null``, ``list of float``."""
    choices = list(dict.fromkeys(_choices(annotation)))
    choices.sort(key=lambda text: text == "null")  # stable: null goes last
    *first, last = choices
    return f"{', '.join(first)} or {last}" if first else last


def _choices(annotation: object) -> list[str]:
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin in (Union, types.UnionType):
        return [text for argument in arguments for text in _choices(argument)]
    if origin is Literal:
        return [repr(argument) for argument in arguments]
    if annotation is None or annotation is type(None):
        return ["null"]
    if origin is typing.Annotated:
        return _choices(arguments[0])
    if _is_list(origin, arguments):
        return ["list" + (f" of {spell(arguments[0])}" if arguments else "")]
    if origin is tuple:
        return [f"[{', '.join(map(spell, arguments))}]"]
    if origin in _DICTS:
        return ["dict" + (f" of {spell(arguments[1])}" if len(arguments) == 2 else "")]
    if isinstance(origin, type) and issubclass(origin, enum.Enum):
        return [repr(name) for name in origin.__members__]
    return [getattr(origin, "__name__", str(annotation))]

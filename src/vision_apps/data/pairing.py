"""Which of many files belongs to another one, by their names."""

import os
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path

from vision_apps.core.spelling import alike

Respelled = Callable[[str], str]


class Named:
    """Files by their names below a folder, as other files have them.

    Args:
        names: below the folder.
        extensions: whether they have one.
    """

    def __init__(self, names: Iterable[str], extensions: bool = True) -> None:
        self._levels: list[tuple[Respelled, Respelled, dict[str, list[str]]]] = []
        known = [name.replace(os.sep, "/") for name in names]
        owns: tuple[Respelled, ...] = (_stem, _whole) if extensions else (_whole,)
        shorts: tuple[Respelled, ...] = (_whole, os.path.basename)
        for short, spelled, own in product(shorts, (alike, _loose), owns):
            called: dict[str, list[str]] = {}
            for name in known:
                called.setdefault(spelled(short(own(name))), []).append(name)
            self._levels.append((spelled, short, called))

    def find(self, name: str) -> list[str]:
        """The files that are called so: with the same path and no extension, or with it; only then in other
        capitals; only then those with the same name in another folder. None or several where the name leaves
        it open."""
        name = name.replace("\\", "/").removeprefix("./")
        for spelled, short, names in self._levels:
            if found := names.get(spelled(short(name))):
                return found
        return []


def places_below(root: Path, text: str, least: int = 2) -> list[Path]:
    """Where a path may be that was written on another machine: below ``root``, whole or by its last parts, at
    ``least`` so many."""
    parts = text.replace("\\", "/").split("/")
    return [root / text, *(root.joinpath(*parts[start:]) for start in range(1, len(parts) - least + 1))]


def _whole(name: str) -> str:
    return name


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _loose(name: str) -> str:
    return alike(alike(name).casefold())

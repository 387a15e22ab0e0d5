"""What a run takes for one answer: pictures or none, and words beside them."""

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Self

from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import required
from vision_apps.core.module import VisionModule


class Takes(NamedTuple):
    """What one answer is asked with.

    Args:
        pictures: it is about a picture.
        words: what is told beside that or instead of it, and what it means.
        needed: whether there has to be a picture; else words may stand for it.
    """

    pictures: bool = True
    words: Mapping[str, str] = MappingProxyType({})
    needed: bool = True

    @classmethod
    def of(cls, module: VisionModule) -> Self:
        pictures = "images" in module.input_type._fields  # type: ignore[attr-defined]
        return cls(pictures, module.words, pictures and "images" in required(module.input_type))

    def require(self, given: Iterable[str], option: str = "--with ") -> None:
        """`ConfigError` where one of the ``given`` is none of the words; ``option`` is what it was given
        with."""
        if unknown := [name for name in given if name not in self.words]:
            words = "".join(f"\n  {name}: {meaning}" for name, meaning in self.words.items())
            hint = nearest(unknown[0], self.words)
            raise ConfigError(f"{option}{unknown[0]}: not taken{hint}; this run takes {self.told()}{words}")

    def told(self) -> str:
        """As in ``pictures and videos, each with question``."""
        pictures = "pictures and videos" if self.pictures else "no pictures"
        if self.pictures and not self.needed:
            pictures = "pictures and videos, or none"
        if not self.words:
            return f"{pictures} and no words"
        return f"{pictures}{', each with' if self.pictures else ', but'} {', '.join(self.words)}"

    @property
    def row(self) -> str:
        """A line of a JSONL file, as in ``{"file": "photo.jpg", "question": "..."}``."""
        return json.dumps(({"file": "photo.jpg"} if self.needed else {}) | dict.fromkeys(self.words, "..."))

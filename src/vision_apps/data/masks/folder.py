"""Image and mask folders: the user's own pictures with the class of every pixel."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vision_apps.core.conventions import IGNORE_INDEX, Auto, Size
from vision_apps.core.errors import ConfigError, CorruptSample, DataError, some
from vision_apps.data.masks.by_name import MaskPairs
from vision_apps.data.masks.class_lists import Classes, classes_beside
from vision_apps.data.masks.coding import (
    Colors,
    MaskCoding,
    Palettes,
    identity,
    read_values,
    read_with_palette,
    voc_colors,
)
from vision_apps.data.masks.data import fake_pair
from vision_apps.data.named_splits import split_folders

log = logging.getLogger(__name__)

_LOOKED_AT = 200  # masks, before a set without the value 1 is taken for binary
_BINARY = ("background", "object")  # what 0 and 255 are called where nobody says it
_BLACK_AND_WHITE = {(0, 0, 0): 0, (255, 255, 255): 1}
_OF_TOOLS = (("JPEGImages", "SegmentationClass"),)  # as VOC, CVAT and Label Studio call the two folders
_SHOWN = 8  # masks whose values are told where there are no class names


class MaskFolder(MaskPairs):
    """Pictures and masks that belong together by name: ``images/a/b.jpg`` and ``masks/a/b.png``.

    They lie in ``root/images`` and ``root/masks``; in the same two folders of ``root/train``, ``root/val``,
    ``root/test``; beside each other, ``a/b.jpg`` and ``a/b_mask.png``, as Roboflow exports them; in VOC's
    folders, as CVAT does; or anywhere, if ``root`` has lists ``train.txt``, ``val.txt``, ``test.txt`` with a
    line ``image mask`` each. A split that is not there is held out of the training pictures.

    A mask holds the number of the class (grey or palette picture; 255 is ignored) or its colour. Where there
    are two classes, ``values`` says nothing of 255 and no mask of the first 200 holds a 1 but some a 255, the
    masks are binary: 255 is class 1. A 1 in a later mask is then an error, so that nothing is guessed.

    Args:
        class_names: of class 0, 1, ...; by default from ``root/classes.txt``, a line ``name`` or
            ``name r g b`` each, from CVAT's ``labelmap.txt`` or Roboflow's ``_classes.csv``.
        values: number in the mask to class, or to 255 for ignored; other numbers stand for themselves.
        palette: a colour per class (r, g, b in 0..255): of masks that are RGB pictures, and to draw with. By
            default from ``classes.txt``, the first palette mask, or the colour map of PASCAL VOC.
        void_color: the colour that is ignored in RGB masks.
        palettes: whether masks with a palette are read by ``index`` or by ``color``. By default by index, and
            a mask whose palette shows an index in the colour of another class is refused.
        images, masks: names of the two folders.
        mask_suffix: what a mask's name has after its picture's, for instance ``_mask``.
        val_fraction, test_fraction: of all training pictures, held out by their names and ``split_seed``
            where there is no such split, as `data.splits.draw` says.
    """

    title = "pictures with masks"
    complete = True
    layout = (
        "root/images/*.jpg with root/masks/*.png of the same names, root/{train,val,test}/{images,masks}, "
        "masks beside their pictures (a.jpg, a_mask.png), "
        "or lists root/{train,val,test}.txt with a line 'image mask' each"
    )
    remedy = "Say where they are: data.root=/path/to/it"

    def __init__(
        self,
        root: str,
        *,
        image_size: Size | Auto = 128,
        class_names: Sequence[str] | None = None,
        values: Mapping[int, int] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        void_color: Sequence[int] | None = None,
        palettes: Palettes | None = None,
        images: str = "images",
        masks: str = "masks",
        mask_suffix: str = "",
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        **data: Any,
    ) -> None:
        super().__init__(
            root,
            image_size=image_size,
            images=images,
            masks=masks,
            mask_suffix=mask_suffix,
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            **data,
        )
        self.given_names = list(class_names) if class_names is not None else None
        self.values = {int(value): target for value, target in (values or {}).items()}
        self.given_palette = None if palette is None else [list(color) for color in palette]
        self.void_color = None if void_color is None else list(void_color)
        self.palettes = palettes

    @cached_property
    def _classes(self) -> Classes:
        in_file = classes_beside([self.root, *split_folders(self.root).values()], self.encoding)
        names = self.given_names if self.given_names is not None else in_file and in_file.names
        if names is None and self._seen == {0, IGNORE_INDEX}:
            names = list(_BINARY)
        if names is None:
            raise self._no_names()
        if len(names) < 2 or len(names) > IGNORE_INDEX or len(set(names)) < len(names):
            raise ConfigError(
                f"data.class_names: expected 2 to {IGNORE_INDEX} different names, of the background too, for "
                f"instance [background,object]; found {', '.join(names) or 'none'}"
            )
        colors = self.given_palette or (in_file and in_file.colors)
        if colors is not None:
            self._refuse_palette(colors, names)
        return Classes(list(names), colors)

    def _no_names(self) -> ConfigError:
        seen: set[int | tuple[int, ...]] = set()
        for _, mask in list(self.pairs["train"].paths())[:_SHOWN]:
            values = read_values(mask, self.max_pixels)
            if values.ndim == 3:
                seen |= set(map(tuple, np.unique(values.reshape(-1, 3), axis=0).tolist()))
            else:
                seen |= set(np.unique(values).tolist())
        others = [f"class_{number}" for number in range(1, min(len(seen - {IGNORE_INDEX}), _SHOWN))]
        example = ",".join(["background", *(others if len(others) > 1 else ["object"])])
        shown = some(sorted(seen, key=lambda value: (isinstance(value, tuple), value)), _SHOWN)
        return ConfigError(
            f"data.class_names: the classes have no names and {self.root.absolute()} no classes.txt; the "
            f"first masks hold {shown}; name the classes in order: data.class_names=[{example}]"
        )

    def _refuse_palette(self, colors: Colors, names: Sequence[str]) -> None:
        every = [*colors, *([self.void_color] if self.void_color is not None else [])]
        valid = all(len(color) == 3 and all(0 <= level <= 255 for level in color) for color in every)
        if not valid or len(colors) != len(names) or len({tuple(color) for color in every}) < len(every):
            raise ConfigError(
                f"data.palette: expected {len(names)} different colours [r,g,b] of 0 to 255, one for each of "
                f"{', '.join(names)}, and data.void_color different from them"
            )

    @property
    def class_names(self) -> list[str]:
        return self._classes.names

    @cached_property
    def palette(self) -> list[list[int]]:
        count = len(self.class_names)
        if self._classes.colors is not None:
            return [list(color) for color in self._classes.colors]
        _, first = next(self.pairs["train"].paths())
        try:
            found = read_with_palette(first, self.max_pixels)[1] or []
        except CorruptSample:  # told when it is read
            found = []
        return (found + voc_colors(count)[len(found) :])[:count]

    @cached_property
    def _seen(self) -> set[int | tuple[int, ...]]:
        """The numbers of the first masks, and colours where their channels differ; until one is neither 0 nor
        255."""
        seen: set[int | tuple[int, ...]] = set()
        self._in_colors = False  # some are RGB pictures
        for number, (_, mask) in enumerate(self.pairs["train"].paths()):
            if number >= _LOOKED_AT and IGNORE_INDEX in seen:
                break
            try:
                values = read_values(mask, self.max_pixels)
            except CorruptSample:  # told when it is read
                continue
            self._in_colors |= values.ndim == 3
            if values.ndim == 3 and (values == values[..., :1]).all():
                values = values[..., 0]
            found = np.unique(values.reshape(-1, *values.shape[2:]), axis=0).tolist()
            seen |= set(map(tuple, found) if values.ndim == 3 else found)
            if not seen <= {0, IGNORE_INDEX}:
                break
        return seen

    @cached_property
    def binary(self) -> bool:
        """Whether 255 is class 1, because the masks hold nothing but 0 and 255 and nothing says otherwise."""
        if len(self.class_names) != 2 or IGNORE_INDEX in self.values:
            return False
        seen = self._seen
        known = IGNORE_INDEX in seen and seen <= {0, IGNORE_INDEX}
        return known and not (self._classes.colors and self._in_colors)

    @cached_property
    def coding(self) -> MaskCoding:
        names, colors = self._classes
        for value, target in self.values.items():
            if not 0 <= value < 65_536 or not (0 <= target < len(names) or target == IGNORE_INDEX):
                raise ConfigError(
                    f"data.values: {value}: {target}; expected a number of the masks (0 to 65535) to a class "
                    f"(0 to {len(names) - 1}) or to {IGNORE_INDEX}, which is ignored"
                )
        hint = "; say what it is: 'data.values={{}:255}' to ignore it"
        values = identity(len(names))
        if self.binary:
            log.warning("%s", self._about_binary())
            hint = "; the masks were taken for binary: if 255 is ignored, say 'data.values={255:255}'"
            values = {0: 0, IGNORE_INDEX: 1}
        meanings = {(r, g, b): index for index, (r, g, b) in enumerate(colors or [])}
        if self.void_color is not None:
            red, green, blue = self.void_color
            meanings[red, green, blue] = IGNORE_INDEX
        shown = meanings or (_BLACK_AND_WHITE if len(names) == len(_BINARY) else {})
        palettes = "index" if self.values and self.palettes is None else self.palettes
        if palettes == "color" and not shown:
            raise ConfigError(
                "data.palettes: color, and nothing says which colour is which class; name them in "
                "data.palette or in classes.txt, a line 'name r g b' each"
            )
        coding = MaskCoding(
            len(names),
            values=values | self.values,
            colors=shown if palettes == "color" else meanings,
            palettes=palettes,
            shown=shown,
            value_hint=hint,
            color_hint="; name it in data.palette or data.void_color",
        )
        self._require_believed(coding)
        return coding

    def _require_believed(self, coding: MaskCoding) -> None:
        """`DataError` where the palettes of the first masks contradict the classes."""
        if coding.palettes is not None:
            return
        for _, mask in list(self.pairs["train"].paths())[:_LOOKED_AT]:
            try:
                doubt = coding.doubt(*read_with_palette(mask, self.max_pixels))
            except CorruptSample:  # told when it is read
                continue
            if doubt:
                raise DataError(f"{mask}: {doubt}")

    def _about_binary(self) -> str:
        background, target = self.class_names
        return (
            f"masks: binary, 0 is {background!r} and 255 is {target!r} (none of those looked at has a 1); "
            "if 255 is to be ignored: 'data.values={255:255}'"
        )

    def doctor(self) -> Iterator[str]:
        if self.binary:
            yield self._about_binary()
        yield from super().doctor()

    @classmethod
    def fake(cls, root: Path, *, size: int = 32, pictures: int = 16) -> dict[str, object]:
        """Two folders of small pictures in several formats and shapes, palette masks of three classes and
        ignored pixels, and the names of the classes."""
        for number in range(pictures):
            suffix = (".jpg", ".png")[number % 2]
            fake_pair(
                root / "images" / f"{number:03d}{suffix}",
                root / "masks" / f"{number:03d}.png",
                number,
                size,
                (0, 1, 2, IGNORE_INDEX),
                palette=True,
            )
        (root / "classes.txt").write_text("background\nsquare\nbar\n", encoding="utf-8")
        return {"root": str(root), "image_size": size}

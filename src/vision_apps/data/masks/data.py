"""What all data sets of pictures with a mask share: pairs of files, read one by one or kept in memory."""

import logging
import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vision_apps.core.conventions import Size, height_width
from vision_apps.core.data import Split, TensorSamples, VisionData, split_indices
from vision_apps.core.errors import ConfigError, CorruptSample, DataError
from vision_apps.core.seeding import mix
from vision_apps.data.images import MAX_PIXELS, read_image
from vision_apps.data.masks.coding import (
    MaskCoding,
    encode_palette_png,
    other_size,
    read_mask,
    resize_mask,
    voc_colours,
)
from vision_apps.data.masks.doctor import findings
from vision_apps.data.resizing import ResizeMode, resize_picture

log = logging.getLogger(__name__)

# of ImageNet: what published weights were trained with
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_NAMED = 5  # files in an error that concerns many


class Pairs(NamedTuple):
    """The pictures and masks of a split: arrays, because lists of strings get copied into every worker."""

    images: np.ndarray  # encoded paths [N]
    masks: np.ndarray  # [N]

    @classmethod
    def of(cls, files: Iterable[tuple[str | Path, str | Path]]) -> "Pairs":
        images, masks = zip(*files, strict=True)
        return cls(
            np.array([os.fsencode(path) for path in images]), np.array([os.fsencode(p) for p in masks])
        )

    def take(self, rows: Tensor) -> "Pairs":
        """The pairs with these numbers, int64 [n], in their order."""
        return Pairs(self.images[rows.numpy()], self.masks[rows.numpy()])

    def paths(self) -> Iterator[tuple[str, str]]:
        for image, mask in zip(self.images, self.masks, strict=True):
            yield os.fsdecode(image), os.fsdecode(mask)


class MaskSamples:
    """Reads and fits one picture and its mask at a time; run in loader workers."""

    def __init__(
        self,
        pairs: Pairs,
        fields: Sequence[str],
        coding: MaskCoding,
        size: Size,
        resize_mode: ResizeMode,
        max_pixels: int,
    ) -> None:
        self.pairs = pairs
        self.fields = tuple(fields)
        self.coding = coding
        self.size = size
        self.resize_mode = resize_mode
        self.max_pixels = max_pixels

    def __len__(self) -> int:
        return len(self.pairs.images)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """``images`` uint8 [3, H, W] and ``masks`` uint8 [H, W], as asked for.

        Raises:
            CorruptSample: a file cannot be decoded, a pixel of the mask is no class, or the mask is of
                another size than its picture.
        """
        sample: dict[str, Tensor] = {}
        image = read_image(os.fsdecode(self.pairs.images[index]), self.max_pixels)
        if "images" in self.fields:
            sample["images"] = resize_picture(image, self.size, self.resize_mode)[0]
        if "masks" in self.fields:
            path = os.fsdecode(self.pairs.masks[index])
            mask = read_mask(path, self.coding, self.max_pixels)
            if mask.shape != image.shape[-2:]:
                raise CorruptSample(
                    path, other_size(mask.shape, image.shape[-2:], os.fsdecode(self.pairs.images[index]))
                )
            sample["masks"] = resize_mask(mask, self.size, self.resize_mode)
        return sample


def in_memory(samples: MaskSamples, on_corrupt: str) -> TensorSamples:
    """All samples, decoded once.

    Raises:
        DataError: files are broken and ``on_corrupt`` is ``refuse``; names them.
    """

    def read(index: int) -> dict[str, Tensor] | CorruptSample:
        try:
            return samples[index]
        except CorruptSample as broken:
            return broken

    height, width = height_width(samples.size)
    shapes = {"images": (3, height, width), "masks": (height, width)}
    kept = {
        name: torch.empty(len(samples), *shapes[name], dtype=torch.uint8)
        for name in shapes
        if name in samples.fields
    }
    broken: list[CorruptSample] = []
    count = 0
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # decoders release the interpreter
        for sample in threads.map(read, range(len(samples))):
            if isinstance(sample, CorruptSample):
                broken.append(sample)
                continue
            for name, values in kept.items():
                values[count] = sample[name]
            count += 1
    if broken and (on_corrupt == "refuse" or not count):
        listed = "\n  ".join(map(str, broken[:20]))
        more = f"\n  and {len(broken) - 20} more" if len(broken) > 20 else ""
        raise DataError(
            f"data: {len(broken)} of {len(samples)} samples are broken:\n  {listed}{more}\n"
            "  Remove or mend them, or leave them out with data.on_corrupt=skip"
        )
    for each in broken:
        log.warning("left out a broken file: %s", each)
    return TensorSamples(**{name: values[:count] for name, values in kept.items()})


class MaskData(VisionData):
    """Pictures with the class of every pixel.

    A subclass lists the pairs of each split, names the classes and says what the numbers in its files mean.
    Within a split the order is drawn by ``seed``.

    Args:
        image_size: pixels that pictures and masks are brought to: a side, or height and width.
        resize_mode: ``letterbox`` keeps a picture's aspect and fills the rest, ``stretch`` does not.
        in_memory: decode everything once and keep it: height x width x 4 bytes for every picture.
        max_pixels: a larger picture is refused before it is decoded.
    """

    fields = ("images", "masks")
    title: ClassVar[str]
    layout: ClassVar[str]  # what is expected in ``root``
    remedy: ClassVar[str]
    mean: ClassVar[tuple[float, float, float]] = _MEAN
    std: ClassVar[tuple[float, float, float]] = _STD

    def __init__(
        self,
        root: str,
        *,
        image_size: int | Sequence[int],
        resize_mode: ResizeMode = "letterbox",
        in_memory: bool = False,
        max_pixels: int = MAX_PIXELS,
        **loader: Any,
    ) -> None:
        super().__init__(**loader)
        sides = [image_size] if isinstance(image_size, int) else list(image_size)
        if not (isinstance(image_size, int) or len(sides) == 2) or min(sides) < 1:
            raise ConfigError(
                f"data.image_size: expected a side or [height, width] in pixels, not {image_size}"
            )
        self.root = Path(root)
        self.image_size: Size = image_size if isinstance(image_size, int) else (sides[0], sides[1])
        self.resize_mode = resize_mode
        self.in_memory = in_memory
        self.max_pixels = max_pixels

    @abstractmethod
    def list_pairs(self) -> dict[Split, Pairs]:
        """The pairs of every split, in any order that does not change."""

    @property
    @abstractmethod
    def class_names(self) -> list[str]: ...

    @property
    @abstractmethod
    def palette(self) -> list[list[int]]: ...

    @property
    @abstractmethod
    def coding(self) -> MaskCoding: ...

    def prepare_data(self) -> None:
        if not self.root.is_dir():
            raise self.problem("there is no such folder")
        self.pairs  # noqa: B018 - what is missing is told now, not when training starts
        self.coding  # noqa: B018

    def problem(self, what: str) -> DataError:
        return DataError(
            f"data.root: no complete {self.title} in {self.root.absolute()}: {what}\n"
            f"  Expected {self.layout}.\n  {self.remedy}"
        )

    @cached_property
    def pairs(self) -> dict[Split, Pairs]:
        found = self.list_pairs()
        return {split: self._shuffled(pairs) for split, pairs in found.items()}

    def _shuffled(self, pairs: Pairs) -> Pairs:
        count = len(pairs.images)
        return pairs.take(
            torch.randperm(count, generator=torch.Generator().manual_seed(mix(self.seed, count)))
        )

    def existing(self, files: Sequence[tuple[Path, Path]], where: str) -> Pairs:
        """The files as pairs, if all are there.

        Raises:
            DataError: names the first that are not, pictures and masks apart.
        """
        if not files:
            raise self.problem(f"{where} holds no pictures")
        for kind, paths in (
            ("pictures", [image for image, _ in files]),
            ("masks", [mask for _, mask in files]),
        ):
            if missing := [path for path in paths if not path.is_file()]:
                raise self.problem(f"{where}: {some(missing)} of {len(files)} {kind} are not there")
        return Pairs.of(files)

    def hold_out(self, pairs: Pairs, fraction: float, split: Split) -> tuple[Pairs, Pairs]:
        """Those that stay and those that are held out by ``seed``, at least one."""
        count = len(pairs.images)
        held_out = max(1, round(count * fraction))
        if held_out >= count:
            raise self.problem(f"{count} pictures are too few to hold some of them out for {split}")
        kept, held = split_indices(count, held_out, self.seed)
        return pairs.take(kept), pairs.take(held)

    @property
    def facts(self) -> dict[str, Any]:
        height, width = height_width(self.image_size)
        return {
            "num_classes": len(self.class_names),
            "class_names": list(self.class_names),
            "palette": [list(colour) for colour in self.palette],
            "image_size": height if height == width else [height, width],
            "mean": list(self.mean),
            "std": list(self.std),
        }

    def load(self, split: Split, fields: tuple[str, ...]) -> MaskSamples | TensorSamples:
        pairs = self.pairs[split]
        if self.in_memory:  # only what is used
            pairs = pairs.take(torch.arange(len(pairs.images))[: self.limits[split]])
        samples = MaskSamples(pairs, fields, self.coding, self.image_size, self.resize_mode, self.max_pixels)
        return in_memory(samples, self.on_corrupt) if self.in_memory else samples

    def doctor(self) -> Iterator[str]:
        yield from findings(
            {split: list(pairs.paths()) for split, pairs in self.pairs.items()},
            self.coding,
            self.class_names,
            self.max_pixels,
        )


def some(paths: Sequence[str | Path]) -> str:
    """How many and the first ones, for an error."""
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return f"{len(paths)} ({', '.join(str(path) for path in paths[:_NAMED])}{more})"


def fraction(name: str, value: float) -> float:
    """``value`` if it is a share that can be held out.

    Raises:
        ConfigError: it is not.
    """
    if not 0 < value < 0.5:
        raise ConfigError(f"data.{name}: expected a share of more than 0 and less than 0.5, not {value}")
    return value


def fake_pair(
    image: Path, mask: Path, seed: int, size: int, values: Sequence[int], *, palette: bool = False
) -> None:
    """Write a seeded picture of a random shape around ``size`` pixels and its mask: blocks with these
    numbers, each in a colour of its own under noise.

    Args:
        palette: store the mask as a palette picture instead of grey levels.
    """
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(size // 2, 2 * size, 2))
    coarse = rng.choice(np.array(values, np.uint8), (4, 4))
    coarse.flat[: len(values[:16])] = values[:16]  # every number is there
    classes = np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST))
    colours = np.array(voc_colours(256))
    pixels = colours[classes] + rng.normal(0, 20, (height, width, 3))
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(image)
    if palette:
        mask.write_bytes(encode_palette_png(torch.from_numpy(classes), colours.tolist()))
    else:
        Image.fromarray(classes).save(mask)

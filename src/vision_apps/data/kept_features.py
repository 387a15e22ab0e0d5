"""A run that computes the maps of its frozen backbone once and trains on what is kept of them."""

import functools
import hashlib
import os
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn
from torch.utils.data import Dataset

from vision_apps.core.config.fine_tuning import BACKBONE
from vision_apps.core.data import Part, Split, VisionData
from vision_apps.core.errors import ConfigError, DataError, require_no, some
from vision_apps.core.fields import Stays
from vision_apps.core.freezing import Freezing, frozen
from vision_apps.core.loader import BatchLoader, read_sample
from vision_apps.core.module import VisionModule
from vision_apps.core.parts import backbone
from vision_apps.data.feature_store import Computed, Field, Store, keep
from vision_apps.networks.backbones import Features
from vision_apps.networks.grid_features import (
    Maps,
    arranged,
    content,
    evaluating,
    grid_features,
    identity,
    tensors,
)

KEY = "callbacks.grid_features"
FOLDER = ".features"
_ROWS = "picture_numbers"  # the field of a batch
_LOOKED_AT = 16  # samples, spread over a split, whose pixels are in its fingerprint
_READ = 256  # pictures in memory at once
# Of the norm of a map: what rounding in bfloat16 changes is far below, another picture far above.
_UNLIKE = 0.1
# Facts on which the pixels depend that a backbone is given.
_PIXEL_FACTS = ("image_size", "resize_mode", "resize", "mean", "std")


class GridFeatures(pl.Callback):
    """Trains and validates on the maps that a frozen backbone gives of each picture: computed before the
    first step, kept on disk, and read from there whenever they are of the same pictures, fitted and
    normalised in the same way, the same weights and the same precision.

    Losses and metrics are those of a run without it, up to rounding. In a step the first call of the backbone
    takes what is kept of the batch; all others, the pictures that are drawn and the test compute. What that
    call is given is learned from the module itself, so that no network knows of it. Of pictures in files the
    pixels are kept as well, and nothing is decoded. The first batch of a split is computed, too, and held
    against what is kept.

    `ConfigError` where the backbone is not frozen for the whole run, pictures are augmented, or weights are
    compiled or shared out; `DataError` where nothing can be kept.

    Args:
        cache: the folder to keep them in; by default ``.features`` in the data's ``root``.
    """

    def __init__(self, cache: str | None = None) -> None:
        self.cache = Path(cache) if cache else None
        self._stores: dict[Split, Store] = {}
        self._forms: dict[Split, Maps] = {}  # maps of some pictures, for how they are arranged

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        module, data = cast(VisionModule, pl_module), cast(VisionData, trainer.datamodule)  # type: ignore[attr-defined]
        require_no(_problems(trainer, module, data))
        root = getattr(data, "root", None)
        if self.cache is None and root is None:
            raise ConfigError(
                f"{KEY}.cache: null keeps them in the folder of the data, and {type(data).__name__} has "
                f"none; say where: {KEY}.cache=/path/to/a/folder"
            )
        self.folder: Path = self.cache or Path(root) / FOLDER  # type: ignore[arg-type]
        part: Any = backbone(module.network)
        # of a network that offers it as a property, each time in a new frame, the part that it calls itself
        self.backbone: nn.Module = part.network if type(part) is Features else part
        self.given = _Given()
        self.backbone.forward = functools.partial(_in_place, self.given, self.backbone.forward)
        for split in ("train", "val"):
            if len(samples := data.samples(split)):
                data.in_loaders[split] = _Numbered(samples, module.batch_type, data.picture_files(split))

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # now the weights of a run that goes on are there, and where they are to be
        module, data = cast(VisionModule, pl_module), cast(VisionData, trainer.datamodule)  # type: ignore[attr-defined]
        for split, samples in data.in_loaders.items():
            if split == "train" or trainer.limit_val_batches:
                self._stores[split] = self._kept(trainer, module, data, split, samples)
                samples.take(self._stores[split], data, split)

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, *_: Any
    ) -> None:
        self._give("train", batch)

    def on_validation_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, *_: Any
    ) -> None:
        self._give("val", batch)

    def on_train_batch_end(self, *_: Any) -> None:
        self.given.maps = None

    def on_validation_batch_end(self, *_: Any) -> None:
        self.given.maps = None

    def _give(self, split: Split, batch: Any) -> None:
        store, numbers = self._stores[split], getattr(batch, _ROWS)
        maps = [store.rows(name, numbers.cpu()) for name in store.fields if name != "images"]
        self.given.maps = arranged([one.to(numbers.device) for one in maps], self._forms[split])
        self.given.split = split

    # ---- computing -----------------------------------------------------------------------------------------

    def _kept(
        self, trainer: pl.Trainer, module: VisionModule, data: VisionData, split: Split, samples: "_Numbered"
    ) -> Store:
        def batches(of: Any, size: int, workers: int) -> Iterator[Any]:
            for batch in BatchLoader(
                of, samples.batch_type, batch_size=size, workers=workers, on_corrupt=data.on_corrupt
            ):
                yield data.transfer_batch_to_device(batch, module.device, 0)

        firsts = samples.firsts
        spread = _spread(firsts)
        some_of_them = next(batches(Part(samples, spread), len(spread), 0))
        pixels = self._pixels(trainer, module, some_of_them)
        maps = self._maps(trainer, pixels)
        self._forms[split] = maps
        fields = {f"map-{level}": Field.of(one) for level, one in enumerate(tensors(maps))}
        if not samples.in_memory:
            fields["images"] = Field.of(some_of_them.images)

        def compute() -> Computed:
            for batch in batches(Part(samples, firsts), data.batch_size, data.workers):
                values = {"images": batch.images}
                found = tensors(self._maps(trainer, self._pixels(trainer, module, batch)))
                yield (
                    getattr(batch, _ROWS).tolist(),
                    values | {f"map-{level}": one for level, one in enumerate(found)},
                )

        made_of = {
            "data": type(data).__name__,
            "facts": {name: value for name, value in data.facts_of_run.items() if name in _PIXEL_FACTS},
            "pictures": _pictures(data, split, firsts),
            "pixels": f"{_hash([pixels])}, {Field.of(pixels)}",
            "backbone": f"{type(self.backbone).__name__} {identity(self.backbone)}",
            "maps": {name: str(field) for name, field in fields.items()},
            "precision": str(trainer.precision),
            "count": len(firsts),
        }
        title = f"grid features of {split}"
        return keep(self.folder, made_of, len(firsts), fields, compute, title=title, key=f"{KEY}.cache")

    def _pixels(self, trainer: pl.Trainer, module: VisionModule, batch: Any) -> Tensor:
        """What the backbone is given first of a batch: [B, 3, H, W]."""
        self.given.looking = True
        try:
            with trainer.precision_plugin.forward_context(), evaluating(module):
                module.evaluate(batch)
        except _Seen as seen:
            pixels = seen.pixels
        else:
            raise ConfigError(
                f"{KEY}: {type(module.network).__name__} computes its features without a call of its "
                f"{BACKBONE}; leave it out"
            )
        finally:
            self.given.looking = False
        if len(pixels) != len(batch.images):
            raise ConfigError(
                f"{KEY}: {type(module.network).__name__} gives its {BACKBONE} {len(pixels)} parts of "
                f"{len(batch.images)} pictures, and what is kept is of whole ones; leave it out"
            )
        return pixels

    def _maps(self, trainer: pl.Trainer, pixels: Tensor) -> Maps:
        with trainer.precision_plugin.forward_context():
            return grid_features(self.backbone, pixels)


def _problems(trainer: pl.Trainer, module: VisionModule, data: VisionData) -> Iterator[str]:
    name = type(module.network).__name__
    part = backbone(module.network)
    if part is None:
        yield f"{KEY}: {name} has no part called {BACKBONE}; choose a network that has one, or leave it out"
        return
    freeze = next(one.freeze for one in trainer.callbacks if isinstance(one, Freezing))  # type: ignore[attr-defined]
    known = frozen(module.network, freeze)
    learns = any(p.requires_grad or known.parameters.get(p, 1) < 1 for p in part.parameters())
    if learns or any(known.modules.get(one, 0) < 1 for one in part.modules() if type(one) is not Features):
        yield f"{KEY}: what is kept would change with the {BACKBONE}, which learns; add freeze={BACKBONE}"
    if data.augment:
        yield (
            f"data.augment: {some(data.augment, 5)} would change pictures of which what is kept is computed "
            f"once ({KEY}); data.augment=null leaves all of it out"
        )
    if any(one._compiled_call_impl is not None for one in module.network.modules()):
        yield f"compile: true would compile the {BACKBONE} that {KEY} stands in for; compile=false"
    strategy = trainer.strategy
    if not (isinstance(strategy, SingleDeviceStrategy) or type(strategy) is DDPStrategy):
        yield f"{KEY}: {type(strategy).__name__} shares the {BACKBONE} out; use trainer.strategy=ddp"


def _pictures(data: VisionData, split: Split, firsts: Sequence[int]) -> str:
    """A hash of which pictures these samples of a split show, in their order, and of what is in them: of all
    their pixels where these are in memory; of files the names, sizes and times, and the pixels of some."""
    samples, files = data.samples(split), data.picture_files(split)
    if getattr(samples, "in_memory", False) or not files:
        return _hash(_images(samples, firsts))
    names, digest = data.sample_names(split), hashlib.sha256()
    for number in firsts:
        known = os.stat(files[number])
        digest.update(
            f"{names[number]}\0{known.st_size} {known.st_mtime_ns}\0".encode(errors="surrogateescape")
        )
    return f"{digest.hexdigest()[:16]} {_hash(_images(samples, _spread(firsts)))}"


def _spread(numbers: Sequence[int]) -> list[int]:
    """Some of them."""
    count = len(numbers)
    return [numbers[place] for place in sorted({count * part // _LOOKED_AT for part in range(_LOOKED_AT)})]


def _images(samples: Any, numbers: Sequence[int]) -> Iterator[Tensor]:
    for start in range(0, len(numbers), _READ):
        part = numbers[start : start + _READ]
        if getattr(samples, "in_memory", False):
            yield from samples.__getitems__(part)["images"]
            continue
        for number in part:
            try:
                yield read_sample(samples, number)["images"]
            except DataError as error:
                yield torch.tensor([*str(error).encode()], dtype=torch.uint8)


def _hash(values: Any) -> str:
    digest = hashlib.sha256()
    for value in values:
        digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
        digest.update(content(value))
    return digest.hexdigest()[:16]


# ---- in the place of the backbone's forward ----------------------------------------------------------------


class _Seen(Exception):  # noqa: N818 - it ends a pass through a network that has got far enough
    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels


class _Given:
    """What the next call of the backbone takes instead of computing."""

    def __init__(self) -> None:
        self.maps: Maps = None
        self.split: Split = "train"
        self.compared: set[Split] = set()
        self.looking = False


def _in_place(given: _Given, forward: Callable[..., Maps], pixels: Tensor, *rest: Any, **more: Any) -> Maps:
    if given.looking:
        raise _Seen(pixels)
    maps, given.maps = given.maps, None
    if maps is None or len(pixels) != len(tensors(maps)[0]):
        return forward(pixels, *rest, **more)
    if given.split not in given.compared:
        given.compared.add(given.split)
        _require_alike(forward(pixels, *rest, **more), maps, given.split)
    return maps


def _require_alike(computed: Maps, kept: Maps, split: Split) -> None:
    for now, then in zip(tensors(computed), tensors(kept), strict=True):
        differ = (now.float() - then.float()).norm() / now.float().norm().clamp_min(1e-12)
        if now.shape != then.shape or not differ <= _UNLIKE:
            raise DataError(
                f"data: the kept features of {split} are not what the {BACKBONE} gives of its first batch "
                f"(they differ by {float(differ):.2g} of its norm); delete them and they are computed again"
            )


# ---- samples with their numbers ----------------------------------------------------------------------------


class _Numbered(Dataset[Any]):
    """Samples that say which picture they show, counted from 0; once something is kept, with their pictures
    from there.

    Args:
        files: of each sample the file of its picture, which several may share; none where pictures are in no
            files, or held in memory.

    Attributes:
        batch_type: an application's, with one more field.
        firsts: of each picture the first sample that shows it.
    """

    def __init__(self, samples: Any, batch_type: type, files: Sequence[str]) -> None:
        self.samples = samples
        self.batch_type = _with_rows(batch_type)
        self.store: Store | None = None
        self.others: Any = None  # the same samples without pictures
        known: dict[object, int] = {}
        shown = range(len(samples)) if self.in_memory or not files else files
        self.pictures = torch.tensor([known.setdefault(one, len(known)) for one in shown])
        firsts = dict(zip(reversed(self.pictures.tolist()), reversed(range(len(samples))), strict=True))
        self.firsts = [firsts[picture] for picture in range(len(known))]

    def take(self, store: Store, data: VisionData, split: Split) -> None:
        if "images" in store.fields:
            self.store, self.others = store, data.samples_without(split, "images")

    @property
    def in_memory(self) -> bool:
        return getattr(self.samples, "in_memory", False)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitems__(self, numbers: list[int]) -> dict[str, Any]:
        return {**self.samples.__getitems__(numbers), _ROWS: self.pictures[numbers]}

    def __getitem__(self, number: int) -> dict[str, Any]:
        own, picture = {_ROWS: self.pictures[number]}, int(self.pictures[number])
        if self.store is None:
            return {**self.samples[number], **own}
        if not self.store.is_there(picture):
            _ = self.samples[number]  # its file is broken, and says how
            raise DataError(
                f"data: the picture of sample {number} was broken when the others were kept in "
                f"{self.store.folder}; delete that folder and they are computed again"
            )
        return {**self.others[number], "images": self.store.row("images", picture), **own}


@functools.cache
def _with_rows(batch_type: Any) -> Any:
    """The same fields, each with its kind and default, and the numbers of the pictures."""
    hints = typing.get_type_hints(batch_type, include_extras=True)
    fields = [
        *((name, hints[name]) for name in batch_type._fields),
        (_ROWS, Annotated[Tensor | None, Stays()]),
    ]
    made: Any = NamedTuple(batch_type.__name__, fields)  # type: ignore[misc]
    made.__new__.__defaults__ = (*batch_type._field_defaults.values(), None)
    made._field_defaults = {**batch_type._field_defaults, _ROWS: None}
    return made

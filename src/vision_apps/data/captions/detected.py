"""Regions that a trained run of detection finds: of pictures in files once, kept beside them."""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from vision_apps.core import assembly, checkpoint_io
from vision_apps.core.errors import CheckpointError, CorruptSample, DataError
from vision_apps.core.module import VisionModule
from vision_apps.core.run_folder import RunFolder
from vision_apps.data.feature_store import Computed, Field, Store, keep
from vision_apps.data.images import read_image
from vision_apps.networks.grid_features import evaluating, identity

log = logging.getLogger(__name__)

FOLDER = ".regions"
_TOGETHER = 16  # pictures of one size that are looked at at once; of those in memory
_IN_MEMORY = 64


class RegionDetector(nn.Module):
    """What another run has learned to find, as boxes: frozen, and in float32 as that run answers.

    It is built before it knows its weights. A new run takes them from the other one with `load`; later they
    are part of its own checkpoint.

    Args:
        module: answers with ``boxes`` and ``scores``.
        most: boxes of a picture, those with the highest scores.
        least_score: of a box.
        weights: the checkpoint that they are in, and their `identity` there.
    """

    key: ClassVar[str] = "data.regions"  # that names the run
    needed: ClassVar[tuple[str, ...]] = ("boxes", "scores")  # of its answers

    def __init__(
        self, module: VisionModule, most: int, least_score: float, weights: str, identity: str
    ) -> None:
        super().__init__()
        self.module = module.requires_grad_(False)
        self.most = most
        self.least_score = least_score
        self.weights = weights
        self.identity = identity
        self.loaded = False
        self.register_load_state_dict_post_hook(_now_loaded)

    def load(self) -> None:
        """Take the weights from the other run. `DataError` where they are no longer those."""
        self.load_state_dict(
            {f"module.{name}": value for name, value in _checkpoint(self.weights)[1]["state_dict"].items()}
        )
        if identity(self.module) != self.identity:
            raise DataError(f"{self.key}: {self.weights} has changed since its boxes were looked for")

    def forward(self, images: Tensor) -> Tensor:
        """The boxes of pictures uint8 [B, 3, H, W], best first: x1, y1, x2, y2 in their pixels, float32
        [B, most, 4], zero rows past them."""
        if not self.loaded:
            raise RuntimeError("a detector of regions that has no weights yet")
        # in no mode but this, and Lightning would ask why a part of it is not in training
        with evaluating(self.module), torch.autocast(images.device.type, enabled=False):
            found: Any = self.module(self.module.encode(images, {}))
        count = min(self.most, found.scores.shape[1])
        scores, rows = found.scores.topk(count)
        boxes = found.boxes.gather(1, rows[..., None].expand(-1, -1, 4))
        boxes = boxes * (scores >= self.least_score)[..., None]
        return nn.functional.pad(boxes, (0, 0, 0, self.most - count))


DetectorT = TypeVar("DetectorT", bound=RegionDetector)


def _now_loaded(module: nn.Module, _: object) -> None:
    module.loaded = True  # type: ignore[assignment]


def _checkpoint(place: str) -> tuple[Path, dict[str, Any]]:
    """The best weights of a run, else its newest, or those of a checkpoint."""
    folder, path = RunFolder.find(place)
    if path is not None:
        return path, checkpoint_io.load(path)
    names = (checkpoint_io.BEST, checkpoint_io.LAST, checkpoint_io.PREVIOUS)
    path, checkpoint, _ = checkpoint_io.newest(folder.checkpoints, names)
    return path, checkpoint


def opened(
    place: str,
    most: int,
    kind: type[DetectorT] = RegionDetector,  # type: ignore[assignment]
) -> tuple[DetectorT, dict[str, Any]]:
    """The detector of a run, with its weights, and the node that builds it without them. `DataError` where
    there is no such run, or it finds no boxes.

    Args:
        place: a run folder or a checkpoint.
        most: see `RegionDetector`.
        kind: what is made of it.
    """
    try:
        path, checkpoint = _checkpoint(place)
        module = assembly.rebuild(checkpoint, str(path))
    except CheckpointError as error:
        raise DataError(f"{kind.key}: {error}") from error
    if not {*kind.needed} <= {*module.answer_type._fields}:  # type: ignore[attr-defined]
        raise DataError(
            f"{kind.key}: {place} is a run of {type(module).__name__.lower()}, which finds no boxes; "
            "expected a run of detection, such as runs/detection/0001-lively-heron"
        )
    config, facts = checkpoint["config"], checkpoint["facts"]
    network = assembly.with_facts(assembly.untrained(config["model"]), facts, "model")
    own = {
        "most": most,
        "least_score": float(getattr(module, "score_threshold", 0.0)),
        "weights": str(path.absolute()),
        "identity": identity(module),
    }
    node = {
        "_target_": f"{kind.__module__}.{kind.__qualname__}",
        "module": {**assembly.with_facts(config["module"], facts, "module"), "network": network},
        **own,
    }
    detector = kind(module, **own)  # type: ignore[arg-type]
    detector.loaded = True
    return detector, node


def regions_of(detector: RegionDetector, images: Tensor, title: str) -> Tensor:
    """The boxes of pictures in memory, uint8 [N, 3, H, W], in their pixels: float32 [N, most, 4].

    Args:
        title: of the pictures, for what is told.
    """
    log.info("%s: looked for in %d pictures", title, len(images))
    return torch.cat([detector(part) for part in images.split(_IN_MEMORY)])


def kept_regions(
    detector: RegionDetector,
    files: Sequence[str],
    names: Sequence[str],
    cache: Path,
    max_pixels: int,
    title: str,
) -> tuple[Tensor, Tensor]:
    """The boxes of pictures in files, in pixels of these, float32 [N, most, 4], and the files' height and
    width, int64 [N, 2]: from ``cache`` where it has them, found and kept there where not. Of a broken file
    all are 0.

    Args:
        names: of the pictures, wherever they lie.
        title: of the pictures, for what is told.

    Raises:
        DataError: they cannot be kept there, or what lies there is damaged.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    digest = hashlib.sha256()
    for name, file in zip(names, files, strict=True):
        known = os.stat(file)
        digest.update(f"{name}\0{known.st_size} {known.st_mtime_ns}\0".encode(errors="surrogateescape"))
    made_of = {
        "pictures": digest.hexdigest()[:16],
        "detector": detector.identity,
        "most": detector.most,
        "least_score": detector.least_score,
    }
    fields = {
        "regions": Field((detector.most, 4), torch.float32),
        "sizes": Field((2,), torch.int64),
    }

    def compute() -> Computed:
        detector.to(device)
        for numbers, images in _read(files, max_pixels):
            sizes = torch.tensor([images.shape[-2:]] * len(images))
            yield numbers, {"regions": detector(images.to(device)), "sizes": sizes}
        detector.cpu()

    store: Store = keep(cache, made_of, len(files), fields, compute, title=title, key="data.regions_cache")
    every = list(range(len(files)))
    return store.rows("regions", every), store.rows("sizes", every)


def _read(files: Sequence[str], max_pixels: int) -> Iterator[tuple[list[int], Tensor]]:
    """Pictures that can be read, a few of one size at a time."""
    for start in range(0, len(files), _TOGETHER):
        read = []
        for number in range(start, min(start + _TOGETHER, len(files))):
            try:
                read.append((number, read_image(files[number], max_pixels)))
            except CorruptSample:
                continue  # the loader says so, or leaves it out
        for _, group in groupby(read, lambda one: one[1].shape):
            numbers, images = zip(*group, strict=True)
            yield list(numbers), torch.stack(images)

"""What a trained run of detection finds, as a part of another run: frozen, and kept in its checkpoint."""

from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from vision_apps.core import assembly, checkpoint_io
from vision_apps.core.errors import CheckpointError, DataError
from vision_apps.core.module import VisionModule
from vision_apps.core.run_folder import RunFolder
from vision_apps.networks.grid_features import evaluating, identity


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
    path, checkpoint = checkpoint_io.newest_told(folder.checkpoints, names)
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
        with torch.random.fork_rng(devices=[]):  # a run begins with the same numbers as one without it
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

"""Objects that a trained run of detection finds: what scene graphs without given boxes begin with."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vision_apps.core.data import VisionData
from vision_apps.core.errors import ConfigError, DataError, require_no, some
from vision_apps.core.module import VisionModule
from vision_apps.core.spelling import alike
from vision_apps.data.detector import RegionDetector, opened
from vision_apps.networks.grid_features import evaluating

log = logging.getLogger(__name__)

DETECTOR_FACTS = ("detector",)  # names of the facts of `WithDetector`
_NAMED = 10  # classes in an error


class ObjectDetector(RegionDetector):
    """What another run has learned to find, as boxes with classes: frozen, and in float32 as that run
    answers.

    Args:
        module, most, least_score, weights, identity: see `RegionDetector`.
        classes: of each class of that run the number that it has in these data, -1 where they have none.
    """

    key = "data.detector"
    needed = ("boxes", "scores", "labels")

    def __init__(
        self,
        module: VisionModule,
        most: int,
        least_score: float,
        weights: str,
        identity: str,
        classes: Sequence[int] = (),
    ) -> None:
        super().__init__(module, most, least_score, weights, identity)
        self.classes = list(classes)

    def objects(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The objects of pictures uint8 [B, 3, H, W], best first.

        Returns:
            Boxes in their pixels, float32 [B, most, 4]; classes int64 [B, most], -1 past the objects; scores
            float32 [B, most].
        """
        if not self.loaded:
            raise RuntimeError("a detector of objects that has no weights yet")
        with evaluating(self.module), torch.autocast(images.device.type, enabled=False):
            found: Any = self.module(self.module.encode(images, {}))
        numbers = torch.tensor([*self.classes, -1], device=images.device)
        labels = numbers[found.labels]
        scores = found.scores.masked_fill((labels < 0) | (found.scores < self.least_score), -1)
        missing = max(0, self.most - scores.shape[1])
        scores, rows = scores.topk(min(self.most, scores.shape[1]))
        kept = scores >= 0
        boxes = found.boxes.gather(1, rows[..., None].expand(-1, -1, 4)) * kept[..., None]
        labels = labels.gather(1, rows).masked_fill(~kept, -1)
        pad = torch.nn.functional.pad
        return (
            pad(boxes.float(), (0, 0, 0, missing)),
            pad(labels, (0, missing), value=-1),
            pad(scores.float() * kept, (0, missing)),
        )


class WithDetector(VisionData):
    """Data of objects that a run of detection may find: a part of data sets, which have ``class_names`` among
    their facts and name `DETECTOR_FACTS` among their ``fact_names``.

    Args:
        detector: a run of detection, its folder or a checkpoint: finds the objects where none are given. Its
            weights go into the checkpoint.
        most_objects: that it finds in a picture, the best ones.
        least_score: of these.
    """

    def __init__(
        self,
        *,
        detector: str | None = None,
        most_objects: int = 20,
        least_score: float = 0.1,
        **data: Any,
    ) -> None:
        super().__init__(**data)
        problems = []
        if most_objects < 1:
            problems.append(f"data.most_objects: {most_objects}; expected at least 1")
        if not 0 <= least_score <= 1:
            problems.append(f"data.least_score: {least_score}; expected 0 to 1, such as 0.1")
        require_no(problems)
        self.detector = detector
        self.most_objects = most_objects
        self.least_score = least_score
        self._node: dict[str, Any] | None = None

    @property
    def facts(self) -> dict[str, Any]:
        known = super().facts
        return known | {"detector": self._detector_node(known["class_names"])}

    def instruct(self, module: Any) -> None:
        super().instruct(module)
        detector = getattr(module, "detector", None)
        if detector is not None:
            detector.most, detector.least_score = self.most_objects, self.least_score

    def _detector_node(self, class_names: Sequence[str]) -> dict[str, Any] | None:
        """From which the detector is built; a run that is gone on with keeps the one that it has."""
        if self.known_facts is not None:
            own: dict[str, Any] | None = self.known_facts.get("detector")
            if own is None and self.detector is not None:
                raise ConfigError(
                    f"data.detector: {self.detector}; this run was trained without a detector, and takes "
                    "none later; start another with it, which may begin with these weights: train init=RUN "
                    "data.detector=..."
                )
            return own
        if self.detector is None:
            return None
        if self._node is None:
            module, node = opened(self.detector, self.most_objects, ObjectDetector)
            names: Sequence[str] = getattr(module.module, "class_names", ())
            classes = numbers_of(names, class_names, self.detector)
            self._node = node | {"least_score": self.least_score, "classes": classes}
        return self._node


def numbers_of(names: Sequence[str], known: Sequence[str], place: str) -> list[int]:
    """Of each class of a detector the number that it has in data with these ``known`` names, -1 where they
    have none; which are missing on either side is told. `DataError` where they have none in common.

    Args:
        place: of the detector, for what is told.
    """
    places = {alike(name): number for number, name in enumerate(known)}
    numbers = [places.get(alike(name), -1) for name in names]
    if max(numbers, default=-1) < 0:
        raise DataError(
            f"data.detector: {place} finds {some(names, _NAMED) or 'no classes'}, and none of them is among "
            f"the classes of the data: {some(known, _NAMED)}; train a detector on these data: task=detection "
            "data=..."
        )
    unknown = [name for name, number in zip(names, numbers, strict=True) if number < 0]
    never = [name for number, name in enumerate(known) if number not in numbers]
    if unknown or never:
        log.warning(
            "data.detector: of %d classes that %s finds the data know %d; left out: %s; of the data's "
            "classes it never finds: %s",
            *(len(names), place, len(names) - len(unknown), some(unknown, _NAMED) or "none"),
            some(never, _NAMED) or "none",
        )
    return numbers

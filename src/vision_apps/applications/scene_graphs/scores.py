"""The answers of this application as its metrics take them, each protocol under its name."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vision_apps.applications.scene_graphs.metrics import SceneGraphMetrics
from vision_apps.applications.scene_graphs.recall import Graphs, Truths, best, first_found
from vision_apps.applications.scene_graphs.types import Protocol, SceneGraphAnswer, SceneGraphBatch


class ProtocolMetrics(SceneGraphMetrics):
    """As `SceneGraphMetrics`, with the protocol before each name."""

    def __init__(self, protocol: Protocol, num_predicates: int, ks: Sequence[int]) -> None:
        super().__init__(num_predicates, ks)
        self.protocol = protocol

    def compute(self) -> dict[str, Tensor]:
        return {f"{self.protocol}_{name}": value for name, value in super().compute().items()}


def names_of(ks: Sequence[int]) -> list[str]:
    """The scalars that data without relations do not define."""
    kinds = ("recall", "recall_limit", "mean_recall_images", "mean_recall_pooled", "f1", "zero_shot_recall")
    return [f"{form}{kind}_{k}" for form in ("", "ng_") for kind in kinds for k in ks]


def graphs_of(answer: SceneGraphAnswer, number: int) -> Graphs:
    """One of the graphs of each picture."""
    return Graphs(*(part[:, number] for part in answer))


def truths_of(batch: SceneGraphBatch) -> Truths:
    """What is true of each picture; objects that are ignored are none."""
    labels = batch.box_labels.masked_fill(batch.ignored.bool(), -1)
    return Truths(batch.boxes, labels, batch.relations)


def recalls(graphs: Graphs, truths: Truths, most: int) -> Tensor:
    """The share of each picture's relations that are among its ``most`` best triplets, with graph constraint:
    float32 [B], NaN of pictures without a relation."""
    there = truths.there
    told = best(graphs, most, constrained=True)
    hit = there & (first_found(told, graphs, truths) < told.predicates.shape[1])
    share = hit.sum(1).float() / there.sum(1)
    return torch.where(there.any(1), share, torch.nan)

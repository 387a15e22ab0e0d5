"""What of scene graphs can be exported."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from vision_apps.applications.scene_graphs.objects import no_objects
from vision_apps.applications.scene_graphs.types import SceneGraphAnswer, SceneGraphInputs, present
from vision_apps.core.exportable import Exportable
from vision_apps.data.resizing import resize_boxes, resize_picture

if TYPE_CHECKING:
    from vision_apps.applications.scene_graphs.module import SceneGraphs


class ExportedGraph(NamedTuple):
    labels: Tensor  # int64 [B, M]
    scores: Tensor  # float32 [B, M]
    predicates: Tensor  # float32 [B, M, M, Q]


class SceneGraphExport(Exportable[SceneGraphInputs, SceneGraphAnswer]):
    """The graph of pictures of the network's size whose objects are given, with their classes or without; a
    detector is exported by itself."""

    def __init__(self, module: "SceneGraphs") -> None:
        notes = {
            "boxes": "x1, y1, x2, y2 in pixels of the input, y down, of each object",
            "box_labels": "number of its class, or how many classes there are where that is asked; -1 where "
            "there is no object",
            "labels": "number of each object's class, -1 where there is no object",
            "scores": "0 to 1, of the class; 1 where it was given",
            "predicates": "0 to 1, how likely each is from a subject (row) to an object (column)",
        }
        outside = ("score_threshold", "max_relations")
        super().__init__(module.forward, ExportedGraph, notes, outside, module.size)
        self.module = module

    def refusal(self) -> str | None:
        network = self.module.network
        if not network.recurrent:
            return None
        return (
            f"{type(network).__name__} with model.context=lstm takes as many steps as there are objects "
            "(model.context=transformer does not)"
        )

    def outputs(self, inputs: SceneGraphInputs) -> ExportedGraph:
        answer = self.module(inputs)
        return ExportedGraph(answer.object_labels[:, 0], answer.object_scores[:, 0], answer.predicates[:, 0])

    def answer(
        self, graph: Callable[[SceneGraphInputs], ExportedGraph], inputs: SceneGraphInputs
    ) -> SceneGraphAnswer:
        if inputs.boxes is None or inputs.box_labels is None:
            inputs = no_objects(inputs.images)
        assert inputs.boxes is not None and inputs.box_labels is not None
        size, mode = self.module.size, self.module.resize_mode
        images, _ = resize_picture(inputs.images, size, mode)
        sizes = torch.tensor([list(inputs.images.shape[-2:])], device=images.device)
        found = graph(
            SceneGraphInputs(images, resize_boxes(inputs.boxes, sizes, size, mode), inputs.box_labels)
        )
        boxes = inputs.boxes * present(found.labels)[..., None]
        return SceneGraphAnswer(*(part[:, None] for part in (boxes, *found)))

"""How a scene graph is shown."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from vision_apps.applications.scene_graphs import pictures
from vision_apps.applications.scene_graphs.graphs import (
    Graph,
    graph_ml,
    graph_of,
    json_ld,
    no_graph,
    right,
    rows_of,
    truth_of,
)
from vision_apps.applications.scene_graphs.objects import NO_OBJECTS
from vision_apps.applications.scene_graphs.types import (
    Protocol,
    SceneGraphAnswer,
    SceneGraphBatch,
    SceneGraphInputs,
)
from vision_apps.core.presentation import Drawn, Presentation, Row


class GraphPresentation(Presentation[SceneGraphBatch, SceneGraphInputs, SceneGraphAnswer]):
    """Objects and the surest predicates between them.

    Args:
        protocols: that are measured, for titles.
        least_score: of what is shown.
        most: relations that are shown.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        predicate_names: Sequence[str],
        protocols: Sequence[Protocol],
        least_score: float,
        most: int,
    ) -> None:
        self.class_names, self.predicate_names = list(class_names), list(predicate_names)
        self.protocols = tuple(protocols)
        self.least_score, self.most = least_score, most

    def graph(self, answer: SceneGraphAnswer, row: int, number: int = 0) -> Graph:
        names = self.class_names, self.predicate_names
        return graph_of(answer, row, number, *names, self.least_score, self.most)

    def draw_with_truth(self, batch: SceneGraphBatch, answer: SceneGraphAnswer) -> Drawn:
        rows = []
        for row, image in enumerate(batch.images):
            truth = truth_of(batch, row, self.class_names, self.predicate_names)
            columns = [pictures.on_picture(image, truth)]
            for number in range(answer.object_boxes.shape[1]):
                found = self.graph(answer, row, number)
                colors = [pictures.TRUE if one else pictures.FALSE for one in right(found, truth)]
                columns.append(pictures.on_picture(image, found, colors))
            rows.append(_beside(columns))
        one = answer.object_boxes.shape[1] == 1 and len(self.protocols) > 1
        return Drawn(rows, ("truth", *(("answer",) if one else self.protocols)))

    def draw_answer(self, inputs: SceneGraphInputs, answer: SceneGraphAnswer) -> list[Tensor]:
        drawn = []
        for row, image in enumerate(inputs.images):
            graph = self.graph(answer, row)
            without = no_graph(answer.object_labels[row])
            picture = pictures.on_picture(image, graph, caption="no objects" if without else "")
            drawn.append(_beside([picture, pictures.by_itself(graph, height=picture.shape[1])]))
        return drawn

    def describe(self, inputs: SceneGraphInputs, answer: SceneGraphAnswer) -> list[Row]:
        """``objects`` with class, score and box (x1, y1, x2, y2 in pixels of the picture), and ``relations``,
        the surest first: numbers of a subject and an object among these, the predicate, its score, and all
        in words. ``told``: why there is nothing."""
        rows: list[Row] = []
        for row in range(len(answer.object_boxes)):
            asked = inputs.boxes is None and no_graph(answer.object_labels[row])
            rows.append(rows_of(self.graph(answer, row)) | ({"told": NO_OBJECTS} if asked else {}))
        return rows

    def files(
        self, inputs: SceneGraphInputs, answer: SceneGraphAnswer, name: str, file: str
    ) -> dict[str, bytes]:
        """The graph as JSON-LD and as GraphML."""
        graph = self.graph(answer, 0)
        return {f"graphs/{name}.jsonld": json_ld(graph, file), f"graphs/{name}.graphml": graph_ml(graph)}


def _beside(columns: Sequence[Tensor]) -> Tensor:
    """Pictures side by side with a white line between them, filled up to the tallest."""
    tallest = max(column.shape[1] for column in columns)
    parts = [pad(column, (0, 6, 0, tallest - column.shape[1]), value=255) for column in columns]
    return torch.cat(parts, dim=2)[..., :-6]

"""A picture's graph as plain data, as files and as pictures."""

import io
import json

import networkx
import pytest
import torch

from vision_apps.applications.scene_graphs import pictures
from vision_apps.applications.scene_graphs.graphs import (
    Graph,
    Object,
    Relation,
    distinct_names,
    graph_ml,
    graph_of,
    json_ld,
    right,
    rows_of,
    truth_of,
)
from vision_apps.applications.scene_graphs.objects import NO_OBJECTS
from vision_apps.applications.scene_graphs.presentation import GraphPresentation
from vision_apps.applications.scene_graphs.types import SceneGraphAnswer, SceneGraphBatch, SceneGraphInputs

CLASSES, PREDICATES = ["cat", "dög"], ["on", "left of"]
GRAPH = Graph(
    [
        Object("cat", [1, 2, 11, 12], 0.9),
        Object("dög", [20, 5, 30, 25], 1.0),
        Object("cat", [0, 20, 8, 30], 0.5),
    ],
    [Relation(0, "left of", 1, 0.8), Relation(1, "on", 2, 0.4), Relation(1, "on", 0, 0.3)],
)


def answer() -> SceneGraphAnswer:
    """Three objects, of which the last is unsure, and a row of none."""
    predicates = torch.zeros(1, 1, 4, 4, 2)
    predicates[0, 0, 0, 1] = torch.tensor([0.5, 0.25])
    predicates[0, 0, 1, 0] = torch.tensor([0.1, 0.9])
    predicates[0, 0, 0, 2] = torch.tensor([0.8, 0.1])
    boxes = torch.arange(16.0).view(1, 1, 4, 4)
    boxes[..., 2:] += 10
    return SceneGraphAnswer(
        boxes, torch.tensor([[[0, 1, 1, -1]]]), torch.tensor([[[1, 0.5, 0.25, 0]]]), predicates
    )


def test_what_is_shown_of_an_answer() -> None:
    def shown(least: float, most: int = 20) -> Graph:
        return graph_of(answer(), 0, 0, CLASSES, PREDICATES, least, most)

    graph = shown(0.1)
    assert graph.relations == [
        Relation(1, "left of", 0, pytest.approx(0.45)),
        Relation(0, "on", 1, pytest.approx(0.25)),
        Relation(0, "on", 2, pytest.approx(0.2)),
    ]
    assert [one.name for one in graph.objects] == ["cat", "dög", "dög"]
    assert len(shown(0.1, 1).relations) == 1, "the surest"
    assert [one.score for one in shown(0.4).objects] == [1, 0.5], "sure or related"
    assert len(shown(0).relations) == 3, "what has no score is nothing"


def test_which_relations_are_true() -> None:
    labels = torch.tensor([[0, 1, -1]])
    boxes = torch.tensor([[[0.0, 1, 12, 13], [19, 4, 31, 26], [0, 0, 0, 0]]])
    relations = torch.tensor([[[0, 1, 1], [1, 0, 1], [-1, -1, -1]]])
    batch = SceneGraphBatch(
        torch.zeros(1, 3, 32, 32, dtype=torch.uint8),
        *(boxes, labels, torch.zeros(1, 3, dtype=torch.bool), torch.tensor([[32, 32]]), relations),
    )
    truth = truth_of(batch, 0, CLASSES, PREDICATES)
    assert [(one.subject, one.predicate, one.object) for one in truth.relations] == [
        (0, "left of", 1),
        (1, "left of", 0),
    ]
    assert right(GRAPH, truth) == [True, False, False]
    without = truth_of(batch._replace(ignored=torch.tensor([[False, True, False]])), 0, CLASSES, PREDICATES)
    assert len(without.objects) == 1 and not without.relations
    assert right(Graph([], []), truth) == []


def test_json_ld_has_a_node_for_each_object_and_relation() -> None:
    content = json.loads(json_ld(GRAPH, "a.jpg"))
    assert content["@context"]["@vocab"] and content["picture"] == "a.jpg"
    nodes = {node["@id"]: node for node in content["@graph"]}
    assert len(nodes) == 6 and all(node.startswith("_:") for node in nodes)
    first = next(node for node in nodes.values() if node["@type"] == "Relation")
    assert (nodes[first["subject"]]["class"], first["predicate"], nodes[first["object"]]["class"]) == (
        *("cat", "left of", "dög"),
    )


def test_graph_ml_is_read_back_by_networkx() -> None:
    graph = networkx.read_graphml(io.BytesIO(graph_ml(GRAPH)), force_multigraph=True, node_type=int)
    assert graph.is_directed()
    assert [data["label"] for _, data in graph.nodes(data=True)] == ["cat 1", "dög", "cat 2"]
    assert graph.nodes[1] == {
        "label": "dög",
        "class": "dög",
        "score": 1,
        "x1": 20,
        "y1": 5,
        "x2": 30,
        "y2": 25,
    }
    edges = [(one, other, data["predicate"]) for one, other, data in graph.edges(data=True)]
    assert sorted(edges) == [(0, 1, "left of"), (1, 0, "on"), (1, 2, "on")]


def test_rows_say_it_in_words() -> None:
    rows = rows_of(GRAPH)
    assert [one["text"] for one in rows["relations"]] == ["cat left of dög", "dög on cat", "dög on cat"]
    json.dumps(rows)
    assert distinct_names(GRAPH.objects[:2]) == ["cat", "dög"]


@pytest.mark.parametrize("graph", [GRAPH, Graph([], []), Graph(GRAPH.objects[:1], []),
    Graph([Object("cat", [n, n, n + 5, n + 5], 1) for n in range(30)],
          [Relation(n, "on", n + 1, 0.5) for n in range(20)])])  # fmt: skip
def test_pictures_of_any_number_of_objects(graph: Graph) -> None:
    image = torch.zeros(3, 40, 32, dtype=torch.uint8)
    for picture in (pictures.on_picture(image, graph), pictures.by_itself(graph)):
        assert picture.dtype == torch.uint8 and len(picture) == 3 and min(picture.shape[1:]) > 100


def test_what_predict_writes() -> None:
    presentation = GraphPresentation(CLASSES, PREDICATES, ("predcls", "sgcls"), 0.1, 20)
    inputs = SceneGraphInputs(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    (row,) = presentation.describe(inputs, answer())
    assert len(row["objects"]) == 3 and row["relations"][0]["text"] == "dög left of cat" and "told" not in row
    assert set(presentation.files(inputs, answer(), "a", "a.jpg")) == {"graphs/a.jsonld", "graphs/a.graphml"}
    nothing = answer()._replace(object_labels=torch.full((1, 1, 4), -1), object_scores=torch.zeros(1, 1, 4))
    nothing = nothing._replace(predicates=torch.zeros(1, 1, 4, 4, 2))
    (row,) = presentation.describe(inputs, nothing)
    assert row == {"objects": [], "relations": [], "told": NO_OBJECTS}
    assert len(presentation.draw_answer(inputs, nothing)) == 1

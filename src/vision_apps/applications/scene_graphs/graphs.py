"""A picture's graph as plain data: what is shown of an answer, and as files for other programs."""

import io
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vision_apps.applications.scene_graphs.types import SceneGraphAnswer, SceneGraphBatch, present
from vision_apps.core.presentation import exact
from vision_apps.networks.boxes import iou

VOCABULARY = "urn:vision-apps:scene-graph:"  # of the terms in JSON-LD
_SAME = 0.5  # IoU from which two boxes are of one object


class Object(NamedTuple):
    name: str  # of the class
    box: Sequence[float]  # x1, y1, x2, y2 in pixels of the picture
    score: float  # 0..1


class Relation(NamedTuple):
    subject: int  # its place among the objects
    predicate: str
    object: int
    score: float  # 0..1: the product of those of the two objects and of the predicate


class Graph(NamedTuple):
    objects: Sequence[Object]
    relations: Sequence[Relation]  # the surest first


def graph_of(
    answer: SceneGraphAnswer,
    row: int,
    number: int,
    class_names: Sequence[str],
    predicate_names: Sequence[str],
    least_score: float,
    most: int,
) -> Graph:
    """What is shown of a picture's graph: of each pair the likeliest predicate, of these the surest, and the
    objects that are sure or related.

    Args:
        row, number: which picture, and which of its graphs.
        least_score: of a relation and of an object.
        most: relations.
    """
    labels, scores = answer.object_labels[row, number].cpu(), answer.object_scores[row, number].float().cpu()
    likeliest, named = answer.predicates[row, number].float().cpu().max(-1)
    sure = likeliest * scores[:, None] * scores[None, :]
    values, places = sure.flatten().sort(descending=True, stable=True)
    chosen = places[:most][(values[:most] >= least_score) & (values[:most] > 0)]
    subjects, others = chosen // len(labels), chosen % len(labels)
    kept = present(labels) & (scores >= least_score)
    kept[subjects] = kept[others] = True
    rows = kept.nonzero()[:, 0].tolist()
    position = {own: place for place, own in enumerate(rows)}
    told = zip(
        exact(answer.object_boxes[row, number][rows]), exact(scores[rows]), labels[rows].tolist(), strict=True
    )
    objects = [Object(class_names[label], box, score) for box, score, label in told]
    relations = [
        Relation(position[one], predicate_names[int(named[one, other])], position[other], score)
        for one, other, score in zip(
            subjects.tolist(), others.tolist(), exact(sure.flatten()[chosen]), strict=True
        )
    ]
    return Graph(objects, relations)


def truth_of(
    batch: SceneGraphBatch, row: int, class_names: Sequence[str], predicate_names: Sequence[str]
) -> Graph:
    """What is true of a picture, as a graph."""
    labels = batch.box_labels[row].masked_fill(batch.ignored[row].bool(), -1)
    rows = present(labels).nonzero()[:, 0].tolist()
    position = {own: place for place, own in enumerate(rows)}
    objects = [
        Object(class_names[label], box, 1.0)
        for box, label in zip(batch.boxes[row][rows].tolist(), labels[rows].tolist(), strict=True)
    ]
    relations = [
        Relation(position[one], predicate_names[predicate], position[other], 1.0)
        for one, other, predicate in batch.relations[row].tolist()
        if one in position and other in position
    ]
    return Graph(objects, relations)


def right(found: Graph, truth: Graph) -> list[bool]:
    """Which of the relations found are true: between objects of the same classes whose boxes overlap by half
    with those of the truth."""
    if not found.objects or not truth.objects:
        return [False] * len(found.relations)
    first, second = (torch.tensor([one.box for one in graph.objects]) for graph in (found, truth))
    same = iou(first[:, None], second[None]) >= _SAME
    names = torch.tensor([[one.name == other.name for other in truth.objects] for one in found.objects])
    same &= names

    def is_true(one: Relation) -> bool:
        return any(
            one.predicate == other.predicate
            and bool(same[one.subject, other.subject])
            and bool(same[one.object, other.object])
            for other in truth.relations
        )

    return [is_true(one) for one in found.relations]


def distinct_names(objects: Sequence[Object]) -> list[str]:
    """Names that tell the objects apart: those of a class that is there several times are numbered."""
    names = [one.name for one in objects]
    counts: dict[str, int] = {}
    told = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        told.append(f"{name} {counts[name]}" if names.count(name) > 1 else name)
    return told


def rows_of(graph: Graph) -> dict[str, Any]:
    """JSON-able: ``objects`` with their class, score and box, and ``relations`` between their places in that
    list."""
    objects = [{"class": one.name, "score": one.score, "box": list(one.box)} for one in graph.objects]
    relations = [
        {
            "subject": one.subject,
            "predicate": one.predicate,
            "object": one.object,
            "score": one.score,
            "text": f"{graph.objects[one.subject].name} {one.predicate} {graph.objects[one.object].name}",
        }
        for one in graph.relations
    ]
    return {"objects": objects, "relations": relations}


def json_ld(graph: Graph, file: str) -> bytes:
    """The graph as JSON-LD 1.1 (W3C 2020): a node for each object, and one for each relation, which says its
    subject, object and predicate and how sure it is.

    Args:
        file: the picture.
    """
    context = {
        "@vocab": VOCABULARY,
        "subject": {"@type": "@id"},
        "object": {"@type": "@id"},
        "box": {"@container": "@list"},
    }
    objects = [
        {
            "@id": f"_:object{n}",
            "@type": "Object",
            "class": one.name,
            "box": list(one.box),
            "score": one.score,
        }
        for n, one in enumerate(graph.objects)
    ]
    relations = [
        {
            "@id": f"_:relation{n}",
            "@type": "Relation",
            "subject": f"_:object{one.subject}",
            "predicate": one.predicate,
            "object": f"_:object{one.object}",
            "score": one.score,
        }
        for n, one in enumerate(graph.relations)
    ]
    content = {"@context": context, "picture": file, "@graph": [*objects, *relations]}
    return json.dumps(content, ensure_ascii=False, indent=1).encode()


def graph_ml(graph: Graph) -> bytes:
    """The graph as GraphML (Brandes et al. 2002): directed, with the class, score and box of each node and
    the predicate and score of each edge, of which two nodes may have several."""
    import networkx  # it takes a third of a second to import

    made = networkx.MultiDiGraph()
    for number, (one, name) in enumerate(zip(graph.objects, distinct_names(graph.objects), strict=True)):
        corners = dict(zip(("x1", "y1", "x2", "y2"), map(float, one.box), strict=True))
        made.add_node(number, label=name, **{"class": one.name}, score=float(one.score), **corners)
    for relation in graph.relations:
        made.add_edge(
            relation.subject, relation.object, predicate=relation.predicate, score=float(relation.score)
        )
    file = io.BytesIO()
    networkx.write_graphml(made, file)
    return file.getvalue()


def no_graph(labels: Tensor) -> bool:
    """Whether there is no object in int64 labels of any shape."""
    return not bool(present(labels).any())

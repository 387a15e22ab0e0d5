"""Recall of relations, against a slow reference that loops over pictures, triplets and relations, and on
graphs that are small enough to be counted by hand."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vision_apps.applications.scene_graphs.metrics import SceneGraphMetrics
from vision_apps.applications.scene_graphs.recall import Graphs, Truths, best, first_found, reachable

KS = (2, 5, 20)


# ---- the reference -----------------------------------------------------------------------------------------


class Picture(NamedTuple):
    """One picture in numpy."""

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    predicates: np.ndarray
    true_boxes: np.ndarray
    true_labels: np.ndarray
    relations: list[tuple[int, int, int]]


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = np.float32(width * height)
    sides = [np.float32((box[2] - box[0]) * (box[3] - box[1])) for box in (one, other)]
    return float(shared / (sides[0] + sides[1] - shared))


def ranked(picture: Picture, constrained: bool) -> list[tuple[int, int, int]]:
    rows = [row for row, label in enumerate(picture.labels) if label >= 0]
    told = []
    for subject in rows:
        for other in rows:
            if subject == other:
                continue
            weight = picture.scores[subject] * picture.scores[other]
            scores = [weight * value for value in picture.predicates[subject, other]]
            kept = [int(np.argmax(scores))] if constrained else range(len(scores))
            told += [(-scores[number], subject, other, number) for number in kept]
    return [(subject, other, said) for _, subject, other, said in sorted(told)]


def hits(picture: Picture, k: int, constrained: bool) -> list[bool]:
    found = []
    for subject, other, said in picture.relations:
        found.append(
            any(
                number == said
                and picture.labels[a] == picture.true_labels[subject]
                and picture.labels[b] == picture.true_labels[other]
                and overlap(picture.boxes[a], picture.true_boxes[subject]) >= 0.5
                and overlap(picture.boxes[b], picture.true_boxes[other]) >= 0.5
                for a, b, number in ranked(picture, constrained)[:k]
            )
        )
    return found


def reference(pictures: list[Picture], seen: np.ndarray, predicates: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    some = [picture for picture in pictures if picture.relations]
    if not some:
        return figures
    for prefix, constrained in (("", True), ("ng_", False)):
        for k in KS:
            recalls, unseen_recalls = [], []
            of_pictures: list[list[float]] = [[] for _ in range(predicates)]
            pooled: list[list[bool]] = [[] for _ in range(predicates)]
            for picture in some:
                found = hits(picture, k, constrained)
                recalls.append(np.mean(found))
                unseen = [
                    hit
                    for hit, (s, o, p) in zip(found, picture.relations, strict=True)
                    if not seen[picture.true_labels[s], p, picture.true_labels[o]]
                ]
                if unseen:
                    unseen_recalls.append(np.mean(unseen))
                for number in range(predicates):
                    own = [h for h, r in zip(found, picture.relations, strict=True) if r[2] == number]
                    pooled[number] += own
                    if own:
                        of_pictures[number].append(float(np.mean(own)))
            recall = float(np.mean(recalls))
            mean = float(np.mean([np.mean(own) if own else 0.0 for own in of_pictures]))
            figures[f"{prefix}recall_{k}"] = recall
            figures[f"{prefix}mean_recall_images_{k}"] = mean
            figures[f"{prefix}mean_recall_pooled_{k}"] = float(
                np.mean([np.mean(own) for own in pooled if own])
            )
            figures[f"{prefix}f1_{k}"] = 2 * recall * mean / (recall + mean) if recall + mean else 0.0
            if unseen_recalls:
                figures[f"{prefix}zero_shot_recall_{k}"] = float(np.mean(unseen_recalls))
    return figures


# ---- generated pictures ------------------------------------------------------------------------------------


def drawn(rng: np.random.Generator, K: int, Q: int) -> Picture:
    """A picture whose found objects are true ones that moved a little, others, and none; few values, so that
    many scores are equal."""
    n, m = int(rng.integers(0, 5)), int(rng.integers(0, 6))
    corners = rng.integers(0, 12, (n, 2))
    true_boxes = np.hstack([corners, corners + rng.integers(3, 9, (n, 2))]).astype(np.float32)
    true_labels = rng.integers(0, K, n)
    boxes, labels = np.zeros((m, 4), np.float32), np.full(m, -1)
    for row in range(m):
        if n and rng.random() < 0.8:
            source = int(rng.integers(n))
            boxes[row], labels[row] = true_boxes[source] + rng.integers(-1, 2, 4), true_labels[source]
        else:
            boxes[row] = [0, 0, 4, 4]
        if rng.random() < 0.3:
            labels[row] = rng.integers(-1, K)
    pairs = [(a, b) for a in range(n) for b in range(n) if a != b]
    relations = [(*pairs[int(rng.integers(len(pairs)))], int(rng.integers(Q))) for _ in range(6) if pairs]
    relations = relations[: int(rng.integers(0, 7))]
    values = rng.integers(0, 5, (m, m, Q)) / np.float32(4)
    scores = (rng.integers(1, 4, m) / np.float32(4)).astype(np.float32)
    return Picture(boxes, labels, scores, values.astype(np.float32), true_boxes, true_labels, relations)


def padded(arrays: list[np.ndarray], fill: float, shape: tuple[int, ...]) -> Tensor:
    whole = np.full((len(arrays), *shape), fill, dtype=arrays[0].dtype)
    for row, array in enumerate(arrays):
        whole[(row, *map(slice, array.shape))] = array
    return torch.from_numpy(whole)


def batch_of(pictures: list[Picture], M: int = 6, N: int = 5, R: int = 7) -> tuple[Graphs, Truths]:
    Q = pictures[0].predicates.shape[-1]
    graphs = Graphs(
        padded([p.boxes for p in pictures], 0, (M, 4)),
        padded([p.labels for p in pictures], -1, (M,)),
        padded([p.scores for p in pictures], 0, (M,)),
        padded([p.predicates for p in pictures], 0, (M, M, Q)),
    )
    relations = [np.array(p.relations, np.int64).reshape(-1, 3) for p in pictures]
    truths = Truths(
        padded([p.true_boxes for p in pictures], 0, (N, 4)),
        padded([p.true_labels for p in pictures], -1, (N,)),
        padded(relations, -1, (R, 3)),
    )
    return graphs, truths


def measured(pictures: list[Picture], seen: Tensor | None, *, at_once: int, **padding: int) -> dict[str, Any]:
    metric = SceneGraphMetrics(pictures[0].predicates.shape[-1], KS)
    for start in range(0, len(pictures), at_once):
        metric.update(*batch_of(pictures[start : start + at_once], **padding), seen)
    return metric.compute()


# ---- tests -------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 6), K=st.integers(1, 4), Q=st.integers(1, 4))
def test_figures_are_those_of_the_reference_whatever_the_batch(seed: int, count: int, K: int, Q: int) -> None:
    rng = np.random.default_rng(seed)
    pictures = [drawn(rng, K, Q) for _ in range(count)]
    seen = rng.random((K, Q, K)) < 0.6
    expected = reference(pictures, seen, Q)
    whole = measured(pictures, torch.from_numpy(seen), at_once=count)
    parts = measured(pictures, torch.from_numpy(seen), at_once=2, M=9, N=6, R=11)
    for found in (whole, parts):
        told = {name: float(value) for name, value in found.items() if not name.startswith("predicate_")}
        told = {name: value for name, value in told.items() if "limit" not in name}
        assert told == pytest.approx(expected, abs=1e-6)
    assert whole.keys() == parts.keys()


def graph(pairs: dict[tuple[int, int], list[float]], labels: list[int], Q: int) -> Graphs:
    """Objects in places that do not overlap, and what is told of pairs of them."""
    M = len(labels)
    boxes = torch.tensor([[10.0 * row, 0, 10.0 * row + 8, 8] for row in range(M)])
    predicates = torch.zeros(M, M, Q)
    for (subject, other), values in pairs.items():
        predicates[subject, other] = torch.tensor(values)
    return Graphs(boxes[None], torch.tensor([labels]), torch.ones(1, M), predicates[None])


def truth(relations: list[tuple[int, int, int]], labels: list[int]) -> Truths:
    return Truths(graph({}, labels, 1).boxes, torch.tensor([labels]), torch.tensor([relations]))


def two_pictures() -> SceneGraphMetrics:
    """Three objects each. In the first, two predicates of one pair are true, and the second-best of that pair
    is told surer than the best of another; one that is told of the second is wrong."""
    metric = SceneGraphMetrics(3, (2, 3))
    metric.update(
        graph({(0, 1): [0.9, 0.8, 0], (1, 2): [0.7, 0, 0]}, [0, 1, 2], 3),
        truth([(0, 1, 0), (0, 1, 1), (1, 2, 0)], [0, 1, 2]),
    )
    metric.update(graph({(2, 0): [0, 0.2, 0.5]}, [0, 1, 2], 3), truth([(2, 0, 1)], [0, 1, 2]))
    return metric


def test_with_and_without_graph_constraint_and_both_means_by_hand() -> None:
    found = two_pictures().compute()
    # with: 0-1 and 1-2 by their best, and in the second picture the wrong one alone
    assert found["recall_2"] == pytest.approx((2 / 3 + 0) / 2)
    # without: both predicates of 0-1 come first, then 1-2; in the second picture the right one comes second
    assert found["ng_recall_2"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["ng_recall_3"] == pytest.approx(1)
    # predicate 0: found in its only picture; 1: not in the first, not in the second; 2: nowhere, which counts
    # as 0 by pictures and is left out of pooled ones
    assert found["mean_recall_images_2"] == pytest.approx((1 + 0 + 0) / 3)
    assert found["mean_recall_pooled_2"] == pytest.approx((1 + 0) / 2)
    # without at 2: predicate 0 one of two in its picture, 1 in both
    assert found["ng_mean_recall_images_2"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert found["ng_mean_recall_pooled_2"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["f1_2"] == pytest.approx(2 * (1 / 3) * (1 / 3) / (1 / 3 + 1 / 3))
    assert found["predicate_counts"].tolist() == [2, 2, 0]
    assert found["recall_limit_3"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["ng_recall_limit_2"] == pytest.approx((2 / 3 + 1) / 2)
    assert "zero_shot_recall_2" not in found


def test_means_over_pictures_and_pooled_differ_where_pictures_have_different_counts() -> None:
    metric = SceneGraphMetrics(1, (1,))
    metric.update(graph({(0, 1): [1.0]}, [0, 0], 1), truth([(0, 1, 0)], [0, 0]))
    metric.update(graph({(0, 1): [1.0]}, [0, 0, 1], 1), truth([(0, 1, 0), (1, 2, 0), (2, 1, 0)], [0, 0, 1]))
    found = metric.compute()
    assert found["mean_recall_images_1"] == pytest.approx((1 + 1 / 3) / 2)
    assert found["mean_recall_pooled_1"] == pytest.approx(2 / 4)
    assert found["recall_limit_1"] == pytest.approx((1 + 1 / 3) / 2)
    assert found["predicate_recalls"].flatten().tolist() == pytest.approx([2 / 3, 1 / 2])


def test_only_triplets_that_training_lacks_are_zero_shot() -> None:
    seen = torch.ones(3, 3, 3, dtype=torch.bool)
    seen[2, 1, 0] = False
    metric = SceneGraphMetrics(3, (2,))
    for pairs in ({(2, 0): [0, 0.5, 0.2]}, {(2, 0): [0.5, 0.2, 0]}):
        metric.update(graph(pairs, [0, 1, 2], 3), truth([(2, 0, 1), (0, 1, 0)], [0, 1, 2]), seen)
    assert metric.compute()["zero_shot_recall_2"] == pytest.approx(1 / 2)


def test_equal_scores_are_told_in_the_order_of_rows() -> None:
    told = best(graph({(1, 0): [0.5, 0.5], (0, 1): [0.5, 0.5]}, [0, 0, -1], 2), 3, constrained=False)
    assert told.pairs[0].tolist() == [[0, 1], [0, 1], [1, 0]]
    assert told.predicates[0].tolist() == [0, 1, 0]
    told = best(graph({(0, 1): [0.2, 0.7, 0.7]}, [0, 0], 3), 9, constrained=True)
    assert told.pairs[0].tolist()[0] == [0, 1] and told.predicates[0, 0] == 1
    # equal is what the product is, also where the predicates differ: of an object of score 0, or by rounding
    for score, predicates in ((0.0, [0.2, 0.7]), (0.75, [1 - 3 / 2**24, 1 - 2 / 2**24])):
        unsure = graph({(0, 1): predicates}, [0, 0], 2)._replace(scores=torch.tensor([[score, 1.0]]))
        products = torch.tensor(score) * torch.tensor(predicates)
        assert products[0] == products[1] and torch.tensor(predicates).unique().numel() == 2
        for constrained in (True, False):
            assert best(unsure, 9, constrained=constrained).predicates[0, 0] == 0


@pytest.mark.parametrize("labels", [[], [3], [-1, 3], [-1, -1]])
def test_a_picture_with_one_object_or_none_tells_nothing(labels: list[int]) -> None:
    M = len(labels)
    graphs = Graphs(
        torch.zeros(1, M, 4), torch.tensor([labels]).long(), torch.ones(1, M), torch.ones(1, M, M, 2)
    )
    truths = truth([(0, 1, 0)], [3, 3])
    metric = SceneGraphMetrics(2, (5,))
    metric.update(graphs, truths)
    assert metric.compute()["recall_5"] == 0


def test_pictures_without_relations_do_not_count() -> None:
    metric = SceneGraphMetrics(1, (5,))
    nothing = Truths(
        torch.zeros(1, 2, 4), torch.tensor([[0, 0]]), torch.full((1, 4, 3), -1, dtype=torch.int64)
    )
    metric.update(graph({(0, 1): [1.0]}, [0, 0], 1), nothing)
    metric.update(
        graph({(0, 1): [1.0]}, [0, 0], 1),
        nothing._replace(relations=torch.zeros(1, 0, 3, dtype=torch.int64)),
    )
    assert metric.compute() == {}
    metric.update(graph({(0, 1): [1.0]}, [0, 0], 1), truth([(0, 1, 0)], [0, 0]))
    assert metric.compute()["recall_5"] == 1


def test_relations_of_rows_that_are_no_objects_do_not_count() -> None:
    truths = truth([(0, 1, 0), (0, 7, 0), (0, 2, 0), (-1, -1, -1)], [0, 0, -1])
    assert truths.there.tolist() == [[True, False, False, False]]


@given(seed=st.integers(0, 2**32 - 1))
def test_the_truth_reaches_the_limit(seed: int) -> None:
    """Where no box is another's, a graph of nothing but what is true finds as much as can be found."""
    rng = np.random.default_rng(seed)
    n, Q = int(rng.integers(2, 6)), 3
    pairs = [(a, b) for a in range(n) for b in range(n) if a != b]
    rows = [(*pairs[int(rng.integers(len(pairs)))], int(rng.integers(Q))) for _ in range(rng.integers(1, 30))]
    truths = truth(rows, list(range(n)))
    counted = {row: rows.count(row) for row in rows}
    told = {(a, b): [counted.get((a, b, p), 0) / 30 for p in range(Q)] for a, b in pairs}
    for constrained in (True, False):
        for k in (1, 4, 100):
            graphs = graph(told, list(range(n)), Q)
            triplets = best(graphs, k, constrained=constrained)
            place = first_found(triplets, graphs, truths)
            share = (place < triplets.predicates.shape[1]).double().mean()
            assert share == pytest.approx(float(reachable(truths, [k], constrained=constrained)))


def test_boxes_are_those_of_the_object_from_half_of_the_union() -> None:
    truths = truth([(0, 1, 0)], [0, 1])
    for width, expected in ((16.0, 1.0), (16.1, 0.0), (4.0, 1.0), (3.9, 0.0)):
        graphs = graph({(0, 1): [1.0]}, [0, 1], 1)
        graphs.boxes[0, 0, 2] = width  # of 8
        metric = SceneGraphMetrics(1, (1,))
        metric.update(graphs, truths)
        assert metric.compute()["recall_1"] == expected

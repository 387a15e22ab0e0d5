"""How much faster all relations of many pictures are scored together than pair by pair, and than by picture.

    python benchmarks/scene_graphs.py [--rounds 5] [--pictures 64] [--objects 20] [--predicates 50]

Told: from the map of a picture and the features of its objects to the score of every ordered pair and
predicate, of a network of random weights. Measured: the best 100 triplets of each picture, and which true
relations are among them. Against two loops in Python: over pictures and, within each, pairs or triplets, as
the first codes have it; and over pictures alone, each with all its pairs at once. Goal: 10 times the first
loop. Of the second no such thing can be asked on one core, where pictures of many objects are arithmetic and
little else: what is asked is that a batch is not slower.

Ways take turns and a ratio is taken within a round; of processor time, with that of wall time beside it.
Freed memory is kept, as training and predict have it: what many pictures ask for would otherwise be taken
from the system again at each step.
"""

import argparse
import platform
import statistics
from typing import Any

import torch
from torch import Tensor

from timing.turns import Turns
from vision_apps.core.hardware import keep_freed_memory

CLASSES, WIDTH, RELATIONS, MOST = 150, 128, 10, 100
SIDE = 64  # px of the pictures: the backbone is no part of what is measured


def assembled(pictures: int, objects: int, predicates: int) -> tuple[Any, Any]:
    """A module of random weights and a batch of pictures of noise with random objects and relations."""
    from vision_apps.applications.scene_graphs.module import SceneGraphs
    from vision_apps.applications.scene_graphs.network import RelationNetwork
    from vision_apps.applications.scene_graphs.types import SceneGraphBatch
    from vision_apps.networks.backbones import Small

    torch.manual_seed(0)
    network = RelationNetwork(Small(width=32), CLASSES, predicates, width=WIDTH)
    names = [str(n) for n in range(max(CLASSES, predicates))]
    module = SceneGraphs(
        network,
        *(CLASSES, names[:CLASSES], predicates, names[:predicates], SIDE, [0.5] * 3, [0.25] * 3),
    ).eval()
    low = torch.rand(pictures, objects, 2) * SIDE * 0.6
    boxes = torch.cat((low, low + 2 + torch.rand_like(low) * SIDE * 0.3), -1)
    pairs = torch.randint(objects, (pictures, RELATIONS, 2))
    pairs[..., 1] = torch.where(pairs[..., 0] == pairs[..., 1], (pairs[..., 1] + 1) % objects, pairs[..., 1])
    batch = SceneGraphBatch(
        torch.randint(256, (pictures, 3, SIDE, SIDE), dtype=torch.uint8),
        boxes,
        torch.randint(CLASSES, (pictures, objects)),
        torch.zeros(pictures, objects, dtype=torch.bool),
        torch.tensor([[SIDE, SIDE]] * pictures),
        torch.cat((pairs, torch.randint(predicates, (pictures, RELATIONS, 1))), -1),
    )
    return module, batch


def told(module: Any, batch: Any, rounds: int) -> None:
    """Print a line: scores of all pairs."""

    network, boxes = module.network, batch.boxes
    pictures, count = boxes.shape[:2]
    pairs = [torch.tensor([[[i, j]]]) for i in range(count) for j in range(count)]
    maps = torch.randn(pictures, WIDTH, SIDE // 4, SIDE // 4)
    parts = torch.randn(2, pictures, count, WIDTH)

    def scores(rows: slice, which: Tensor | None = None) -> Tensor:
        own = [(parts[0, rows], parts[1, rows])]
        (found,) = network.told_of_pairs(maps[rows], boxes[rows], (SIDE, SIDE), own, which)
        return found.softmax(-1)

    def together() -> Tensor:
        with torch.inference_mode():
            return scores(slice(None))

    def by_picture() -> Tensor:
        with torch.inference_mode():
            return torch.cat([scores(slice(b, b + 1)) for b in range(pictures)])

    def by_pair() -> Tensor:
        with torch.inference_mode():
            return torch.cat([
                torch.cat([scores(slice(b, b + 1), pair) for pair in pairs], 1) for b in range(pictures)
            ])  # fmt: skip

    torch.testing.assert_close(together(), by_picture(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together(), by_pair(), atol=1e-5, rtol=1e-4)
    ways = {"together": together, "by picture": by_picture, "by pair": by_pair}
    table("told", pictures, Turns(ways, rounds))


def measured(module: Any, batch: Any, rounds: int) -> None:
    """Print a line: the best triplets, and the true relations among them."""
    from vision_apps.applications.scene_graphs.recall import OVERLAP
    from vision_apps.applications.scene_graphs.scores import graphs_of, recalls, truths_of
    from vision_apps.core.fields import one_by_one
    from vision_apps.networks.boxes import iou

    with torch.inference_mode():
        answer = module(module.inputs(batch))
    graphs, truths = graphs_of(answer, 0), truths_of(batch)

    def together() -> list[float]:
        return recalls(graphs, truths, MOST).tolist()

    def by_picture() -> list[float]:
        rows = zip(one_by_one(answer), one_by_one(batch), strict=True)
        return [float(recalls(graphs_of(one, 0), truths_of(other), MOST)) for one, other in rows]

    def by_triplet() -> list[float]:
        """Lists of Python, as the evaluation of Lu et al. (ECCV 2016) is written."""
        found = []
        for b, relations in enumerate(truths.relations.tolist()):
            labels, scores = graphs.labels[b].tolist(), graphs.scores[b].tolist()
            predicates, true = graphs.predicates[b].tolist(), truths.labels[b].tolist()
            triplets = []
            for i in range(len(labels)):
                for j in range(len(labels)):
                    if i != j:
                        q = max(range(len(predicates[i][j])), key=predicates[i][j].__getitem__)
                        triplets.append((-scores[i] * scores[j] * predicates[i][j][q], i, j, q))
            overlap = (iou(graphs.boxes[b][:, None], truths.boxes[b][None]) >= OVERLAP).tolist()
            best, hits = sorted(triplets)[:MOST], 0
            for s, o, p in relations:
                hits += any(
                    q == p
                    and labels[i] == true[s]
                    and labels[j] == true[o]
                    and overlap[i][s]
                    and overlap[j][o]
                    for _, i, j, q in best
                )
            found.append(hits / len(relations))
        return found

    for way in (by_picture, by_triplet):
        torch.testing.assert_close(torch.tensor(together()), torch.tensor(way()), atol=1e-6, rtol=0)
    ways = {"together": together, "by picture": by_picture, "by triplet": by_triplet}
    table("measured", len(batch.images), Turns(ways, rounds))


def table(done: str, count: int, turns: Turns) -> None:
    speeds = {name: count / statistics.median(seconds) for name, seconds in turns.processor.items()}
    print(f"  pictures {done}, per processor second: " + ", ".join(f"{k} {v:.1f}" for k, v in speeds.items()))
    for name in [name for name in speeds if name != "together"]:
        wall = turns.ratio(name, "together", processor=False)
        print(f"    together against {name}: {turns.ratio(name, 'together')} times; by the clock {wall}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in (("rounds", 5), ("pictures", 64), ("objects", 20), ("predicates", 50)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    print(f"{platform.processor() or platform.machine()}, 1 thread, torch {torch.__version__}")
    print(f"{given.pictures} pictures, {given.objects} objects, {given.predicates} predicates", flush=True)
    module, batch = assembled(given.pictures, given.objects, given.predicates)
    told(module, batch, given.rounds)
    measured(module, batch, given.rounds)


if __name__ == "__main__":
    main()

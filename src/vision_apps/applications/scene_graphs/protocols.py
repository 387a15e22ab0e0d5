"""Which graphs are measured, and how their answers stand beside each other."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from vision_apps.applications.scene_graphs.types import (
    PROTOCOLS,
    Protocol,
    SceneGraphAnswer,
    pair_mask,
)


def protocols_of(said: Sequence[str] | str, has_detector: bool) -> tuple[tuple[Protocol, ...], list[str]]:
    """Which protocols ``module.protocols`` names, in their order, and what is wrong with it, for a
    `ConfigError`."""
    able = PROTOCOLS if has_detector else PROTOCOLS[:2]
    if said == "auto":
        return able, []
    names = [said] if isinstance(said, str) else list(said)
    unknown = [name for name in names if name not in PROTOCOLS]
    if unknown or not names:
        return able, [
            f"module.protocols: {names}; expected some of {', '.join(PROTOCOLS)}, or auto for all that the "
            "run can"
        ]
    if "sgdet" in names and not has_detector:
        return able, [
            "module.protocols: sgdet needs a detector to find the objects; train with data.detector=RUN, a "
            "run of detection, or leave it out: module.protocols=[predcls,sgcls]"
        ]
    return tuple(name for name in PROTOCOLS if name in names), []


def pair_probabilities(logits: Tensor, there: Tensor) -> Tensor:
    """How likely each predicate is: the softmax with no relation among them, which is then left out.

    Args:
        logits: of all pairs, subject by subject, [B, M * M, Q + 1], the last of no relation.
        there: which rows are objects, bool [B, M].

    Returns:
        [B, M, M, Q], 0 where a row is none and of an object to itself.
    """
    likely = logits.softmax(-1)[..., :-1].unflatten(1, (there.shape[1], there.shape[1]))
    return likely * pair_mask(there)[..., None]


def joined(answers: Sequence[SceneGraphAnswer]) -> SceneGraphAnswer:
    """Graphs of the same pictures as one answer, filled up to the most objects that one of them has."""
    most = max(answer.object_boxes.shape[2] for answer in answers)
    filled = []
    for answer in answers:
        more = most - answer.object_boxes.shape[2]
        filled.append(
            SceneGraphAnswer(
                pad(answer.object_boxes, (0, 0, 0, more)),
                pad(answer.object_labels, (0, more), value=-1),
                pad(answer.object_scores, (0, more)),
                pad(answer.predicates, (0, 0, 0, more, 0, more)),
            )
        )
    return SceneGraphAnswer(*(torch.cat(parts, dim=1) for parts in zip(*filled, strict=True)))


def graph(answer: SceneGraphAnswer, number: int) -> SceneGraphAnswer:
    """One of the graphs of each picture, as an answer of one."""
    return SceneGraphAnswer(*(part[:, number : number + 1] for part in answer))

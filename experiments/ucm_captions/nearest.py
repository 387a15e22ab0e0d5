"""Say of each test picture what was said of the training picture that is most like it.

    python experiments/ucm_captions/nearest.py RUN

Most like is the picture with the largest cosine between the mean features over all places that the run's
backbone gives. Of its captions that one is said which agrees best with its others, by CIDEr-D with the
document frequencies of the training captions. Prints the figures of the test split as the test of the run has
them.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor

from vision_apps.applications.captioning.cider import cider_d, frequencies
from vision_apps.applications.captioning.metrics import Said, evaluate, truths
from vision_apps.applications.captioning.module import Captioning
from vision_apps.core import assembly, checkpoint_io
from vision_apps.core.data import Split, VisionData
from vision_apps.core.loader import BatchLoader

BATCH = 64


@torch.inference_mode()
def pooled(module: Captioning, data: VisionData, split: Split) -> tuple[Tensor, list[list[str]]]:
    """Of each picture the mean of its features, of length 1, [N, C], and its captions."""
    features, captions = [], []
    for batch in BatchLoader(data.samples(split), module.batch_type, batch_size=BATCH):
        coarsest = module.network.backbone(module.normalize(batch.images))[-1]
        features.append(torch.nn.functional.normalize(coarsest.mean((2, 3))))
        captions += truths(batch, module.vocabulary)
    return torch.cat(features), captions


def typical(captions: list[list[str]]) -> list[str]:
    """Of each picture's captions the one that agrees best with the others; the first of equals."""
    known = frequencies(captions)
    found = []
    for own in captions:
        others = [[*own[:place], *own[place + 1 :]] or own for place in range(len(own))]
        scores = [cider_d([[one]], [rest], known)[0][0] for one, rest in zip(own, others, strict=True)]
        found.append(own[scores.index(max(scores))])
    return found


def figures(run: Path) -> dict[str, float]:
    """As `metrics.evaluate` has them, of the test split."""
    checkpoint = checkpoint_io.load(run / "checkpoints" / checkpoint_io.BEST)
    module = assembly.rebuild(checkpoint)
    assert isinstance(module, Captioning)
    data = assembly.build_data(checkpoint["config"])
    data.batch_type = module.batch_type
    known, captions = pooled(module, data, "train")
    asked, references = pooled(module, data, "test")
    said = typical(captions)
    nearest = (asked @ known.T).argmax(1).tolist()
    return evaluate([Said([said[row]], True, own) for row, own in zip(nearest, references, strict=True)])


if __name__ == "__main__":
    found = figures(Path(sys.argv[1]))
    print(" · ".join(f"{name} {value:.3f}" for name, value in found.items()))

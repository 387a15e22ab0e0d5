"""How captions are scored."""

import json
import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from vision_apps.applications.captioning.bleu import bleu
from vision_apps.applications.captioning.cider import Frequencies, cider_d
from vision_apps.applications.captioning.java_metrics import java_scores
from vision_apps.applications.captioning.pointing import Regions, pointing
from vision_apps.applications.captioning.rouge_l import rouge_l
from vision_apps.applications.captioning.types import CaptionAnswer, CaptionBatch
from vision_apps.data.captions.words import END, decoded, from_bytes

log = logging.getLogger(__name__)


class Said(NamedTuple):
    """One picture: what was said and what people say."""

    captions: list[str]  # the best first
    ended: bool  # the best one by itself
    references: list[str]


class CaptionMetrics(Metric):
    """Everything that is said of captions, by name: see `evaluate`; and of data with boxes ``pointing``, the
    share of the nouns that name an object of the picture whose attention has its maximum on one, and
    ``pointing_chance``, what looking anywhere would give.

    Args:
        classes: from the number of a word to the class of boxes that it names.
        known, java: see `evaluate`.
    """

    full_state_update = False
    hits: Tensor
    chance: Tensor
    nouns: Tensor

    def __init__(
        self,
        vocabulary: Sequence[str],
        classes: Mapping[int, int],
        known: Frequencies | None = None,
        java: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.vocabulary = list(vocabulary)
        self.classes = dict(classes)
        self.known, self.java = known, tuple(java)
        # texts of any length, as torchmetrics gathers them: all bytes, and how many each picture has
        self.records: list[Tensor]
        self.sizes: list[Tensor]
        self.add_state("records", [], dist_reduce_fx="cat")
        self.add_state("sizes", [], dist_reduce_fx="cat")
        self.add_state("hits", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("nouns", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("chance", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, answer: CaptionAnswer, batch: CaptionBatch) -> None:
        """Of pictures with at least one reference; others are passed over."""
        for said in told(answer, batch, self.vocabulary):
            if said.references:
                record = bytearray(json.dumps(said).encode())
                device = answer.words.device
                self.records.append(torch.frombuffer(record, dtype=torch.uint8).to(device))
                self.sizes.append(torch.tensor([len(record)], device=device))
        if batch.boxes is None or batch.box_labels is None:
            return
        size = (batch.images.shape[-2], batch.images.shape[-1])
        best, maps, regions = answer.words[:, 0], answer.maps[:, 0], None
        if answer.region_boxes is not None and answer.region_weights is not None:
            regions = Regions(answer.region_boxes, answer.region_weights[:, 0])
        found = pointing(best, maps, batch.boxes, batch.box_labels, self.classes, size, regions)
        self.hits += found.hits.sum()
        self.nouns += len(found.hits)
        self.chance += found.chance.sum()

    def compute(self) -> dict[str, Tensor]:
        records, sizes = _joined(self.records), _joined(self.sizes)
        texts = records.cpu().split(sizes.tolist()) if len(sizes) else ()
        said = [Said(*json.loads(bytes(text.numpy()))) for text in texts]
        figures = evaluate(said, self.known, self.java)
        if self.nouns:
            figures["pointing"] = float(self.hits / self.nouns)
            figures["pointing_chance"] = float(self.chance / self.nouns)
        device = self.nouns.device
        return {
            name: torch.tensor(value, device=device, dtype=torch.float32) for name, value in figures.items()
        }


def told(answer: CaptionAnswer, batch: CaptionBatch, vocabulary: Sequence[str]) -> list[Said]:
    """The captions of an answer as texts, beside the references."""
    found = []
    for captions, references in zip(answer.words.tolist(), truths(batch, vocabulary), strict=True):
        texts = texts_of(captions, vocabulary)
        found.append(Said(texts or [""], END in captions[0], references))
    return found


def truths(batch: CaptionBatch, vocabulary: Sequence[str]) -> list[list[str]]:
    """Of each picture what people say of it."""
    if batch.references is not None:
        return list(map(from_bytes, batch.references))
    return [texts_of(captions, vocabulary) for captions in batch.captions.tolist()]


def texts_of(captions: Sequence[Sequence[int]], vocabulary: Sequence[str]) -> list[str]:
    """Captions in numbers of words as texts; those without a word are left out."""
    texts = (" ".join(decoded(words, vocabulary)) for words in captions)
    return [text for text in texts if text]


def evaluate(
    said: Sequence[Said], known: Frequencies | None = None, java: Sequence[str] = ()
) -> dict[str, float]:
    """What is said of all pictures together, by name.

    ``cider``: CIDEr-D of the best captions, ``oracle_cider``: of each picture's best-scored one among all
    that were given. ``bleu1`` to ``bleu4`` (Papineni et al. 2002) and ``rouge_l`` as COCO's evaluation has
    them. ``exact``: the share that equals a reference. ``ended``: that ended by itself. ``distinct``:
    different captions over pictures; ``used_words``: different words in them.

    Args:
        known: how rare n-grams are, for CIDEr-D; by default in these references, so that it is left out of
            one picture alone, of which they say nothing.
        java: what `java_metrics` computes as well.
    """
    if not said:
        return {}
    best = [one.captions[0] for one in said]
    references = [one.references for one in said]
    count = len(said)
    figures: dict[str, float] = {}
    if count > 1 or known:
        scores = cider_d([one.captions for one in said], references, known)
        figures["cider"] = sum(own[0] for own in scores) / count
        figures["oracle_cider"] = sum(map(max, scores)) / count
    else:
        log.warning(
            "CIDEr is not defined of one picture: it asks what is said of others; it is left out. "
            "module.document_frequencies=FILE says it"
        )
    figures |= {f"bleu{n}": value for n, value in enumerate(bleu(best, references), 1)}
    figures |= {
        "rouge_l": sum(map(rouge_l, best, references)) / count,
        "exact": sum(text in own for text, own in zip(best, references, strict=True)) / count,
        "ended": sum(one.ended for one in said) / count,
        "distinct": len({*best}) / count,
        "used_words": float(len({word for text in best for word in text.split()})),
    }
    return {**figures, **java_scores(java, best, references)}


def commonest(captions: Tensor) -> Tensor:
    """The caption that is most like all: with the largest mean cosine of how often words, and pairs of them,
    are in it.

    Args:
        captions: int64 [n, L], numbers of words, the end, zeros; rows of zeros are none.

    Returns:
        int64 [L].
    """
    captions = captions[captions.any(1)]
    grams: dict[Any, int] = {}
    entries: list[tuple[int, int]] = []
    for row, numbers in enumerate(captions.tolist()):
        words = [number for number in numbers if number]
        entries += [(row, grams.setdefault(gram, len(grams))) for gram in (*words, *pairwise(words))]
    counts = torch.zeros(len(captions), len(grams), dtype=torch.float64)
    rows, columns = torch.tensor(entries).unbind(1)
    counts.index_put_((rows, columns), torch.ones(len(rows), dtype=torch.float64), accumulate=True)
    counts /= counts.norm(dim=1, keepdim=True)
    return captions[int((counts @ counts.mean(0)).argmax())]


def _joined(state: Tensor | Sequence[Tensor]) -> Tensor:
    """A list of tensors, or what is left of it after the processes were joined."""
    if isinstance(state, Tensor):
        return state
    return torch.cat(list(state)) if state else torch.empty(0, dtype=torch.uint8)

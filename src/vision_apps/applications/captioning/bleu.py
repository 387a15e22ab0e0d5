"""BLEU of a corpus (Papineni et al., ACL 2002, section 2) as COCO's evaluation computes it, which adds a
trifle to what was right and to what was said; `torchmetrics` has 0 where no caption has as many words."""

import math
from collections import Counter
from collections.abc import Sequence

from vision_apps.applications.captioning.cider import N, grams_of

RIGHT, SAID = 1e-15, 1e-9  # what is added to counts


def bleu(captions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """BLEU-1 to BLEU-4, 0 to 1, of a caption for each picture and its one or more references, words between
    spaces. Of two references that are as near in length the shorter counts."""
    right, said = [0] * N, [0] * N
    length = nearest = 0
    for caption, own in zip(captions, references, strict=True):
        most: Counter[tuple[str, ...]] = Counter()
        for reference in own:
            most |= grams_of(reference)
        for gram, count in grams_of(caption).items():
            said[len(gram) - 1] += count
            right[len(gram) - 1] += min(count, most[gram])
        words = len(caption.split())
        length += words
        nearest += min((len(text.split()) for text in own), key=lambda other: (abs(other - words), other))
    ratio = (length + RIGHT) / (nearest + SAID)
    short = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    found, product = [], 1.0
    for n in range(N):
        product *= (right[n] + RIGHT) / (said[n] + SAID)
        found.append(short * product ** (1 / (n + 1)))
    return found

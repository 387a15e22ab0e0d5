"""ROUGE-L as COCO's evaluation computes it: the longest common subsequence of words (Lin, ACL workshop 2004,
section 3), with the best precision and the best recall over the references."""

from collections.abc import Sequence

BETA = 1.2  # recall weighs beta squared times what precision does


def rouge_l(caption: str, references: Sequence[str]) -> float:
    """0 to 1, of a caption and one or more references, words between spaces."""
    words = caption.split()
    precision = recall = 0.0
    for reference in references:
        wanted = reference.split()
        common = common_subsequence(words, wanted)
        precision = max(precision, common / max(1, len(words)))
        recall = max(recall, common / max(1, len(wanted)))
    if not precision or not recall:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words both have in the same order, with others between them."""
    before = [0] * (len(other) + 1)
    for word in one:
        row = [0]
        for place, theirs in enumerate(other, 1):
            row.append(before[place - 1] + 1 if word == theirs else max(before[place], row[-1]))
        before = row
    return before[-1]

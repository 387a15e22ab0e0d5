"""What of captioning's settings cannot be, each with what was expected."""

from collections.abc import Iterator, Mapping, Sequence

from vision_apps.applications.captioning.beam import STRONGEST
from vision_apps.applications.captioning.losses import TARGETS
from vision_apps.data.captions.words import SPECIAL

_SHARES = ("label_smoothing", "scheduled_sampling")
_HEAVIEST = 1e6  # alpha_c


def of_vocabulary(vocabulary: Sequence[str]) -> Iterator[str]:
    if tuple(vocabulary[: len(SPECIAL)]) != SPECIAL or len(vocabulary) == len(SPECIAL):
        yield (
            f"module.vocabulary: begins with {list(vocabulary[:4])}; expected {list(SPECIAL)} and then at "
            "least one word"
        )


def of_counts(max_words: int, references_per_step: int | None, beam_width: int, best: int) -> Iterator[str]:
    for name, count in {"max_words": max_words, "references_per_step": references_per_step}.items():
        if count is not None and count < 1:
            yield f"module.{name}: {count}; expected at least 1"
    if not 1 <= best <= beam_width:
        yield (
            f"module.best: {best} of module.beam_width={beam_width}; expected 1 to module.beam_width, as in "
            f"module.best={max(1, beam_width)}"
        )


def of_weights(given: Mapping[str, float], length_penalty: float, alpha_target: str) -> Iterator[str]:
    """
    Args:
        given: of teaching with true captions, by name: shares, and weights of parts of the loss.
    """
    for name, value, most in (
        ("length_penalty", length_penalty, STRONGEST),
        ("alpha_c", given["alpha_c"], _HEAVIEST),
    ):
        if not 0 <= value <= most:
            yield f"module.{name}: {value}; expected 0 to {most:g}"
    for name in _SHARES:
        if not 0 <= given[name] < 1:
            yield f"module.{name}: {given[name]}; expected at least 0 and below 1"
    if alpha_target not in TARGETS:
        yield f"module.alpha_target: {alpha_target!r}; expected {' or '.join(TARGETS)}"


def of_self_critical(count: int, given: Mapping[str, float]) -> Iterator[str]:
    """
    Args:
        count: captions that are drawn of each picture.
        given: as `of_weights` has it.
    """
    if count < 0:
        yield (
            f"module.self_critical: {count}; expected how many captions to draw of a picture, or 0 to teach "
            "true ones"
        )
    for name, value in given.items():
        if count and value:
            yield (
                f"module.{name}: {value} is of teaching true captions, and module.self_critical={count} "
                f"learns from drawn ones; module.{name}=0"
            )

"""The captions that a captioner thinks likeliest of what it sees."""

from torch import Tensor

from vision_apps.applications.captioning.beam import Beams, Next, State, beam_search
from vision_apps.applications.captioning.captioner import Captioner, Seen
from vision_apps.applications.captioning.types import CaptionAnswer
from vision_apps.data.captions.words import END, PAST, UNKNOWN


def searched(
    network: Captioner, seen: Seen, width: int, best: int, length: int, length_penalty: float
) -> Beams:
    """Arguments as `beam.beam_search` has them; maps are of all that is seen."""

    def step(words: Tensor, state: State, *memory: Tensor) -> Next:
        told = network.step(memory, words, state)
        return Next(told.logits.float().log_softmax(-1), told.maps.float(), told.state)

    memory, state = network.read(seen)
    return beam_search(
        step,
        state,
        memory,
        width=width,
        best=best,
        length=length,
        end=END,
        barred=(PAST, UNKNOWN),
        length_penalty=length_penalty,
    )


def as_answer(found: Beams, seen: Seen) -> CaptionAnswer:
    """With the places as rows and columns, and regions apart from them, in pixels of the network's input."""
    places = seen.size[0] * seen.size[1]
    maps = found.maps[..., :places].unflatten(-1, seen.size)
    answer = CaptionAnswer(found.words, found.log_probabilities, maps)
    if seen.regions is None:
        return answer
    return answer._replace(region_boxes=seen.regions, region_weights=found.maps[..., places:])

"""What of an application can be exported as a graph of tensor operations."""

from collections.abc import Callable, Mapping
from typing import Any, Generic

from vision_apps.core.fields import AnswerT, InputsT


class Exportable(Generic[InputsT, AnswerT]):
    """The part of an application that is exported: by default all of it, from the inputs to the answer.

    Where something cannot be a graph (suppression of boxes), `outputs` stops before it and `answer` does the
    rest.

    Args:
        forward: from inputs to the answer, as the module computes it.
        output_type: the NamedTuple that `outputs` gives. Its tensors have shapes that depend on those of the
            inputs alone, and no name of an input.
        notes: what each of them is, for a model card.
        outside: names of the module's settings that still work on an exported graph.
    """

    def __init__(
        self,
        forward: Callable[[InputsT], Any],
        output_type: type,
        notes: Mapping[str, str],
        outside: tuple[str, ...] = (),
    ) -> None:
        self.forward = forward
        self.output_type = output_type
        self.notes = notes
        self.outside = outside

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width of the only pictures that the graph takes; none where it takes any."""
        return None

    def refusal(self) -> str | None:
        """Why this network cannot be exported as a graph; none where it can."""
        return None

    def outputs(self, inputs: InputsT) -> Any:
        """What the graph computes: an ``output_type``."""
        return self.forward(inputs)

    def answer(self, graph: Callable[[InputsT], Any], inputs: InputsT) -> AnswerT:
        """The application's answer where ``graph``, which came out of a file, stands for `outputs`. The
        network here is not trained and must not be called."""
        answer: AnswerT = graph(inputs)
        return answer

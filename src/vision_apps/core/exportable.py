"""What of an application can be exported as a graph of tensor operations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from vision_apps.core.fields import AnswerT, InputsT


@dataclass(eq=False)
class Exportable(Generic[InputsT, AnswerT]):
    """The part of an application that is exported: by default all of it, from the inputs to the answer.

    Where something is more than a graph of tensor operations (suppression of boxes), `outputs` stops before
    it and `answer` does the rest. What goes in are the inputs that the module's example has.

    Args:
        forward: from inputs to the answer, as the module computes it.
        output_type: the NamedTuple that `outputs` gives. Its tensors have shapes that depend on those of the
            inputs alone, and no name of an input.
        notes: what each of them is, and an input that its kind does not explain, for a model card.
        outside: names of the module's settings that still work on an exported file.
        image_size: height and width of the only pictures that `outputs` takes; none where it takes any.
    """

    forward: Callable[[InputsT], Any]
    output_type: type
    notes: Mapping[str, str]
    outside: tuple[str, ...] = ()
    image_size: tuple[int, int] | None = None

    def refusal(self) -> str | None:
        """Why nothing but the weights of this network can be exported; none where more can."""
        return None

    def outputs(self, inputs: InputsT) -> Any:
        """What is exported: an ``output_type``."""
        return self.forward(inputs)

    def answer(self, graph: Callable[[InputsT], Any], inputs: InputsT) -> AnswerT:
        """The application's answer where ``graph``, which came out of a file, stands for `outputs`. The
        network here is not trained and must not be called."""
        answer: AnswerT = graph(inputs)
        return answer

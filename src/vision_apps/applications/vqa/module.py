"""The application: questions about a picture, each answered by one of a list of answers."""

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from vision_apps.applications.vqa import losses
from vision_apps.applications.vqa import metrics as measures
from vision_apps.applications.vqa.losses import Objective
from vision_apps.applications.vqa.presentation import VqaPresentation
from vision_apps.applications.vqa.question_encoder import EXPORTED
from vision_apps.applications.vqa.types import VqaAnswer, VqaBatch, VqaInputs, VqaOutputs, asked
from vision_apps.core.conventions import height_width
from vision_apps.core.errors import DataError, require_no, some
from vision_apps.core.exportable import Exportable
from vision_apps.core.losses import Part
from vision_apps.core.module import VisionModule
from vision_apps.data.questions.words import RESERVED, UNKNOWN, encoded, numbered, table
from vision_apps.data.resizing import ResizeMode, resize_picture
from vision_apps.networks.pixels import PixelNormalization

MEASURED = 500  # training pictures whose answers are counted: some thousand questions
LONGEST = 100  # words of a question where the data do not say: an attention between more takes gigabytes
_NAMED = 12  # words in an error
_MARKS = re.compile(r"[?\uff1f\u061f\u037e]")  # of questions: also full-width, Arabic and Greek ones
_SHOWN = 40  # letters of a question in a warning

log = logging.getLogger(__name__)


class Vqa(VisionModule[VqaBatch, VqaInputs, VqaOutputs, VqaAnswer]):
    """One of a list of answers for each question about a picture.

    Args:
        network: pixels and words to `VqaOutputs`; it, or its ``backbone``, may carry ``mean`` and ``std``,
            which go before the data's.
        vocabulary: the words of questions by their numbers; the first two are reserved, see
            `data.questions.words`.
        answer_names: the answers that there are.
        type_names: types of questions, which are scored apart.
        people: how many answered each question; 0: the data have one true answer.
        usual_questions: one of each type, which are asked about a picture for which none is typed.
        image_size: side of the network's input in pixels, or height and width.
        resize_mode: ``letterbox`` keeps the aspect and fills the rest with grey, ``stretch`` does not.
        objective: ``cross_entropy`` with the true answer, ``bce`` with the share that people's answers give
            each one; ``auto``: bce where people answered.
        blind: the network sees no picture: what is right then was told by the words of the question.
        longest: words of a question; more are cut off, as the data do, and that is told.
    """

    words: Mapping[str, str] = {
        "question": "what is asked; several in a row end with a question mark each, or are a JSON list; by "
        "default a usual one of each type"
    }
    headline = ("accuracy", "vqa_accuracy")
    conditional: tuple[str, ...] = ("vqa_accuracy", "told_as_other", "unlisted")
    prior: Tensor

    def __init__(
        self,
        network: nn.Module,
        vocabulary: Sequence[str],
        answer_names: Sequence[str],
        type_names: Sequence[str],
        image_size: int | Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        people: int = 0,
        usual_questions: Mapping[str, str] = MappingProxyType({}),
        resize_mode: ResizeMode = "letterbox",
        objective: Objective = "auto",
        blind: bool = False,
        longest: int = LONGEST,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
    ) -> None:
        super().__init__(network, optimizer, scheduler)
        problems = []
        if tuple(vocabulary[:2]) != RESERVED:
            problems.append(
                f"module.vocabulary: begins with {list(vocabulary[:2])}; expected {list(RESERVED)}, which "
                "stand for what is past the end and for unknown words; leave it out and the data set gives it"
            )
        if len(answer_names) < 2:
            problems.append(f"module.answer_names: {list(answer_names)}; expected at least 2")
        if objective == "bce" and not people:
            problems.append(
                "module.objective: bce learns what several people answered, and the data have one answer a "
                "question; module.objective=cross_entropy"
            )
        require_no(problems)
        self.numbers = numbered(vocabulary)
        self.usual_questions = list(usual_questions.values())
        self.answer_names, self.type_names = list(answer_names), list(type_names)
        self.size = height_width(image_size, "module.image_size")
        self.resize_mode = resize_mode
        self.by_people = objective == "bce" or (objective == "auto" and people > 0)
        self.blind = blind
        self.longest = longest
        self.conditional = (*self.conditional, *measures.of_types(type_names))
        self.presentation = VqaPresentation(vocabulary, answer_names, self.size, resize_mode)
        self.exportable = VqaExport(self)
        self.normalize = PixelNormalization(network, mean, std)
        alike = torch.full((len(type_names) + 1, len(answer_names)), 1 / len(answer_names))
        self.register_buffer("prior", alike)

    # ---- from pixels and words to the answers --------------------------------------------------------------

    def encode(self, images: Tensor | None, words: Mapping[str, str]) -> VqaInputs:
        said = words.get("question")
        texts = self.usual_questions if said is None else questions_of(said)
        numbers = [encoded(text, self.numbers) for text in texts]
        if images is None or not texts or not all(numbers):
            raise DataError(
                f"question: there is no word in {said or ''!r}; expected a question, such as --with question="
                "'what color is the box?'"
            )
        for text, own in zip(texts, numbers, strict=True):
            if {*own} == {UNKNOWN}:
                raise DataError(
                    f"question: no word of {text!r} was in the questions of the training; some that were: "
                    f"{some(list(self.numbers), _NAMED)}"
                )
            if len(own) > self.longest:
                log.warning(
                    "question: %r... has %d words, and the first %d are read (data.longest)",
                    *(text[:_SHOWN], len(own), self.longest),
                )
        return VqaInputs(images, table([own[: self.longest] for own in numbers])[None])

    def outputs(self, inputs: VqaInputs) -> VqaOutputs:
        pixels = self.normalize(resize_picture(inputs.images, self.size, self.resize_mode)[0])
        outputs: VqaOutputs = self.network(pixels * 0 if self.blind else pixels, inputs.questions)
        return outputs

    def answer(self, outputs: VqaOutputs, inputs: VqaInputs) -> VqaAnswer:
        logits = outputs.logits.float()
        probabilities = logits.sigmoid() if self.by_people else logits.softmax(-1)
        places = outputs.places.float()
        whole = places.sum((2, 3), keepdim=True).clamp_min(1e-6)
        by_word = None if outputs.by_word is None else outputs.by_word.float() / whole[:, :, None]
        return VqaAnswer(probabilities, places / whole, by_word)

    # ---- learning and measuring ----------------------------------------------------------------------------

    def loss(self, outputs: VqaOutputs, batch: VqaBatch) -> dict[str, Part]:
        taken = losses.binary_cross_entropy if self.by_people else losses.cross_entropy
        return {"loss": taken(outputs.logits, batch)}

    def build_metrics(self) -> dict[str, Metric]:
        return measures.build(self.type_names)

    def score(self, metrics: dict[str, Metric], answer: VqaAnswer, batch: VqaBatch) -> None:
        measures.update(metrics, answer, batch, self.type_names)

    def quality(self, answer: VqaAnswer, batch: VqaBatch) -> Tensor:
        """[B], 0..1: the mean probability of the true answer over a picture's questions."""
        there = asked(batch.questions)
        true = answer.probabilities.gather(-1, batch.answers.clamp_min(0)[..., None])[..., 0]
        true = torch.where(there & (batch.answers >= 0), true, 0)
        return true.sum(1) / there.sum(1).clamp_min(1)

    # ---- what has to be beaten -----------------------------------------------------------------------------

    @property
    def prepare_samples(self) -> int:
        return MEASURED

    def prepare(self, batch: VqaBatch) -> None:
        """Keep how often each answer is the true one of each type of question."""
        self.prior.copy_(measures.shares(batch, len(self.type_names), len(self.answer_names)))

    def check(self, batch: VqaBatch) -> list[str]:
        there = asked(batch.questions)
        unlisted = there & (batch.answers < 0)
        found = []
        if self.blind:
            found.append("module.blind=true: the network sees no picture, and answers from the words alone")
        if unlisted.any():
            share = float(unlisted.sum() / there.sum())
            found.append(
                f"answers: {int(unlisted.sum())} of {int(there.sum())} training questions ({share:.0%}) have "
                "one that is not in the list, and teach nothing; data.answers takes more into it"
            )
        return found

    def baselines(self, batch: VqaBatch) -> dict[str, VqaAnswer]:
        """``prior``: of each type of question the commonest answer in training, whatever is asked and shown.
        ``wrong_image``: what the network answers to the same questions about another picture, where the
        data have one: what is right of that was not seen in the picture, and ``told_as_other`` is how often
        the answer changes to the truth of the other one where that differs."""
        prior = self.prior[batch.question_types]  # -1: the last row, of all types
        places = prior.new_zeros(*batch.questions.shape[:2], 1, 1)
        found = {"prior": VqaAnswer(prior, places)}
        if batch.other_images is not None:
            with torch.autocast(self.device.type, enabled=False):  # as what is measured beside it
                found["wrong_image"] = self(VqaInputs(batch.other_images, batch.questions))
        return found

    def example(self) -> VqaBatch:
        """Two pictures of noise, one with two questions and one with one."""
        images = torch.randint(256, (2, 3, *self.size), dtype=torch.uint8, device=self.device)
        last = len(self.numbers) + 1
        questions = torch.tensor(
            [[[2, last, 2], [last, 0, 0]], [[last, 2, 0], [0, 0, 0]]], device=self.device
        )
        answers = torch.tensor([[0, 1], [1, -1]], device=self.device)
        batch = VqaBatch(images, questions, answers, torch.tensor([[0, 0], [0, -1]], device=self.device))
        return batch._replace(human_answers=answers[..., None].expand(-1, -1, 4)) if self.by_people else batch


class VqaExport(Exportable[VqaInputs, VqaAnswer]):
    """Answers about pictures of the network's size."""

    def __init__(self, module: Vqa) -> None:
        notes = {
            "questions": "numbers of words of the facts' vocabulary, 0 past the end; a row a question, of "
            f"whose words the first {EXPORTED} are read",
            "probabilities": "0 to 1, of each answer in the order of the facts' answer_names",
            "places": "where the network looked, over the whole input; sums to 1",
            "by_word": "the same by way of each word",
        }
        super().__init__(module.forward, VqaAnswer, notes, image_size=module.size)
        self.module = module

    def answer(self, graph: Callable[[VqaInputs], VqaAnswer], inputs: VqaInputs) -> VqaAnswer:
        images = resize_picture(inputs.images, self.module.size, self.module.resize_mode)[0]
        return graph(inputs._replace(images=images))


def questions_of(text: str) -> list[str]:
    """Several questions in one text: a JSON list of texts, or what stands before each question mark of
    any script."""
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except ValueError as error:
            raise DataError(f"question: {text!r} begins like a JSON list and is none: {error}") from error
        if not all(isinstance(one, str) for one in found):
            raise DataError(f"question: {text!r}; expected a list of texts")
        return list(found)
    return [part for part in _MARKS.split(text) if part.strip()]

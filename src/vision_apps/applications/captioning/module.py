"""The application: what is in the picture, in a sentence."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from vision_apps.applications.captioning import document_frequencies as frequencies_file
from vision_apps.applications.captioning import java_metrics as java
from vision_apps.applications.captioning import settings
from vision_apps.applications.captioning.captioner import Captioner, Seen, State, Step
from vision_apps.applications.captioning.cider import Frequencies
from vision_apps.applications.captioning.examples import example_batch
from vision_apps.applications.captioning.exporting import CaptionExport
from vision_apps.applications.captioning.losses import Target, caption_losses
from vision_apps.applications.captioning.metrics import CaptionMetrics, commonest, told
from vision_apps.applications.captioning.pointing import named_classes
from vision_apps.applications.captioning.presentation import CaptionPresentation
from vision_apps.applications.captioning.references import some_references
from vision_apps.applications.captioning.region_inputs import (
    NO_REGIONS,
    REGION_WORDS,
    encoded,
    restored,
    size_of,
)
from vision_apps.applications.captioning.reranking.chooser import CaptionChooser
from vision_apps.applications.captioning.reranking.ranker import Ranker
from vision_apps.applications.captioning.reranking.scorer import Scorer
from vision_apps.applications.captioning.rouge_l import rouge_l
from vision_apps.applications.captioning.searching import as_answer, searched
from vision_apps.applications.captioning.self_critical import Drawn, draw, known_of, self_critical_losses
from vision_apps.applications.captioning.types import (
    CaptionAnswer,
    CaptionBatch,
    CaptionInputs,
    CaptionOutputs,
)
from vision_apps.core import draws
from vision_apps.core.conventions import height_width
from vision_apps.core.errors import DataError, require_no
from vision_apps.core.losses import Part
from vision_apps.core.module import VisionModule
from vision_apps.data.captions.words import PAST
from vision_apps.data.detector import RegionDetector
from vision_apps.data.resizing import ResizeMode, resize_boxes, resize_picture
from vision_apps.networks.grid_features import evaluating
from vision_apps.networks.pixels import PixelNormalization

log = logging.getLogger(__name__)

MEASURED = 200  # training pictures whose captions the constant one is chosen from
JUDGED = 1000  # those in whose captions n-grams are counted for rewards


class Captioning(VisionModule[CaptionBatch, CaptionInputs, CaptionOutputs | Drawn, CaptionAnswer]):
    """A sentence about the picture, the words of which come from the vocabulary of the training captions.

    Training tells each word after the true ones before it, in all references of a picture. Validation, test
    and prediction search for the likeliest sentences with `beam.beam_search` and never see a reference.

    Args:
        network: a `Captioner`; its ``backbone`` may carry ``mean`` and ``std``, which go before the data's.
        vocabulary: as `data.captions.words` numbers them.
        max_words: of a caption; a longer one is cut off.
        image_size: side of the network's input in pixels, or height and width.
        resize_mode: ``letterbox`` keeps the aspect and fills the rest with grey, ``stretch`` does not.
        class_names: of the boxes that the data have, if any: words that are one are looked for in them.
        beam_width: sentences that are followed at a time; 1 is greedy.
        best: how many are answered, at most ``beam_width``.
        length_penalty: see `beam.beam_search`.
        rerank: what orders the answered sentences beside how likely they are, by name; each has its weight.
            The search itself heeds none of them.
        label_smoothing, alpha_c, alpha_target: see `losses.caption_losses`.
        scheduled_sampling: probability that a word is told after one of the network's own, in training.
        references_per_step: how many of a picture's references a training step learns from, drawn anew each
            time; none: all.
        self_critical: how many captions of each picture are drawn and learned from by their CIDEr-D, all its
            references beside them; with one, its rival is the greedy caption, with more the mean of the
            others. 0: true captions are taught. See `self_critical.self_critical_losses`.
        document_frequencies: a file that says how rare n-grams are, as `document_frequencies.write` has it,
            for CIDEr-D when measuring and for rewards; none: in the references that are measured, and in
            training captions.
        java_metrics: ``meteor`` and ``spice``: see `java_metrics`.
        blind: the network never sees a picture, in training or after: what language alone gives.
        detector: finds the regions of pictures that come without, in a run that took them from it.
    """

    conditional = ("cider", "oracle_cider", "pointing", "pointing_chance")
    learned_with = ("scheduled_sampling", "references_per_step", "self_critical")
    headline = ("cider", "bleu4", "exact", "pointing")
    network: Captioner
    constant: Tensor

    def __init__(
        self,
        network: Captioner,
        vocabulary: Sequence[str],
        max_words: int,
        image_size: int | Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        resize_mode: ResizeMode = "stretch",
        class_names: Sequence[str] = (),
        beam_width: int = 3,
        best: int = 3,
        length_penalty: float = 0.0,
        rerank: Mapping[str, Scorer | None] = MappingProxyType({}),
        label_smoothing: float = 0.0,
        alpha_c: float = 0.0,
        alpha_target: Target = "fitting",
        scheduled_sampling: float = 0.0,
        references_per_step: int | None = None,
        self_critical: int = 0,
        document_frequencies: str | None = None,
        java_metrics: Sequence[str] = (),
        blind: bool = False,
        detector: RegionDetector | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
    ) -> None:
        super().__init__(network, optimizer, scheduler)
        given = {
            "label_smoothing": label_smoothing,
            "scheduled_sampling": scheduled_sampling,
            "alpha_c": alpha_c,
            **{f"rerank.{name}.loss": scorer.learned for name, scorer in rerank.items() if scorer},
        }
        problems = [
            *settings.of_vocabulary(vocabulary),
            *settings.of_counts(max_words, references_per_step, beam_width, best),
            *settings.of_weights(given, length_penalty, alpha_target),
            *settings.of_self_critical(self_critical, given),
            *java.problems(java_metrics),
        ]
        require_no(problems)
        self.vocabulary = list(vocabulary)
        self.length = max_words + 1  # the end too
        self.size = height_width(image_size, "module.image_size")
        self.resize_mode: ResizeMode = resize_mode
        self.beam_width = beam_width
        self.best = best
        self.length_penalty = length_penalty
        self.label_smoothing = label_smoothing
        self.alpha_c = alpha_c
        self.alpha_target: Target = alpha_target
        self.scheduled_sampling = scheduled_sampling
        self.references_per_step = references_per_step
        self.self_critical = self_critical
        self.followed = "reward" if self_critical else "loss"  # that loss is a gradient's and says nothing
        self.known: Frequencies | None = None  # what rewards are measured with
        self.document_frequencies = document_frequencies
        self.java_metrics = tuple(java_metrics)
        self.blind = blind
        self.detector = detector
        if network.looked_at != "grid":
            self.words = REGION_WORDS
        self.rerank = Ranker(rerank, network.features, length_penalty)
        self.presentation = CaptionPresentation(vocabulary, self.size, resize_mode)
        self.exportable = CaptionExport(self)
        self.chooser = CaptionChooser(network, self._seen, self.rerank, vocabulary, max_words)
        self.normalize = PixelNormalization(network, mean, std)
        self.classes = named_classes(class_names, vocabulary)
        self.register_buffer("constant", torch.full((self.length,), PAST))

    # ---- from pixels to captions ---------------------------------------------------------------------------

    def encode(self, images: Tensor | None, words: Mapping[str, str]) -> CaptionInputs:
        assert images is not None
        return encoded(images, words, self.network.region_width)

    def _seen(self, inputs: CaptionInputs) -> Seen:
        """What the network may look at, in single precision; its regions in pixels of the network's input."""
        images, _ = resize_picture(inputs.images, self.size, self.resize_mode)
        seen: Seen = self.network(self.normalize(images), self._regions(inputs), inputs.region_features)
        tokens = torch.zeros_like(seen.tokens) * seen.tokens if self.blind else seen.tokens
        return seen._replace(tokens=tokens.float())

    def _regions(self, inputs: CaptionInputs) -> Tensor | None:
        """The boxes to look at, in pixels of the network's input; none where the grid alone is looked at."""
        if self.network.looked_at == "grid":
            return None
        boxes = inputs.regions
        if boxes is None:
            if self.detector is None:
                raise DataError(NO_REGIONS)
            boxes = self.detector(inputs.images)
        return resize_boxes(boxes, size_of(inputs.images), self.size, self.resize_mode)

    def forward(self, inputs: CaptionInputs) -> CaptionAnswer:
        answer = self._searched(self._seen(inputs))
        return restored(answer, inputs.images, self.size, self.resize_mode)

    def _searched(self, seen: Seen, width: int | None = None, best: int | None = None) -> CaptionAnswer:
        width, best = width or self.beam_width, best or self.best
        found = searched(self.network, seen, width, best, self.length, self.length_penalty)
        return as_answer(self.rerank(found, seen), seen)

    # ---- learning and measuring ----------------------------------------------------------------------------

    def training_outputs(self, batch: CaptionBatch) -> CaptionOutputs | Drawn:
        seen = self._seen(self.inputs(batch))
        if self.training and self.self_critical:
            with torch.autocast(seen.tokens.device.type, enabled=False):  # as when it is taught
                return self._drawn(seen)
        return self._taught(seen, batch)

    def _drawn(self, seen: Seen) -> Drawn:
        def step(words: Tensor, state: State) -> Step:
            return self.network.step(memory, words, state)

        tokens = seen.tokens
        chances = draws.uniform(len(tokens), self.self_critical, self.length).to(tokens.device)
        memory, state = self.network.read(seen)
        drawn = draw(step, state, chances)
        if self.self_critical > 1:
            return drawn
        with evaluating(self.network):
            return drawn._replace(greedy=self._searched(seen, width=1, best=1).words)

    def _taught(self, seen: Seen, batch: CaptionBatch) -> CaptionOutputs:
        captions = batch.captions
        if self.training and self.references_per_step is not None:
            captions = some_references(captions, self.references_per_step)
        longest = max(1, int((captions != PAST).sum(-1).amax()))
        own_words = self.scheduled_sampling if self.training else 0.0
        # many small steps, each from what the one before has left: casting costs more than it saves
        with torch.autocast(seen.tokens.device.type, enabled=False):
            taught = self.network.teach(seen, captions[..., :longest], own_words)
        return taught._replace(seen=seen)

    def loss(self, outputs: CaptionOutputs | Drawn, batch: CaptionBatch) -> dict[str, Part]:
        if isinstance(outputs, Drawn):
            assert self.known is not None, "prepare has not been called"
            return self_critical_losses(outputs, batch.captions, self.vocabulary, self.known)
        taught = caption_losses(outputs, self.label_smoothing, self.alpha_c, self.alpha_target)
        return {**taught, **self.rerank.losses(outputs, batch)}

    def evaluate(self, batch: CaptionBatch) -> tuple[dict[str, Part], CaptionAnswer]:
        """The loss of the references, and what is said without them."""
        seen = self._seen(self.inputs(batch))
        with torch.autocast(seen.tokens.device.type, enabled=False):  # as in training
            parts, answer = self.loss(self._taught(seen, batch), batch), self._searched(seen)
        return parts, restored(answer, batch.images, self.size, self.resize_mode)

    @cached_property
    def table(self) -> Frequencies | None:
        """Of the file; it is read where something is measured or trained, and nobody needs it to predict."""
        return frequencies_file.read(self.document_frequencies) if self.document_frequencies else None

    def setup(self, stage: str) -> None:
        java.require(self.java_metrics)
        if self.table is not None:
            log.info("CIDEr by %s (%d pictures)", self.document_frequencies, self.table.pictures)

    def build_metrics(self) -> MetricCollection:
        own = CaptionMetrics(self.vocabulary, self.classes, self.table, self.java_metrics)
        return MetricCollection({"captions": own})

    def score(self, metrics: MetricCollection, answer: CaptionAnswer, batch: CaptionBatch) -> None:
        metrics.update(answer, batch)

    def quality(self, answer: CaptionAnswer, batch: CaptionBatch) -> Tensor:
        """[B], 0..1: ROUGE-L of the best caption."""
        scores = [rouge_l(said.captions[0], said.references) for said in told(answer, batch, self.vocabulary)]
        return torch.tensor(scores)

    # ---- what has to be beaten -----------------------------------------------------------------------------

    @property
    def prepare_samples(self) -> int:
        return JUDGED if self.self_critical else MEASURED

    def prepare(self, batch: CaptionBatch) -> None:
        """Keep the caption that is most like all of training pictures, how often n-grams are said, and the
        weights of another run's detector."""
        if self.detector is not None:
            self.detector.load()
        found = commonest(batch.captions[:MEASURED].flatten(0, 1))[: self.length]
        self.constant[: len(found)] = found
        if self.self_critical:
            self.known = self.table or known_of(batch.captions, self.vocabulary)

    def check(self, batch: CaptionBatch) -> list[str]:
        if not self.self_critical or "taken" in self.starts_from:
            return []
        return [
            f"module.self_critical: {self.self_critical} learns from own captions, and the network has "
            "learned none yet: train one with module.self_critical=0, then init=RUN"
        ]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        if self.known is not None:
            checkpoint["document_frequencies"] = self.known.to_json()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        if "document_frequencies" in checkpoint:
            self.known = Frequencies.of_json(checkpoint["document_frequencies"])

    def baselines(self, batch: CaptionBatch) -> dict[str, CaptionAnswer]:
        """``constant``: one caption whatever the picture, every word of which is looked for in the
        middle."""
        B = len(batch.images)
        words = self.constant.expand(B, 1, -1)
        middle = torch.zeros(3, 3, device=words.device)
        middle[1, 1] = 1
        return {
            "constant": CaptionAnswer(words, middle.new_zeros(B, 1), middle.expand(B, 1, self.length, 3, 3))
        }

    def example(self) -> CaptionBatch:
        return example_batch(self.network, self.vocabulary, self.size, self.device)

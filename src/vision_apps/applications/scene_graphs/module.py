"""The application: which objects are in the picture, and how they are related to each other."""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics import MetricCollection
from torchvision.ops import clip_boxes_to_image

from vision_apps.applications.scene_graphs import prior as priors
from vision_apps.applications.scene_graphs.debiasing import WAYS, Debias, adjusted, total_direct_effect
from vision_apps.applications.scene_graphs.exporting import SceneGraphExport
from vision_apps.applications.scene_graphs.losses import object_loss, relation_loss, taught_pairs
from vision_apps.applications.scene_graphs.network import RelationNetwork
from vision_apps.applications.scene_graphs.objects import NO_OBJECTS, OBJECT_WORDS, encoded, no_objects
from vision_apps.applications.scene_graphs.presentation import GraphPresentation
from vision_apps.applications.scene_graphs.protocols import joined, pair_probabilities, protocols_of
from vision_apps.applications.scene_graphs.scores import (
    ProtocolMetrics,
    graphs_of,
    names_of,
    recalls,
    truths_of,
)
from vision_apps.applications.scene_graphs.types import (
    PROTOCOLS,
    Protocol,
    SceneGraphAnswer,
    SceneGraphBatch,
    SceneGraphInputs,
    SceneGraphOutputs,
    pair_mask,
    present,
)
from vision_apps.core import draws
from vision_apps.core.class_names import class_name_problems
from vision_apps.core.conventions import height_width
from vision_apps.core.errors import require_no
from vision_apps.core.losses import Part
from vision_apps.core.module import VisionModule
from vision_apps.data.object_detector import ObjectDetector
from vision_apps.data.resizing import ResizeMode, content_sizes, resize_boxes, resize_picture
from vision_apps.networks.pixels import PixelNormalization

log = logging.getLogger(__name__)

JUDGED = 20  # relations by which the worst graphs are found


class SceneGraphs(VisionModule[SceneGraphBatch, SceneGraphInputs, SceneGraphOutputs, SceneGraphAnswer]):
    """Objects and the predicates between them, by a `RelationNetwork`.

    What is given says what is told: with boxes and classes the predicates (predcls), with boxes the classes
    too (sgcls), with neither a detector of the checkpoint finds the objects and their classes (sgdet). One
    network learns for all: in training the class of every object is either given or its own, drawn for each
    picture.

    Args:
        network: its ``backbone`` may carry ``mean`` and ``std``, which go before the data's.
        image_size: side of the network's input in pixels, or height and width.
        resize_mode: ``letterbox`` keeps the aspect and fills the rest with grey, ``stretch`` does not.
        protocols: which are measured; ``auto``: all that the run can, sgdet with a detector.
        prior: what is added to the logits of the predicates: how often each holds between two classes in
            training (``frequency``), counted between boxes that overlap alone (``overlap``), or ``none``.
        debias: how rare predicates are brought back after training, see `debiasing`.
        adjustment: strength of ``debias=logit_adjustment``.
        given_classes: share of the training pictures whose classes are given.
        taught_pairs: most pairs of a training picture that are learned from.
        foreground: greatest share of these that is related, where not all fit.
        recall_at: how many of the surest relations are measured.
        score_threshold: least score of a relation that is drawn and described: the product of those of its
            objects and its predicate.
        max_relations: that are drawn and described.
        detector: finds the objects of pictures that come without, in a run that took it from another.
    """

    learned_with = ("given_classes", "taught_pairs", "foreground")
    headline = ("loss", "predcls_recall_20", "sgcls_recall_20", "sgdet_recall_20")
    network: RelationNetwork
    words = OBJECT_WORDS
    prepare_without = ("images",)
    prior_table: Tensor
    seen: Tensor
    log_shares: Tensor

    def __init__(
        self,
        network: RelationNetwork,
        num_classes: int,
        class_names: Sequence[str],
        num_predicates: int,
        predicate_names: Sequence[str],
        image_size: int | Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        resize_mode: ResizeMode = "letterbox",
        protocols: Sequence[str] | str = "auto",
        prior: str = "frequency",
        debias: Debias = "none",
        adjustment: float = 1.0,
        given_classes: float = 0.5,
        taught_pairs: int = 256,
        foreground: float = 0.25,
        recall_at: Sequence[int] = (10, 20, 50, 100),
        score_threshold: float = 0.3,
        max_relations: int = 20,
        detector: ObjectDetector | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
    ) -> None:
        super().__init__(network, optimizer, scheduler)
        problems = class_name_problems(num_classes, class_names, least=1)
        if len(predicate_names) != num_predicates or not num_predicates:
            problems.append(
                f"module.predicate_names: {len(predicate_names)} names for num_predicates={num_predicates}; "
                "leave both out and the data set gives them"
            )
        if prior not in priors.KINDS:
            problems.append(f"module.prior: {prior!r}; expected {', '.join(priors.KINDS)}")
        if debias not in WAYS:
            problems.append(f"module.debias: {debias!r}; expected {', '.join(WAYS)}")
        shares = {
            "given_classes": given_classes,
            "foreground": foreground,
            "score_threshold": score_threshold,
        }
        problems += [
            f"module.{name}: {value}; expected 0 to 1"
            for name, value in shares.items()
            if not 0 <= value <= 1
        ]
        if not 0 <= adjustment <= 10:
            problems.append(f"module.adjustment: {adjustment}; expected 0 to 10, such as 1")
        counts = {"taught_pairs": taught_pairs, "max_relations": max_relations}
        problems += [f"module.{name}: {n}; expected at least 1" for name, n in counts.items() if n < 1]
        if not recall_at or min(recall_at) < 1:
            problems.append(f"module.recall_at: {list(recall_at)}; expected numbers of at least 1")
        self.protocols, told = protocols_of(protocols, detector is not None)
        require_no(problems + told)
        self.num_classes, self.class_names = num_classes, list(class_names)
        self.num_predicates, self.predicate_names = num_predicates, list(predicate_names)
        self.size = height_width(image_size, "module.image_size")
        self.resize_mode: ResizeMode = resize_mode
        self.prior = prior
        self.debias: Debias = debias
        self.adjustment = adjustment
        self.given_classes = given_classes
        self.taught_pairs = taught_pairs
        self.foreground = foreground
        self.recall_at = list(recall_at)
        self.conditional = tuple(
            f"{protocol}_{name}" for protocol in PROTOCOLS for name in names_of(recall_at)
        )
        self.detector = detector
        self.presentation = GraphPresentation(
            class_names, predicate_names, self.protocols, score_threshold, max_relations
        )
        self.exportable = SceneGraphExport(self)
        self.normalize = PixelNormalization(network, mean, std)
        nothing = torch.zeros(num_classes, num_classes, num_predicates + 1)
        self.register_buffer("prior_table", torch.stack([priors.log_prior(nothing)] * 2))
        unseen = torch.zeros(num_classes, num_predicates, num_classes, dtype=torch.bool)
        self.register_buffer("seen", unseen)  # triplets of training pictures
        self.register_buffer("log_shares", torch.zeros(num_predicates))
        self._told = False

    # ---- from pictures to graphs ---------------------------------------------------------------------------

    def encode(self, images: Tensor | None, words: Mapping[str, str]) -> SceneGraphInputs:
        assert images is not None
        return encoded(images, words, self.class_names)

    def inputs(self, batch: SceneGraphBatch) -> SceneGraphInputs:
        return self.inputs_of(batch, self.protocols[0])

    def inputs_of(self, batch: SceneGraphBatch, protocol: Protocol) -> SceneGraphInputs:
        """What a protocol gives of a batch."""
        if protocol == "sgdet":
            return SceneGraphInputs(batch.images)
        labels = batch.box_labels.masked_fill(batch.ignored.bool(), -1)
        if protocol == "sgcls":
            labels = torch.where(present(labels), self.num_classes, labels)
        return SceneGraphInputs(batch.images, batch.boxes, labels)

    def outputs(self, inputs: SceneGraphInputs) -> SceneGraphOutputs:
        if inputs.boxes is not None and inputs.box_labels is not None:
            sure = present(inputs.box_labels).to(torch.float32)
            return self._seen(inputs.images, inputs.boxes, inputs.box_labels, sure)
        if self.detector is not None:
            return self._seen(inputs.images, *self.detector.objects(inputs.images))
        if not self._told:
            self._told = True
            log.warning(NO_OBJECTS)
        return self.outputs(no_objects(inputs.images))

    def _seen(
        self,
        images: Tensor,
        boxes: Tensor,
        labels: Tensor,
        scores: Tensor,
        pairs: Tensor | None = None,
    ) -> SceneGraphOutputs:
        fitted, _ = resize_picture(images, self.size, self.resize_mode)
        sizes = torch.tensor([list(images.shape[-2:])], device=images.device)
        inside = resize_boxes(boxes, sizes, self.size, self.resize_mode)
        told = self.network(self.normalize(fitted), inside, labels, pairs, self.debias == "tde")
        return SceneGraphOutputs(boxes, scores, labels < self.num_classes, told)

    def answer(self, outputs: SceneGraphOutputs, inputs: SceneGraphInputs) -> SceneGraphAnswer:
        told, there = outputs.told, present(outputs.told.labels)
        own = told.objects.float().softmax(-1).amax(-1)
        scores = torch.where(outputs.given, outputs.scores.float(), own) * there
        predicates = pair_probabilities(self._logits(outputs), there)
        boxes = outputs.boxes * there[..., None]
        return SceneGraphAnswer(*(part[:, None] for part in (boxes, told.labels, scores, predicates)))

    def _logits(self, outputs: SceneGraphOutputs) -> Tensor:
        """Of the predicates of pairs, with what is to be added or taken away: [B, P, Q + 1]."""
        told = outputs.told
        logits = told.predicates.float()
        if self.debias == "tde":
            assert told.wiped is not None
            return total_direct_effect(logits, told.wiped.float())  # a prior would be in both
        if self.prior != "none":
            logits = logits + self._prior_of(outputs, self.prior)
        if self.debias == "logit_adjustment":
            logits = adjusted(logits, self.log_shares, self.adjustment)
        return logits

    def _prior_of(self, outputs: SceneGraphOutputs, kind: str) -> Tensor:
        """The logarithm of how likely each predicate is by the classes alone: [B, P, Q + 1]."""
        told = outputs.told
        found = priors.of_pairs(self.prior_table[priors.KINDS.index(kind)], told.labels, told.pairs)
        if kind == "frequency":
            return found
        M = told.labels.shape[1]
        numbers = told.pairs[..., 0] * M + told.pairs[..., 1]
        meet = priors.overlapping(outputs.boxes).flatten(1).gather(1, numbers)
        return torch.where(meet[..., None], found, priors.apart(found))

    # ---- learning and measuring ----------------------------------------------------------------------------

    def training_outputs(self, batch: SceneGraphBatch) -> SceneGraphOutputs:
        """Of true boxes, with the classes given in some pictures, and only of the pairs to learn from."""
        given = self.inputs_of(batch, "predcls")
        assert given.boxes is not None and given.box_labels is not None
        labels, there = given.box_labels, present(given.box_labels)
        if self.training:
            asked = draws.uniform(len(labels)).to(labels.device) >= self.given_classes
            labels = torch.where(there & asked[:, None], self.num_classes, labels)
        pairs, taught = self._to_learn(batch)
        # nothing is learned of an object with itself; where all pairs fit they are told as `answer` has them
        some = None if pairs.shape[1] == labels.shape[1] ** 2 else pairs * taught[..., None]
        return self._seen(batch.images, given.boxes, labels, there.to(torch.float32), some)

    def _to_learn(self, batch: SceneGraphBatch) -> tuple[Tensor, Tensor]:
        there = present(self.inputs_of(batch, "sgcls").box_labels)  # type: ignore[arg-type]
        table = priors.relation_table(batch.relations, there, self.num_predicates)
        return taught_pairs(table, pair_mask(there), self.taught_pairs, self.foreground)

    def loss(self, outputs: SceneGraphOutputs, batch: SceneGraphBatch) -> dict[str, Part]:
        told = outputs.told
        labels = batch.box_labels.masked_fill(batch.ignored.bool(), -1)
        there = present(labels)
        table = priors.relation_table(batch.relations, there, self.num_predicates)
        taught = (
            pair_mask(there).flatten(1).gather(1, told.pairs[..., 0] * there.shape[1] + told.pairs[..., 1])
        )
        logits = told.predicates.float()
        if self.prior != "none":
            logits = logits + self._prior_of(outputs, self.prior)
        return {
            "objects": object_loss(told.objects, labels),
            "relations": relation_loss(logits, told.pairs, taught, table),
        }

    def evaluate(self, batch: SceneGraphBatch) -> tuple[dict[str, Part], SceneGraphAnswer]:
        graphs = self.graphs(batch)
        known = next((found for name, found in graphs.items() if name == "predcls"), None)
        if known is None:
            known = self.outputs(self.inputs_of(batch, "predcls"))
        answers = [self.answer(found, self.inputs_of(batch, name)) for name, found in graphs.items()]
        return self.loss(known, batch), joined(answers)

    def graphs(self, batch: SceneGraphBatch) -> dict[Protocol, SceneGraphOutputs]:
        """Of each protocol that is measured."""
        found = {name: self.outputs(self.inputs_of(batch, name)) for name in self.protocols}
        if "sgdet" in found:
            found["sgdet"] = self._within(found["sgdet"], batch)
        return found

    def _within(self, outputs: SceneGraphOutputs, batch: SceneGraphBatch) -> SceneGraphOutputs:
        """Without what was found beside the files' pictures, in the letterbox's grey."""
        frames = content_sizes(batch.sizes, batch.images.shape[-2:], self.resize_mode).tolist()
        cut = torch.stack([
            clip_boxes_to_image(boxes, tuple(frame))
            for boxes, frame in zip(outputs.boxes, frames, strict=True)
        ])  # fmt: skip
        left = (cut[..., 2:] > cut[..., :2]).all(-1)
        told = outputs.told._replace(labels=outputs.told.labels.masked_fill(~left, -1))
        return outputs._replace(boxes=cut, told=told)

    def build_metrics(self) -> MetricCollection:
        return MetricCollection(
            {name: ProtocolMetrics(name, self.num_predicates, self.recall_at) for name in self.protocols},
            compute_groups=False,
        )

    def score(self, metrics: MetricCollection, answer: SceneGraphAnswer, batch: SceneGraphBatch) -> None:
        for number, metric in enumerate(
            metrics[name] for name in self.protocols[: answer.object_boxes.shape[1]]
        ):
            metric.update(graphs_of(answer, number), truths_of(batch), self.seen)

    def quality(self, answer: SceneGraphAnswer, batch: SceneGraphBatch) -> Tensor:
        """[B], 0..1: the recall among the surest `JUDGED` relations of the last graph, which was given least;
        NaN without a relation."""
        return recalls(graphs_of(answer, -1), truths_of(batch), JUDGED)

    # ---- what has to be beaten -----------------------------------------------------------------------------

    @property
    def prepare_samples(self) -> int:
        return sys.maxsize  # what no training picture has is only known of all

    def prepare(self, batch: SceneGraphBatch) -> None:
        """Count the predicates between the classes of training pictures, and keep the weights of another
        run's detector."""
        if self.detector is not None:
            self.detector.load()
        labels = batch.box_labels.masked_fill(batch.ignored.bool(), -1)
        counts = priors.counts_of(batch.boxes, labels, batch.relations, self.num_classes, self.num_predicates)
        self.prior_table.copy_(torch.stack([priors.log_prior(one) for one in counts]))
        self.seen.copy_(counts[0][..., :-1].permute(0, 2, 1) > 0)
        common = counts[0][..., :-1].sum((0, 1)) + 1
        self.log_shares.copy_((common / common.sum()).log())

    def check(self, batch: SceneGraphBatch) -> list[str]:
        truths = truths_of(batch)
        found = truths.relations[..., 2][truths.there].bincount(minlength=self.num_predicates)
        never = [name for name, count in zip(self.predicate_names, found.tolist(), strict=True) if not count]
        if not never:
            return []
        return [
            f"relations: none of {len(truths.labels)} training pictures that were looked at has "
            f"{len(never)} of {len(self.predicate_names)} predicates, such as {never[0]!r}: those are not "
            "learned; leave them out of the data, or add pictures that show them"
        ]

    def baselines(self, batch: SceneGraphBatch) -> dict[str, SceneGraphAnswer]:
        """The same objects, with the predicates that are the commonest between their classes in training
        pictures: ``frequency`` (FREQ in Neural Motifs), and ``frequency_overlap`` where only boxes that
        overlap are related (FREQ+OVERLAP)."""
        with torch.autocast(self.device.type, enabled=False):
            graphs = self.graphs(batch)
        found = {}
        for name, kind in (("frequency", "frequency"), ("frequency_overlap", "overlap")):
            answers = []
            for protocol, outputs in graphs.items():
                answer = self.answer(outputs, self.inputs_of(batch, protocol))
                there = present(outputs.told.labels)
                predicates = pair_probabilities(self._prior_of(outputs, kind), there)
                answers.append(answer._replace(predicates=predicates[:, None]))
            found[name] = joined(answers)
        return found

    def example(self) -> SceneGraphBatch:
        """Two pictures of noise: three objects with two relations, and one object."""
        generator = torch.Generator().manual_seed(0)
        height, width = self.size
        shares = torch.tensor(
            [[0.1, 0.1, 0.5, 0.6], [0.4, 0.3, 0.9, 0.8], [0.2, 0.7, 0.4, 0.95], [0, 0, 0, 0]]
        )
        boxes = shares.repeat(2, 1, 1) * torch.tensor([width, height, width, height])
        boxes[1, 1:] = 0
        last, most = self.num_classes - 1, self.num_predicates - 1
        labels = torch.tensor([[0, last, 0, -1], [last, -1, -1, -1]])
        relations = torch.full((2, 3, 3), -1)
        relations[0, :2] = torch.tensor([[0, 1, 0], [2, 0, most]])
        batch = SceneGraphBatch(
            torch.randint(256, (2, 3, height, width), generator=generator, dtype=torch.uint8),
            boxes,
            labels,
            torch.zeros(2, 4, dtype=torch.bool),
            torch.tensor([[height, width]] * 2),
            relations,
        )
        return SceneGraphBatch(*(field.to(self.device) for field in batch))

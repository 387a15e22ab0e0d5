"""What every application is: a ``LightningModule`` of which only the science differs."""

import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import Metric

from vision_apps.core import losses, rates
from vision_apps.core.choosing import Chooser
from vision_apps.core.config.fine_tuning import BACKBONE_LR, Rates
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.core.explaining import Explained
from vision_apps.core.exportable import Exportable
from vision_apps.core.fields import AnswerT, BatchT, InputsT, required
from vision_apps.core.losses import Parts, RunningLosses
from vision_apps.core.presentation import Presentation, joined
from vision_apps.core.stage import Metrics, Stage

OutputsT = TypeVar("OutputsT")


class VisionModule(pl.LightningModule, Generic[BatchT, InputsT, OutputsT, AnswerT]):
    """The common base of the applications.

    An application derives from ``VisionModule[Batch, Inputs, Outputs, Answer]``: what is learned from, what a
    user gives, what the network gives, and what the user gets. All but the outputs are NamedTuples of tensors
    over a batch. It says how one becomes the other, what the loss is and how an answer is scored. The steps,
    the logging names, the optimiser and the baselines are written here once.

    Args:
        network: the model of the run (``model=``).
        optimizer: from parameter groups to an optimiser; needed only to train.
        scheduler: from an optimiser and ``total_steps`` to a schedule that is advanced after every step.
    """

    batch_type: ClassVar[type]  # these three as the class derives from `VisionModule[...]`
    input_type: ClassVar[type]
    answer_type: ClassVar[type]
    words: Mapping[str, str] = MappingProxyType({})  # what `predict` takes beside a picture, and its meaning
    prepare_without: ClassVar[tuple[str, ...]] = ()  # fields that `prepare` and `check` do not look at
    learned_with: ClassVar[tuple[str, ...]] = ()  # its parameters that no answer and no figure depends on
    headline: ClassVar[tuple[str, ...]] = ()  # metrics on the progress line; all when empty
    followed: str = "loss"  # the part of the loss that this line tells of training
    backbone_share: ClassVar[float] = 0.1  # of the rate, for a backbone that has learned before
    conditional: tuple[str, ...] = ()  # metrics that not all data define, and that are then not logged
    presentation: Presentation[BatchT, InputsT, AnswerT]
    exportable: Exportable[InputsT, AnswerT] | None  # none: only weights can be exported
    chooser: Chooser[InputsT, AnswerT] | None = None  # none: no weights decide the order of its answers
    rates = Rates()  # of the network's backbone
    chosen: Mapping[str, Any] = MappingProxyType({})  # by dotted key, where the configuration said auto
    starts_from: Mapping[str, Any] = MappingProxyType({})  # what a new run's record says of its weights
    learned: bool = False  # the network's backbone has learned before this run
    taken: Collection[str] = ()  # names of its tensors that another run's weights give
    warnings: Sequence[str] = ()  # what a new run's record says of what cannot be learned

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for base in getattr(cls, "__orig_bases__", ()):
            if typing.get_origin(base) is VisionModule:
                cls.batch_type, cls.input_type, _, cls.answer_type = typing.get_args(base)

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
    ) -> None:
        super().__init__()
        self._require_types()
        self.network = network
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.presentation = Presentation()
        self.exportable = None
        self.losses = RunningLosses()
        self._stages: dict[str, Stage[BatchT, AnswerT]] = {}  # what is measured is no part of the weights

    def _require_types(self) -> None:
        name = type(self).__name__
        if not hasattr(self, "batch_type"):
            raise ConfigError(
                f"module: {name} does not say what it takes and gives: expected class {name}("
                "VisionModule[Batch, Inputs, Outputs, Answer])"
            )
        unknown = sorted(required(self.input_type) - set(self.batch_type._fields))  # type: ignore[attr-defined]
        if unknown and type(self).inputs is VisionModule.inputs:
            raise ConfigError(
                f"module: {self.input_type.__name__} has {', '.join(unknown)}, which "
                f"{self.batch_type.__name__} has not: expected fields of the same names, or "
                f"{name}.inputs(batch) that makes them"
            )

    # ---- what an application says --------------------------------------------------------------------------

    def outputs(self, inputs: InputsT) -> OutputsT:
        """The network's differentiable output."""
        raise NotImplementedError

    def answer(self, outputs: OutputsT, inputs: InputsT) -> AnswerT:
        """What the user gets from ``outputs``."""
        raise NotImplementedError

    def loss(self, outputs: OutputsT, batch: BatchT) -> Parts:
        """The parts of the loss by name, the same names for every batch: each says what is summed and what
        the sum is divided by, so that several processes and any evaluation batch give the same. All are
        logged, and their weighted sum as ``loss``; a part that needs no name of its own is called that."""
        raise NotImplementedError

    def build_metrics(self) -> Metrics:
        """New metrics for one stage. What they compute is logged under its name where it is a scalar; all of
        it is given to ``presentation.figures`` and ``presentation.tables``."""
        raise NotImplementedError

    def build_test_metrics(self) -> Mapping[str, Metric]:
        """More of the network's metrics in a test, by names of their own, updated by ``score`` with the
        others: what is too dear for each validation, or for a baseline."""
        return {}

    def score(self, metrics: Any, answer: AnswerT, batch: BatchT) -> None:
        """Update ``metrics`` (as made by ``build_metrics``) with one batch."""
        raise NotImplementedError

    def example(self) -> BatchT:
        """A tiny batch of plausible random data."""
        raise NotImplementedError

    # ---- what an application may say -----------------------------------------------------------------------

    def training_outputs(self, batch: BatchT) -> OutputsT:
        """The outputs that the loss is taken of; differs from prediction only where training feeds more."""
        return self.outputs(self.inputs(batch))

    def evaluate(self, batch: BatchT) -> tuple[Parts, AnswerT]:
        """The parts of the loss, and the answer that ``forward`` gives. One pass through the network serves
        both, unless a sequence is decoded freely or an agent walks."""
        outputs = self.outputs(self.inputs(batch))
        return self.loss(outputs, batch), self.measured_answer(outputs, batch)

    def measured_answer(self, outputs: OutputsT, batch: BatchT) -> AnswerT:
        """The answer that is scored: the one that ``forward`` gives of the same files. Replaced where only a
        part of the batch's pictures, which were fitted to one size, is what the files show."""
        return self.answer(outputs, self.inputs(batch))

    def baselines(self, batch: BatchT) -> dict[str, AnswerT]:
        """Answers that any learned one has to beat, by name; scored with the same metrics when testing."""
        return {}

    def quality(self, answer: AnswerT, batch: BatchT) -> Tensor | None:
        """How good each answer is, float [B], higher is better: the worst ones of an evaluation are drawn as
        ``worst``."""
        return None

    def encode(self, images: Tensor | None, words: Mapping[str, str]) -> InputsT:
        """What a user gives to ``predict``, as inputs of a batch of one.

        Args:
            images: uint8 [1, 3, H, W]; none where the application needs no picture.
            words: by the names in ``words`` of this class; any may be missing.

        Raises:
            DataError: a word is missing or cannot be understood; the message says what is expected.
        """
        if unknown := sorted(required(self.input_type) - {"images"}):
            raise DataError(
                f"{type(self).__name__} takes {', '.join(unknown)}, and does not say how they are typed: "
                "expected words and encode(images, words) of its own"
            )
        inputs: InputsT = self.input_type(images)
        return inputs

    def explained(self, inputs: InputsT) -> Explained:
        """The scores of the answers to ``inputs``, whose evidence ``predict --explain`` shows in the picture.
        Whatever was said that can be explained by itself says it."""
        raise NotImplementedError

    @property
    def prepare_samples(self) -> int:
        """How many training samples ``prepare`` needs, see `preparation.batch_of`."""
        return 0

    @property
    def kept(self) -> list[str] | None:
        """What of the network ``freeze=auto`` keeps, because so few samples would only spoil it."""
        return None

    @property
    def fits(self) -> list[str]:
        """The parts of the network that ``prepare`` fits to the data."""
        return []

    @property
    def knows(self) -> bool:
        """Whether a new run's network may be as good as it gets: it is fitted to the data, or all of it is
        another run's. Then it is measured before the first step, as a candidate for ``best.ckpt``."""
        own = (name for name in self.state_dict() if name.startswith("network."))
        return bool(self.fits) or (bool(self.taken) and all(name in self.taken for name in own))

    def prepare(self, batch: BatchT) -> None:
        """Take from a batch of ``prepare_samples`` training samples what is measured and not learned, once
        before a new run. Fields that are named in ``prepare_without`` may be empty, and then all samples are
        there."""

    def check(self, batch: BatchT) -> list[str]:
        """What the network cannot learn of a training batch, a line each with its share, the key and what
        mends it: told by ``vision-apps data check``, and before the first step of a new run of the samples
        that ``prepare`` is given."""
        return []

    # ---- what all applications share -----------------------------------------------------------------------

    def forward(self, inputs: InputsT) -> AnswerT:
        """What a user gives to what a user gets, with everything before and after the network: this is what
        is predicted with."""
        return self.answer(self.outputs(inputs), inputs)

    def inputs(self, batch: BatchT) -> InputsT:
        """The part of a batch that a user could give: its fields of the same names."""
        fields = batch._asdict()
        names = self.input_type._fields  # type: ignore[attr-defined]
        inputs: InputsT = self.input_type(**{name: fields[name] for name in names if name in fields})
        return inputs

    def training_step(self, batch: BatchT, batch_idx: int) -> Tensor:
        values = losses.values(self.loss(self.training_outputs(batch), batch))
        self.losses.add(values)
        # the means since the line before when Lightning writes a line; at an epoch's end they are only for
        # the eye
        trainer = self.trainer
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        steps = (batch_idx + 1) % trainer.accumulate_grad_batches == 0 or trainer.is_last_batch
        line = steps and (trainer.global_step + 1) % every == 0
        if line or trainer.is_last_batch:
            # of all processes already
            self.log_dict({f"train/{name}": value for name, value in self.losses.means().items()})
            self.log_dict(rates.current(trainer.optimizers[0]))
        if line:
            self.losses.restart()
        stretch = self._stretch(batch_idx)
        return values["loss"] if stretch == 1 else values["loss"] * stretch

    def _stretch(self, batch_idx: int) -> float:
        """What makes of Lightning's mean over ``accumulate_grad_batches`` the mean over the batches that a
        step is taken of: the last window of an epoch may be shorter."""
        window, batches = self.trainer.accumulate_grad_batches, self.trainer.num_training_batches
        short = batches % window if isinstance(batches, int) else 0  # without an end no window is the last
        return window / short if short and batch_idx >= batches - short else 1.0

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["unlogged"] = self.losses.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.losses.load_state_dict(checkpoint["unlogged"])

    def stage(self, name: str) -> Stage[BatchT, AnswerT]:
        """What was measured in ``val`` or ``test``."""
        if name not in self._stages:
            more = self.build_test_metrics() if name == "test" else {}
            self._stages[name] = Stage(self.build_metrics, self.device, more)
        return self._stages[name]

    def validation_step(self, batch: BatchT, batch_idx: int) -> None:
        self._measure("val", batch)

    def test_step(self, batch: BatchT, batch_idx: int) -> None:
        self._measure("test", batch)
        for name, answer in self.baselines(batch).items():
            self.score(self.stage("test").metrics(name), answer, batch)

    def measured(self, name: str, batch: BatchT) -> tuple[Parts, AnswerT]:
        """As `evaluate` has it, in ``val`` or ``test``. The test is in float32, as ``predict`` answers: in
        mixed precision an answer depends on who else is in the batch."""
        with torch.autocast(self.device.type, enabled=False) if name == "test" else nullcontext():
            return self.evaluate(batch)

    def _measure(self, name: str, batch: BatchT) -> None:
        stage = self.stage(name)
        parts, answer = self.measured(name, batch)
        stage.losses.add(parts)
        self.score(stage.metrics(), answer, batch)
        quality = self.quality(answer, batch)
        if quality is not None:
            stage.worst.update(quality, batch, answer)

    def on_validation_epoch_end(self) -> None:
        self._finish("val")

    def on_test_epoch_end(self) -> None:
        self._finish("test")

    def _finish(self, name: str) -> None:
        """Log what the stage measured, draw the rest, and start anew."""
        stage = self.stage(name)
        scalars, measured = stage.compute()
        figures = self.presentation.figures(measured)
        drawn = [
            self.presentation.draw_with_truth(sample, answer) for _, sample, answer in stage.worst.take()
        ]
        if drawn:
            figures = {**figures, "worst": joined(drawn).sheet}
        stage.figures = {f"{name}/{key}": figure for key, figure in figures.items()}
        stage.tables = self.presentation.tables(measured)
        stage.restart()
        # torchmetrics has reduced over the ranks; Lightning warns unless it may do so again
        values = {f"{name}/{key}": value for key, value in scalars.items()}
        self.log_dict(values, sync_dist=self.trainer.world_size > 1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        if self.optimizer is None:
            raise RuntimeError("this module was built to predict: it has no optimizer")
        decay = getattr(self.optimizer, "keywords", {}).get("weight_decay", 0.0)
        try:
            optimizer = self.optimizer(rates.parameter_groups(self, decay, self.network, self.rates))
        except ValueError as error:  # as torch says that a number is out of its range
            raise ConfigError(f"optimizer: {error}") from error
        if self.rates.given:
            rates.set_rates(optimizer, self.rates, optimizer.defaults["lr"])
        if self.scheduler is None:
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        if steps == float("inf"):
            raise ConfigError(
                "scheduler: a schedule needs the length of the run; set trainer.max_epochs or "
                "trainer.max_steps, or train at a constant rate with scheduler=constant"
            )
        before = [group["lr"] for group in optimizer.param_groups]
        try:
            schedule = self.scheduler(optimizer, total_steps=int(steps))
        except ValueError as error:
            raise ConfigError(f"scheduler: {error}") from error
        chosen = self.chosen.get(BACKBONE_LR) is not None
        rates.require_followed(optimizer, self.rates, before, chosen)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

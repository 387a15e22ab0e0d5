"""What every application is: a ``LightningModule`` of which only the science differs."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric, MetricCollection

from vision_apps.core.errors import ConfigError
from vision_apps.core.pictures import sheet
from vision_apps.core.worst import Worst


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Trainable parameters in two groups: matrices and kernels decay, norms, biases and scalars (fewer than
    two dimensions) do not (Goyal et al. 2017, section 5.3; He et al. 2019, section 3.1)."""
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


class VisionModule(pl.LightningModule):
    """The common base of the applications.

    An application says what it takes (``batch_type``, ``inputs``), how the network's output becomes an
    answer, what the loss is, how an answer is scored and how it is drawn. The steps, the logging names, the
    optimiser and the baselines are written here once.

    Args:
        network: the model of the run (``model=``).
        optimizer: from parameter groups to an optimiser; needed only to train.
        scheduler: from an optimiser and ``total_steps`` to a schedule that is advanced after every step.
    """

    batch_type: ClassVar[type]
    inputs: ClassVar[tuple[str, ...]] = ("images",)
    column_titles: tuple[str, ...] = ()
    headline: ClassVar[tuple[str, ...]] = ()  # metrics on the progress line; all when empty
    graph_type: ClassVar[type | None] = None  # what `graph` gives; none: only weights can be exported
    graph_notes: ClassVar[Mapping[str, str]] = {}  # what each field of it is, for a model card
    outside_graph: ClassVar[tuple[str, ...]] = ()  # settings that still work on an exported graph
    stage_figures: dict[str, Tensor]  # of the last evaluation, by name

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.optimizer = optimizer
        self.scheduler = scheduler
        # plain dictionaries: what is measured is no part of the weights
        self._metrics: dict[str, Any] = {}  # "<stage>" or "<stage>/<baseline>" to the metrics of that stage
        self._losses: dict[str, dict[str, MeanMetric]] = {}  # "<stage>" to the mean of each part of the loss
        self._sums: dict[str, Tensor] = {}
        self._summed = 0
        self._worst: dict[str, Worst] = {}

    # ---- what an application says --------------------------------------------------------------------------

    def outputs(self, images: Tensor) -> Any:
        """The network's differentiable output for uint8 images [B, 3, H, W]."""
        raise NotImplementedError

    def answer(self, outputs: Any, images: Tensor) -> Any:
        """What the user gets from ``outputs``: a NamedTuple of tensors over the batch."""
        raise NotImplementedError

    def loss(self, outputs: Any, batch: Any) -> dict[str, Tensor]:
        """``loss``, and its named parts; all are logged."""
        raise NotImplementedError

    def build_metrics(self) -> MetricCollection | Mapping[str, Metric]:
        """New metrics for one stage. Scalars are logged under their name, others are given to ``figures``."""
        raise NotImplementedError

    def score(self, metrics: Any, answer: Any, batch: Any) -> None:
        """Update ``metrics`` (as made by ``build_metrics``) with one batch."""
        raise NotImplementedError

    def baselines(self, batch: Any) -> dict[str, Any]:
        """Answers that any learned one has to beat, by name; scored with the same metrics when testing."""
        return {}

    def draw(self, batch: Any, answer: Any) -> list[Tensor]:
        """One picture per sample with its truth: uint8 [3, h, w], of equal size within a batch."""
        raise NotImplementedError

    def quality(self, answer: Any, batch: Any) -> Tensor | None:
        """How good each answer is, [B], higher is better: the worst ones of an evaluation are drawn as
        ``worst``."""
        return None

    def figures(self, metrics: Any) -> dict[str, Tensor]:
        """Pictures of a whole evaluation by name, uint8 [3, h, w]: what is not a scalar."""
        return {}

    def show(self, images: Tensor, answer: Any) -> list[Tensor]:
        """One picture per input without truth, uint8 [3, h, w]: what ``predict`` writes."""
        raise NotImplementedError

    def describe(self, answer: Any) -> list[dict[str, Any]]:
        """One JSON-able row per input: what ``predict`` writes as JSON lines."""
        raise NotImplementedError

    def files(self, image: Tensor, answer: Any, name: str) -> dict[str, bytes]:
        """What ``predict`` writes for one picture beside its drawing: content by the path below its folder.

        Args:
            image: uint8 [3, H, W].
            answer: of a batch of one.
            name: of the picture, without an extension.
        """
        return {}

    def closing_files(self, rows: Iterable[dict[str, Any]]) -> dict[str, bytes]:
        """What ``predict`` writes about all pictures, likewise.

        Args:
            rows: as `describe` gives them, with ``file``, ``width`` and ``height`` in px. They can be gone
                through once, and are read as they are asked for: there may be a million.
        """
        return {}

    def check(self, batch: Any) -> list[str]:
        """What ``vision-apps data check`` has to say of a training batch: findings that need the network."""
        return []

    def example(self) -> Any:
        """A tiny batch of plausible random data."""
        raise NotImplementedError

    @property
    def prepare_images(self) -> int:
        """How many training images ``prepare`` needs."""
        return 0

    def prepare(self, images: Tensor) -> None:
        """Take from uint8 training images [N, 3, H, W] what is measured and not learned, once before a new
        run."""

    def prepare_batch(self, batch: Any) -> None:
        """Likewise from whole samples: a batch of ``prepare_images``."""
        self.prepare(batch.images)

    # ---- what is exported ----------------------------------------------------------------------------------

    @property
    def graph_size(self) -> tuple[int, int] | None:
        """Height and width of the only pictures that `graph` takes; none where it takes any."""
        return None

    def why_no_graph(self) -> str | None:
        """Why this network cannot be exported as a graph; none where it can."""
        if self.graph_type is None:
            return f"{type(self).__name__} does not say what a graph of it gives (graph_type)"
        return None

    def graph(self, images: Tensor) -> Any:
        """What an exported graph computes of uint8 images [B, 3, H, W]: a ``graph_type``, whose tensors are
        of a shape that depends on nothing but B, H and W."""
        return self(images)

    def answer_through(self, graph: Callable[[Tensor], Any], images: Tensor) -> Any:
        """The answer of `forward` where ``graph``, which came out of a file, stands for `graph`: what is
        left to do outside of it. The network here is not trained and must not be called."""
        return graph(images)

    # ---- what all applications share -----------------------------------------------------------------------

    def forward(self, *inputs: Tensor) -> Any:
        """Pixels in, answer out, with everything before and after the network: this is what is predicted
        with."""
        return self.answer(self.outputs(*inputs), inputs[0])

    def batch_inputs(self, batch: Any) -> list[Tensor]:
        return [getattr(batch, name) for name in self.inputs]

    def training_outputs(self, batch: Any) -> Any:
        """The outputs that the loss is taken of; differs from prediction only where training feeds more."""
        return self.outputs(*self.batch_inputs(batch))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        parts = self.loss(self.training_outputs(batch), batch)
        # sums on the device, logged at the interval that is shown: `self.log` in each step costs more than a
        # small network's step
        for name, value in parts.items():
            held = self._sums.get(name)
            self._sums[name] = value.detach() if held is None else held.to(value.device) + value.detach()
        self._summed += 1
        self.parts = parts
        self._log_sums(batch_idx)
        return parts["loss"]

    def _log_sums(self, batch_idx: int) -> None:
        """Log the means since the line before when Lightning writes a line; at an epoch's end
        they are only for the eye."""
        trainer = self.trainer
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        steps = (batch_idx + 1) % trainer.accumulate_grad_batches == 0 or trainer.is_last_batch
        line = steps and (trainer.global_step + 1) % every == 0
        if not line and not trainer.is_last_batch:
            return
        means = {f"train/{name}": value / self._summed for name, value in self._sums.items()}
        self.log_dict(means, sync_dist=trainer.world_size > 1)
        self.log("lr", trainer.optimizers[0].param_groups[0]["lr"])
        if line:
            self._sums, self._summed = {}, 0

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["unlogged"] = {"parts": self._sums, "steps": self._summed}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._sums, self._summed = checkpoint["unlogged"]["parts"], checkpoint["unlogged"]["steps"]

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._evaluate("val", batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._evaluate("test", batch)
        for name, answer in self.baselines(batch).items():
            self.score(self.metrics(f"test/{name}"), answer, batch)

    def metrics(self, stage: str) -> Any:
        """The metrics of a stage (``val``, ``test``, ``test/<baseline>``), made at first use."""
        if stage not in self._metrics:
            built = self.build_metrics()
            for metric in built.values():
                metric.to(self.device)
            self._metrics[stage] = built
        return self._metrics[stage]

    def _evaluate(self, stage: str, batch: Any) -> None:
        inputs = self.batch_inputs(batch)
        outputs = self.outputs(*inputs)
        count = len(inputs[0])
        means = self._losses.setdefault(stage, {})
        for name, value in self.loss(outputs, batch).items():
            if name not in means:
                means[name] = MeanMetric().to(self.device)
            means[name].update(value, weight=count)
        answer = self.answer(outputs, inputs[0])
        self.score(self.metrics(stage), answer, batch)
        quality = self.quality(answer, batch)
        if quality is not None:
            self._worst.setdefault(stage, Worst()).update(quality, batch, answer)

    def on_validation_epoch_end(self) -> None:
        self._finish("val")

    def on_test_epoch_end(self) -> None:
        self._finish("test")

    def _finish(self, stage: str) -> None:
        """Log the stage's means and scalar metrics, draw the others, and start anew."""
        values = {f"{stage}/{name}": mean.compute() for name, mean in self._losses[stage].items()}
        self.stage_figures = {f"{stage}/{k}": v for k, v in self.figures(self.metrics(stage)).items()}
        worst = self._worst[stage].take() if stage in self._worst else None
        if worst is not None:
            rows = [row.cpu() for row in self.draw(*worst)]
            self.stage_figures[f"{stage}/worst"] = sheet(rows, tuple(self.column_titles))
        of_stage = {k: v for k, v in self._metrics.items() if k == stage or k.startswith(f"{stage}/")}
        for key, metrics in of_stage.items():
            collected = isinstance(metrics, MetricCollection)
            computed = (
                metrics.compute() if collected else {k: metric.compute() for k, metric in metrics.items()}
            )
            values |= {f"{key}/{k}": v for k, v in computed.items() if torch.as_tensor(v).numel() == 1}
        for metric in [
            *self._losses[stage].values(),
            *(m for metrics in of_stage.values() for m in metrics.values()),
        ]:
            metric.reset()
        # torchmetrics has reduced over the ranks; Lightning warns unless it may do so again
        self.log_dict(values, sync_dist=self.trainer.world_size > 1)

    def configure_optimizers(self) -> Any:
        if self.optimizer is None:
            raise RuntimeError("this module was built to predict: it has no optimizer")
        decay = getattr(self.optimizer, "keywords", {}).get("weight_decay", 0.0)
        optimizer = self.optimizer(parameter_groups(self, decay))
        if self.scheduler is None:
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        if steps == float("inf"):
            raise ConfigError(
                "scheduler: a schedule needs the length of the run; set trainer.max_epochs or "
                "trainer.max_steps, or train at a constant rate with scheduler=constant"
            )
        schedule = self.scheduler(optimizer, total_steps=int(steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

"""The application around its network: the loss, its weights, thresholds, baselines and what is answered."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn

from vision_apps.applications.classification.agreement import f1_scores
from vision_apps.applications.classification.cnn import Cnn
from vision_apps.applications.classification.googlenet import GoogLeNet
from vision_apps.applications.classification.multi_label import MultiLabel
from vision_apps.applications.classification.multi_label_presentation import sample
from vision_apps.applications.classification.pictures import INK, NEUTRAL, RIGHT, WRONG
from vision_apps.applications.classification.thresholds import best_thresholds
from vision_apps.applications.classification.types import MultiLabelAnswer, MultiLabelBatch
from vision_apps.core.config.check import misfit
from vision_apps.core.data import TensorSamples, VisionData
from vision_apps.core.ema import EMA
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import ImageInputs
from vision_apps.core.losses import values
from vision_apps.data.augmentation.crops import MixUp
from vision_apps.data.augmentation.mosaic import Mosaic
from vision_apps.data.labels.folder import ImageFolder
from vision_apps.data.labels.multi_label import MultiLabelCsv

NAMES = ["cat", "dog", "bird"]
SHARES = [0.5, 0.25, 0.1]


def application(network: nn.Module | None = None, **kwargs: Any) -> MultiLabel:
    network = network or Cnn(3, depth=1, width=4)
    return MultiLabel(network, 3, NAMES, 8, [0.5] * 3, [0.25] * 3, **kwargs)


def some_batch(samples: int = 16) -> MultiLabelBatch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (samples, 3, 8, 8), generator=generator, dtype=torch.uint8)
    return MultiLabelBatch(images, torch.randint(2, (samples, 3), generator=generator, dtype=torch.uint8))


# ---- loss -----------------------------------------------------------------------------------------------


def test_the_loss_is_the_mean_over_pictures_and_classes() -> None:
    module, batch = application(), some_batch()
    logits = module.outputs(module.inputs(batch))
    expected = F.binary_cross_entropy_with_logits(logits, batch.multi_hot.float())
    torch.testing.assert_close(values(module.loss(logits, batch))["loss"], expected)


def test_balanced_makes_pictures_with_and_without_a_class_count_alike() -> None:
    module = application(class_weights="balanced", class_shares=[0.2, 0.0, 1.0])
    assert module.class_weights is not None
    assert module.class_weights.tolist() == pytest.approx([4, 1, 1])
    # of one class: as scikit-learn's weights of its two values
    absent, present = compute_class_weight("balanced", classes=np.array([0, 1]), y=[1] + [0] * 4)
    assert module.class_weights[0] == pytest.approx(present / absent)


def test_weights_are_of_pictures_that_have_the_class_and_of_training_alone() -> None:
    module, batch = application(class_weights=[1, 2, 5]), some_batch()
    logits = module.outputs(module.inputs(batch)).detach()
    truth = batch.multi_hot.float()
    each = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    weighted = each * torch.where(truth == 1, torch.tensor([1.0, 2, 5]), 1)
    torch.testing.assert_close(values(module.loss(logits, batch))["loss"], weighted.mean())
    module.eval()
    torch.testing.assert_close(values(module.loss(logits, batch))["loss"], each.mean())


@pytest.mark.parametrize(
    ("weights", "shares", "text"),
    [
        ("even", SHARES, "module.class_weights: even; expected balanced"),
        ("balanced", None, "the data do not count their classes"),
        ([1, 2], SHARES, "expected 3 weights of more than 0: one for each of cat, dog, bird"),
        ([1, 2, 0], SHARES, "expected 3 weights of more than 0"),
    ],
)
def test_weights_that_make_no_sense_are_refused(weights: Any, shares: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        application(class_weights=weights, class_shares=shares)


def test_networks_with_auxiliary_heads() -> None:
    module = MultiLabel(GoogLeNet(3), 3, NAMES, 64, [0.5] * 3, [0.25] * 3)
    batch = module.example()
    parts = values(module.loss(module.training_outputs(batch), batch))
    assert parts.keys() == {"loss", "main", "auxiliary"}
    assert parts["loss"] > parts["main"]


# ---- answers --------------------------------------------------------------------------------------------


def test_a_class_is_said_from_its_threshold_on() -> None:
    module = application().eval()
    inputs = ImageInputs(some_batch().images)
    logits = module.outputs(inputs)
    answer = module.answer(logits, inputs)
    torch.testing.assert_close(answer.probabilities, logits.sigmoid())
    assert torch.equal(answer.present, logits >= 0)
    module.thresholds.copy_(answer.probabilities[0])
    assert module(inputs).present[0].all()
    assert torch.equal(module(inputs).present, answer.probabilities >= answer.probabilities[0])


def test_the_prior_has_the_prevalence_as_its_map() -> None:
    module, batch = application(class_shares=SHARES), some_batch(40)
    metrics = module.build_metrics()
    prior = module.baselines(batch)["prior"]
    assert prior.probabilities.shape == (40, 3)
    module.score(metrics, prior, batch)
    found = metrics.compute()
    prevalence = batch.multi_hot.float().mean(0)
    assert found["mAP"] == pytest.approx(float(prevalence.mean()))
    assert found["f1"] == pytest.approx(float((2 * prevalence / (1 + prevalence)).mean()))
    thresholds, best = best_thresholds(prior.probabilities, batch.multi_hot)
    assert found["f1"] == pytest.approx(float(best.mean())), "no threshold does better"
    assert (prior.probabilities >= thresholds).all()


def test_quality_is_highest_where_all_is_right() -> None:
    module, batch = application(), some_batch()
    truth = batch.multi_hot.float()
    right, wrong = (MultiLabelAnswer(p, p >= 0.5) for p in (truth, 1 - truth))
    assert module.quality(right, batch).tolist() == [1] * 16
    assert module.quality(wrong, batch).tolist() == [0] * 16


def test_described_are_the_labels_and_all_probabilities() -> None:
    module = application()
    answer = MultiLabelAnswer(
        torch.tensor([[0.25, 0.75, 0.5], [0.0, 0.0, 0.25]]),
        torch.tensor([[True, True, False], [False, False, False]]),
    )
    inputs = ImageInputs(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
    one, none = module.presentation.describe(inputs, answer)
    assert one["labels"] == [{"class": "dog", "probability": 0.75}, {"class": "cat", "probability": 0.25}]
    assert one["probabilities"] == {"cat": 0.25, "dog": 0.75, "bird": 0.5}
    assert none["labels"] == []


def test_drawn_are_said_and_true_classes_first() -> None:
    names = ["sky", "cat", "dog", "bird", "fish"]
    values = torch.tensor([0.4, 0.9, 0.8, 0.2, 0.45])
    present = torch.tensor([False, True, True, False, False])

    def bars(truth: Tensor | None) -> list[tuple[int, ...]]:
        image = torch.zeros(3, 8, 8, dtype=torch.uint8)
        picture = sample(image, values, present, truth, names)
        assert picture.shape == (3, 160, 320)
        return [tuple(picture[:, 8 + 37 * line + 22, 172].tolist()) for line in range(4)]

    # cat is right, dog is wrong, bird is missed, fish is rightly not said
    assert bars(torch.tensor([0, 1, 0, 1, 0])) == [RIGHT, WRONG, WRONG, NEUTRAL]
    assert bars(None) == [NEUTRAL, NEUTRAL, INK, INK]
    module, batch = application().eval(), some_batch(3)
    with torch.inference_mode():
        answer = module(module.inputs(batch))
    rows, titles, _ = module.presentation.draw_with_truth(batch, answer)
    assert titles == ("image", "answer")
    assert len(rows) == len(module.presentation.draw_answer(module.inputs(batch), answer)) == 3


# ---- data -----------------------------------------------------------------------------------------------


def test_it_takes_sets_of_labels_and_no_single_ones() -> None:
    assert misfit(MultiLabel, MultiLabelCsv) is None
    told = misfit(MultiLabel, ImageFolder, "multi_label")
    assert told is not None and "multi_hot" in told and told.endswith("multi_label_csv, multi_label_scenes")


def test_mixup_mixes_the_labels() -> None:
    torch.manual_seed(0)
    batch = some_batch(2)._replace(multi_hot=torch.tensor([[1, 0, 1], [0, 0, 1]], dtype=torch.uint8))
    mixed = MixUp(3)(batch).multi_hot
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed.sum(0), torch.tensor([1.0, 0, 2]))
    assert 0 < mixed[0, 0] < 1


def test_four_pictures_in_one_are_refused() -> None:
    with pytest.raises(ConfigError, match="Mosaic does not fit data that offers 'multi_hot'"):
        Mosaic()(some_batch(4))


# ---- runs -----------------------------------------------------------------------------------------------


class Fixed(VisionData):
    """The same pictures in all splits."""

    fields = ("images", "multi_hot")

    def load(self, split: Any, fields: Any) -> TensorSamples:
        return TensorSamples(**some_batch(32)._asdict())


@pytest.mark.slow
@pytest.mark.parametrize("averaged", [False, True])
def test_thresholds_are_those_of_the_validation_and_kept_with_its_weights(
    averaged: bool, tmp_path: Path
) -> None:
    class Saved(pl.Callback):
        """After each validation, as the best checkpoint is."""

        def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            trainer.save_checkpoint(tmp_path / f"{trainer.current_epoch}.ckpt")
            logged.append({name: float(value) for name, value in trainer.callback_metrics.items()})

    logged: list[dict[str, float]] = []
    torch.manual_seed(0)
    module = application(optimizer=lambda groups: torch.optim.Adam(groups, lr=0.03))
    data = Fixed(batch_size=8)
    data.batch_type = MultiLabelBatch
    trainer = pl.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[Saved(), *([EMA(0.9)] if averaged else [])],
    )
    trainer.fit(module, datamodule=data)
    batch = some_batch(32)
    seen: list[Tensor] = []
    for epoch, values_of in enumerate(logged):
        checkpoint = torch.load(tmp_path / f"{epoch}.ckpt", weights_only=True)
        again = application().eval()
        again.load_state_dict(checkpoint["state_dict"])
        with torch.inference_mode():
            answer = again(ImageInputs(batch.images))
        expected, _ = best_thresholds(answer.probabilities, batch.multi_hot)
        torch.testing.assert_close(again.thresholds, expected, atol=1e-5, rtol=0)
        truth = batch.multi_hot.numpy()
        assert values_of["val/mAP"] == pytest.approx(
            average_precision_score(truth, answer.probabilities, average="macro"), abs=1e-5
        )
        assert values_of["val/f1"] == pytest.approx(
            float(f1_scores(answer.present, batch.multi_hot != 0).mean()), abs=1e-5
        )
        seen.append(expected)
    assert len({tuple(one.tolist()) for one in seen}) == 3, "chosen anew in each validation"

"""The application around its network: pixels in, loss, scores and baselines out."""

import json
import math
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn

from vision_apps.applications.classification.cnn import Cnn
from vision_apps.applications.classification.googlenet import GoogLeNet
from vision_apps.applications.classification.module import Classification
from vision_apps.applications.classification.types import ClassAnswer, LabelBatch
from vision_apps.core.data import TensorSamples, VisionData
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import ImageInputs
from vision_apps.core.losses import values
from vision_apps.networks.auxiliary import AuxiliaryLogits

MEAN, STD = [0.1, 0.5, 0.7], [0.2, 0.3, 0.4]


def application(
    network: nn.Module | None = None, classes: int = 3, size: int = 8, **kwargs: Any
) -> Classification:
    names = [f"kind {k}" for k in range(classes)]
    network = network or Cnn(classes, depth=1, width=4)
    return Classification(network, classes, names, size, **{"mean": MEAN, "std": STD, **kwargs})


class Recorder(nn.Module):
    """Keeps what it is given; answers with the mean of each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        self.seen = images
        return self.scale * images.mean(dim=(2, 3))


def some_answer(samples: int, classes: int) -> ClassAnswer:
    return ClassAnswer((3 * torch.randn(samples, classes)).softmax(dim=1))


# ---- pixels ---------------------------------------------------------------------------------------------


def test_the_network_gets_normalised_pixels() -> None:
    module = application(network := Recorder())
    images = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8)
    module(ImageInputs(images))
    expected = (images / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(network.seen, expected)


@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_any_size_is_brought_to_the_network_s(height: int, width: int) -> None:
    module = application(network := Recorder(), mean=[0.0] * 3, std=[1.0] * 3)
    images = torch.full((2, 3, height, width), 51, dtype=torch.uint8)
    module(ImageInputs(images))
    torch.testing.assert_close(network.seen, torch.full((2, 3, 8, 8), 0.2))


def test_the_middle_square_is_what_is_looked_at() -> None:
    module = application(network := Recorder(), mean=[0.0] * 3, std=[1.0] * 3)
    images = torch.zeros(1, 3, 16, 40, dtype=torch.uint8)
    images[..., 12:28] = 255
    for picture in (images, images.transpose(2, 3)):
        module(ImageInputs(picture))
        torch.testing.assert_close(network.seen, torch.ones(1, 3, 8, 8))


def test_shrinking_averages_instead_of_skipping() -> None:
    module = application(network := Recorder(), mean=[0.0] * 3, std=[1.0] * 3)
    stripes = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 255
    module(ImageInputs(stripes))
    torch.testing.assert_close(network.seen, torch.full((1, 3, 8, 8), 0.5), atol=0.02, rtol=0)


def test_what_a_network_expects_goes_before_the_data_s() -> None:
    network = Recorder()
    network.image_size, network.mean, network.std = 4, [0.0] * 3, [0.5] * 3
    module = application(network)
    module(ImageInputs(torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)))
    torch.testing.assert_close(network.seen, torch.full((1, 3, 4, 4), 2.0))
    assert module.example().images.shape == (2, 3, 4, 4)


def test_the_normalisation_travels_with_the_weights() -> None:
    trained, rebuilt = application(mean=[0.3] * 3), application()
    rebuilt.load_state_dict(trained.state_dict())
    images = trained.example().images
    torch.testing.assert_close(rebuilt.eval()(ImageInputs(images)), trained.eval()(ImageInputs(images)))


def test_flip_test_does_not_tell_an_image_from_its_mirror_image() -> None:
    images = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8)
    plain, both = application().eval(), application(flip_test=True).eval()
    torch.testing.assert_close(both(ImageInputs(images)), both(ImageInputs(images.flip(-1))))
    assert not torch.allclose(
        plain(ImageInputs(images)).probabilities, plain(ImageInputs(images.flip(-1))).probabilities
    )
    training = application(network := Recorder(), flip_test=True).train()
    training.outputs(ImageInputs(images))
    torch.testing.assert_close(network.seen, training.normalize(images))  # looked at once, as it is


def test_names_and_classes_must_agree() -> None:
    with pytest.raises(ConfigError, match=r"module.class_names: 2 names for num_classes=3"):
        Classification(Cnn(3), 3, ["a", "b"], 8, MEAN, STD)
    with pytest.raises(ConfigError, match="at least 2 classes"):
        Classification(Cnn(1), 1, ["a"], 8, MEAN, STD)


# ---- loss -----------------------------------------------------------------------------------------------


def batch_of(labels: Tensor, size: int = 8) -> LabelBatch:
    return LabelBatch(torch.randint(256, (len(labels), 3, size, size), dtype=torch.uint8), labels)


@given(labels=st.lists(st.integers(0, 2), min_size=1, max_size=9), smoothing=st.floats(0, 0.9))
def test_a_label_is_a_soft_label_that_is_sure(labels: list[int], smoothing: float) -> None:
    module = application(label_smoothing=smoothing).train()
    logits, hard = torch.randn(len(labels), 3), torch.tensor(labels)
    soft = F.one_hot(hard, 3).float()
    found = [values(module.loss(logits, batch_of(kind)))["loss"] for kind in (hard, soft)]
    torch.testing.assert_close(found[0], found[1])
    spread = (1 - smoothing) * soft + smoothing / 3
    torch.testing.assert_close(found[0], -(spread * logits.log_softmax(dim=1)).sum(dim=1).mean())


def test_mixed_labels_mix_the_losses() -> None:
    module, logits = application(), torch.randn(4, 3)
    one, other, share = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 2]), 0.3
    mixed = share * F.one_hot(one, 3) + (1 - share) * F.one_hot(other, 3)
    expected = share * F.cross_entropy(logits, one) + (1 - share) * F.cross_entropy(logits, other)
    torch.testing.assert_close(values(module.loss(logits, batch_of(mixed)))["loss"], expected)


def test_measuring_is_not_smoothed() -> None:
    module = application(label_smoothing=0.5).eval()
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    torch.testing.assert_close(
        values(module.loss(logits, batch_of(labels)))["loss"], F.cross_entropy(logits, labels)
    )


def test_auxiliary_losses_count_for_their_weight() -> None:
    module, labels = application(), torch.tensor([0, 1, 2, 0])
    logits, first, second = torch.randn(3, 4, 3)
    parts = values(module.loss(AuxiliaryLogits(logits, (first, second), 0.3), batch_of(labels)))
    losses = [F.cross_entropy(values, labels) for values in (logits, first, second)]
    torch.testing.assert_close(parts["main"], losses[0])
    torch.testing.assert_close(parts["auxiliary"], losses[1] + losses[2])
    torch.testing.assert_close(parts["loss"], losses[0] + 0.3 * (losses[1] + losses[2]))


def test_googlenet_trains_its_auxiliary_heads_and_answers_without() -> None:
    module = application(GoogLeNet(3, 16, width=0.05), size=16)
    batch = module.example()
    assert values(module.loss(module.train().training_outputs(batch), batch)).keys() == {
        "loss",
        "main",
        "auxiliary",
    }
    assert module.eval()(module.inputs(batch)).probabilities.shape == (2, 3)


def test_loss_and_answer_are_float32_in_mixed_precision() -> None:
    module = application()
    batch = module.example()
    with torch.autocast("cpu", torch.bfloat16):
        inputs = module.inputs(batch)
        outputs = module.outputs(inputs)
        loss, answer = values(module.loss(outputs, batch))["loss"], module.answer(outputs, inputs)
    assert outputs.dtype == torch.bfloat16
    assert (loss.dtype, answer.probabilities.dtype) == (torch.float32, torch.float32)


# ---- scores ---------------------------------------------------------------------------------------------


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Guo et al. 2017, equation 3: 15 bins of equal width."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * 15).astype(int) - 1, 0, 14)
    gaps = [
        abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in set(bins)
    ]
    return float(sum(gaps))


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_scores_equal_scikit_learn_s(classes: int) -> None:
    module = application(classes=classes)
    metrics = module.build_metrics()
    answers, labels = [some_answer(40, classes) for _ in range(3)], torch.randint(classes, (3, 40))
    for answer, truth in zip(answers, labels, strict=True):
        module.score(metrics, answer, LabelBatch(torch.empty(40, 3, 8, 8), truth))
    found = metrics.compute()
    p, y = torch.cat([answer.probabilities for answer in answers]).numpy(), labels.flatten().numpy()
    assert found["accuracy"].item() == pytest.approx(reference.accuracy_score(y, p.argmax(1)))
    assert found["f1"].item() == pytest.approx(reference.f1_score(y, p.argmax(1), average="macro"))
    assert found["ece"].item() == pytest.approx(calibration_error(p, y), abs=1e-5)
    assert np.array_equal(found["confusion"].numpy(), reference.confusion_matrix(y, p.argmax(1)))
    assert ("top5" in found) == (classes > 5)
    if classes > 5:
        expected = reference.top_k_accuracy_score(y, p, k=5, labels=range(classes))
        assert found["top5"].item() == pytest.approx(expected)


def test_top5_and_accuracy_stay_apart_after_a_batch_in_which_they_agree() -> None:
    module = application(classes=6)
    metrics = module.build_metrics()
    sure = torch.tensor([[0.4, 0.2, 0.15, 0.12, 0.08, 0.05]])
    for label in (0, 1):
        module.score(metrics, ClassAnswer(sure), LabelBatch(torch.empty(1, 3, 8, 8), torch.tensor([label])))
    assert {name: metrics.compute()[name].item() for name in ("accuracy", "top5")} == {
        "accuracy": 0.5,
        "top5": 1,
    }


def test_the_confusion_matrix_is_left_out_where_it_would_fill_the_memory() -> None:
    module = application(Recorder(), classes=1001)
    metrics = module.build_metrics()
    assert "confusion" not in metrics
    assert module.presentation.figures({}) == {}


def test_the_baseline_answers_with_the_largest_class_of_training() -> None:
    module = application(class_counts=[10, 70, 20])
    batch = batch_of(torch.tensor([1, 1, 0, 2]))
    answer = module.baselines(batch)["majority"]
    torch.testing.assert_close(answer.probabilities, torch.tensor([[0.1, 0.7, 0.2]]).expand(4, 3))
    metrics = module.build_metrics()
    module.score(metrics, answer, batch)
    assert metrics.compute()["accuracy"].item() == 0.5
    uniform = application().baselines(batch)["majority"].probabilities
    torch.testing.assert_close(uniform, torch.full((4, 3), 1 / 3))


def test_describe_lists_the_likeliest_classes() -> None:
    module = application(classes=7)
    answer = some_answer(3, 7)
    rows = json.loads(json.dumps(module.presentation.describe(ImageInputs(torch.empty(0)), answer)))
    for row, probabilities in zip(rows, answer.probabilities, strict=True):
        assert row["class"] == f"kind {int(probabilities.argmax())}"
        listed = [entry["probability"] for entry in row["top5"]]
        assert listed == pytest.approx(probabilities.sort(descending=True).values[:5].tolist())
    assert (
        len(
            application(classes=2).presentation.describe(ImageInputs(torch.empty(0)), some_answer(1, 2))[0][
                "top5"
            ]
        )
        == 2
    )


# ---- a whole run ----------------------------------------------------------------------------------------


class TwoTones(VisionData):
    """Dark, middle and light pictures of 8 x 8 pixels."""

    fields = ("images", "labels")
    batch_type = LabelBatch

    def load(self, split: str, fields: tuple[str, ...]) -> TensorSamples:
        labels = torch.arange(48) % 3
        noise = torch.randint(-20, 20, (48, 3, 8, 8), generator=torch.Generator().manual_seed(len(split)))
        images = (40 + 85 * labels[:, None, None, None] + noise).to(torch.uint8)
        return TensorSamples(images=images, labels=labels)


@pytest.mark.slow
def test_a_run_learns_and_logs() -> None:
    module = application(
        optimizer=lambda groups: torch.optim.Adam(groups, lr=0.05), class_counts=[16, 16, 16]
    )
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_epochs=12, accelerator="cpu", enable_model_summary=False, **quiet)
    data = TwoTones(batch_size=16)
    trainer.fit(module, datamodule=data)
    assert {"val/loss", "val/accuracy", "val/f1", "val/ece", "train/loss"} <= trainer.callback_metrics.keys()
    (scores,) = trainer.test(module, datamodule=data, verbose=False)
    assert scores["test/accuracy"] > 0.9
    assert scores["test/majority/accuracy"] == pytest.approx(1 / 3)
    assert scores["test/loss"] < math.log(3) / 2
    assert module.stage("test").figures["test/confusion"].dtype == torch.uint8


# ---- weights of classes ---------------------------------------------------------------------------------


def logits_and_labels(classes: int = 3) -> tuple[Tensor, LabelBatch]:
    labels = torch.tensor([0, 0, 0, 2, 1, 2, 0])
    return torch.randn(7, classes), LabelBatch(torch.zeros(7, 3, 8, 8, dtype=torch.uint8), labels)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    counts = [60, 30, 10]
    module = application(class_counts=counts, class_weights="balanced")
    expected = compute_class_weight("balanced", classes=np.arange(3), y=np.repeat(np.arange(3), counts))
    assert module.class_weights is not None
    assert module.class_weights.tolist() == pytest.approx(expected.tolist())
    assert "class_weights" not in module.state_dict()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weights_count_in_training_alone(smoothing: float) -> None:
    weights = [1.0, 0.5, 4.0]
    module = application(class_weights=weights, label_smoothing=smoothing)
    logits, batch = logits_and_labels()
    expected = F.cross_entropy(logits, batch.labels, torch.tensor(weights), label_smoothing=smoothing)
    assert float(values(module.train().loss(logits, batch))["loss"]) == pytest.approx(float(expected))
    plain = F.cross_entropy(logits, batch.labels)
    assert float(values(module.eval().loss(logits, batch))["loss"]) == pytest.approx(float(plain))


def test_mixed_labels_are_weighted_by_their_shares() -> None:
    module = application(class_weights=[1.0, 0.5, 4.0]).train()
    logits, batch = logits_and_labels()
    one_hot = batch._replace(labels=F.one_hot(batch.labels, 3).float())
    found, expected = (float(values(module.loss(logits, one))["loss"]) for one in (one_hot, batch))
    assert found == pytest.approx(expected)


def test_a_class_without_images_and_wrong_weights() -> None:
    module = application(class_counts=[5, 0, 15], class_weights="balanced")
    assert module.class_weights is not None
    assert module.class_weights.tolist() == pytest.approx([20 / 15, 0, 20 / 45])
    for wrong in ([], [1.0, 2.0], [1.0, -1.0, 1.0], [0.0, 0.0, 0.0]):
        with pytest.raises(ConfigError, match=r"class_weights: .*expected 3 weights of 0 or more.*kind 2"):
            application(class_weights=wrong)
    with pytest.raises(ConfigError, match="balanced, but the data do not count their classes"):
        application(class_weights="balanced")
    with pytest.raises(ConfigError, match="class_weights: even; expected balanced, a list, or null"):
        application(class_weights="even")

"""R-CNN's second stage against scikit-learn, on hand-made regions, and on a detector from end to end."""

import io

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC
from torch import Tensor
from torchvision.ops import box_iou

from vision_apps.applications.detection import box_codec, stage2
from vision_apps.applications.detection.proposers import Windows
from vision_apps.applications.detection.region import WEIGHTS, RegionDetector
from vision_apps.applications.detection.region_features import Pooled
from vision_apps.applications.detection.region_head import Head
from vision_apps.applications.detection.stage2 import FitStage2, collect, fit_ridge, fit_stage2, fit_svm
from vision_apps.applications.detection.types import DetectionBatch, Target
from vision_apps.core.errors import ConfigError
from vision_apps.core.loader import BatchLoader
from vision_apps.core.losses import values
from vision_apps.networks.backbones import Small

NONE = torch.zeros(0, 4)


def test_an_svm_is_that_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(300, 5, generator=generator)
    positive = (
        features @ torch.tensor([2.0, -1, 0.5, 0, 0]) + 0.8 * torch.randn(300, generator=generator) > 0.7
    )
    found = fit_svm(features, positive, ~positive, penalty=0.1)
    reference = LinearSVC(C=0.1, loss="squared_hinge", tol=1e-8, max_iter=100_000, intercept_scaling=1000.0)
    reference.fit(features.numpy(), positive.numpy())  # the large scale all but frees the intercept
    np.testing.assert_allclose(found.weight.numpy(), reference.coef_[0], atol=2e-3)
    assert found.bias.item() == pytest.approx(reference.intercept_[0], abs=2e-3)


def test_mined_negatives_give_the_svm_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2000, 4, generator=generator)
    positive = features[:, 0] > 2
    positive[::7] = False
    negative = ~positive & (features[:, 0] < 1.8)
    whole = fit_svm(features, positive, negative, penalty=0.1)
    monkeypatch.setattr(stage2, "EASY", 30)
    mined = fit_svm(features, positive, negative, penalty=0.1, rounds=5)
    start = fit_svm(features, positive, negative, penalty=0.1, rounds=0)
    torch.testing.assert_close(mined.weight, whole.weight, rtol=0.02, atol=0.02)
    assert (start.weight - whole.weight).norm() > 2 * (mined.weight - whole.weight).norm()


def test_a_class_without_positives_is_never_answered() -> None:
    features = torch.randn(20, 3)
    nobody = torch.zeros(20, dtype=torch.bool)
    found = fit_svm(features, nobody, ~nobody)
    assert (features @ found.weight + found.bias == -1).all()


@pytest.mark.parametrize("penalty", [1.0, 1000.0])
def test_a_ridge_is_that_of_scikit_learn(penalty: float) -> None:
    features, targets = torch.randn(80, 6) + 3, torch.randn(80, 4)
    found = fit_ridge(features, targets, penalty)
    reference = Ridge(alpha=penalty).fit(features.numpy(), targets.numpy())
    np.testing.assert_allclose(found.weight.numpy(), reference.coef_, atol=1e-5)
    np.testing.assert_allclose(found.bias.numpy(), reference.intercept_, atol=1e-5)
    nothing = fit_ridge(features[:0], targets[:0])
    assert not nothing.weight.any() and not nothing.bias.any()


def test_what_is_positive_negative_and_near() -> None:
    target = Target(
        torch.tensor([[0.0, 0, 10, 10], [40, 40, 50, 50]]),
        torch.tensor([2, 0]),
        torch.tensor([[70.0, 70, 90, 90]]),
    )
    proposals = torch.tensor(
        [[0.0, 0, 10, 14], [0, 0, 10, 25], [60, 60, 65, 65], [72, 72, 80, 80]]  # IoU .71, .4, 0, ignored
    )
    boxes = torch.cat([target.boxes, proposals])
    features = torch.arange(6.0)[:, None]
    found = collect(features, boxes, target, 3)
    assert found.positive.nonzero().tolist() == [[0, 2], [1, 0]]  # the objects themselves, nothing else
    assert found.negative[:, 2].tolist() == [False, True, False, False, True, False]
    assert found.negative[:, 0].tolist() == [True, False, True, True, True, False]
    assert found.near_features.tolist() == [[2.0]] and found.near_labels.tolist() == [2]
    expected = box_codec.encode(target.boxes[:1], proposals[:1], WEIGHTS)
    torch.testing.assert_close(found.near_deltas, expected)


def test_a_picture_without_objects_gives_negatives() -> None:
    empty = Target(NONE, torch.zeros(0, dtype=torch.int64), NONE)
    found = collect(torch.randn(2, 3), torch.tensor([[0.0, 0, 5, 5], [1, 1, 8, 8]]), empty, 2)
    assert found.negative.all() and not found.positive.any() and not len(found.near_labels)


def detector(classifier: str = "svm") -> RegionDetector:
    torch.manual_seed(0)
    return RegionDetector(2, Small(16), Windows(), Pooled(4), Head(32, classifier=classifier))


def pictures(count: int) -> tuple[Tensor, list[Target]]:
    generator = torch.Generator().manual_seed(0)
    pixels = 0.2 * torch.randn(count, 3, 64, 64, generator=generator)
    targets = []
    for number in range(count):
        left, top = 3 * (number % 8), 40 - 5 * (number % 7)
        pixels[number, :, top : top + 20, left : left + 20] += 3 * (-1) ** number
        box = torch.tensor([[left, top, left + 20, top + 20]], dtype=torch.float32)
        targets.append(Target(box, torch.tensor([number % 2]), NONE))
    return pixels, targets


def test_the_fitted_stage_finds_the_objects_and_stays_in_the_checkpoint() -> None:
    network, (pixels, targets) = detector(), pictures(24)
    network.eval()
    before = network.head.decide(network(pixels).head)[0]
    torch.testing.assert_close(before, network(pixels).head.logits.softmax(dim=1)[:, :-1])

    with torch.inference_mode():  # as a validation is
        fit_stage2(network, [(pixels[:16], targets[:16], None), (pixels[16:], targets[16:], None)])
        outputs = network(pixels)
        scores, deltas = network.head.decide(outputs.head)
        found = network.detect(outputs)
    assert not network.training and deltas is not None and deltas.shape == (len(scores), 2, 4)
    assert any(len(answer.boxes) for answer in found)
    of_picture = scores.split([len(boxes) for boxes in outputs.regions])
    for label in (0, 1):  # features of an untrained network are enough for bright and dark squares
        good, bad = [], []
        for marks, boxes, target in zip(of_picture, outputs.regions, targets, strict=True):
            overlaps = box_iou(boxes, target.boxes)[:, 0] * (target.labels[0] == label)
            good.append(marks[overlaps >= 0.5, label])
            bad.append(marks[overlaps < 0.3, label])
        in_order = (torch.cat(good)[:, None] > torch.cat(bad)).float().mean()
        assert in_order > 0.9, in_order

    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    again = detector().eval()
    again.load_state_dict(torch.load(file, weights_only=True))
    with torch.inference_mode():
        torch.testing.assert_close(again.head.decide(again(pixels).head)[0], scores)


def test_the_softmax_stays_with_the_loss() -> None:
    network, (pixels, targets) = detector(), pictures(4)
    fit_stage2(network.train(), [(pixels, targets, None)])
    assert network.training
    values(network.loss(network(pixels, targets), targets))["loss"].backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.head\.classifier: softmax.*model\.head\.classifier=svm"):
        fit_stage2(detector("softmax"), [])


class Samples:
    in_memory = True

    def __init__(self, count: int) -> None:
        pixels, targets = pictures(count)
        self.fields = {
            "images": (pixels * 20 + 128).clamp(0, 255).to(torch.uint8),
            "boxes": torch.stack([target.boxes for target in targets]),
            "box_labels": torch.stack([target.labels for target in targets]),
            "ignored": torch.zeros(count, 1, dtype=torch.bool),
            "sizes": torch.full((count, 2), 64),
            "proposals": torch.zeros(count, 0, 4),
        }

    def __len__(self) -> int:
        return len(self.fields["images"])

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        return {name: field[indices] for name, field in self.fields.items()}


def test_the_callback_fits_before_each_validation() -> None:
    from vision_apps.applications.detection.module import Detection

    class Data(pl.LightningDataModule):
        def samples(self, split: str) -> Samples:
            return Samples(45)

        def train_dataloader(self) -> BatchLoader:
            return BatchLoader(Samples(4), DetectionBatch, batch_size=4)

        val_dataloader = train_dataloader

    network = detector()
    module = Detection(network, 2, ["bright", "dark"], 64, [0.5] * 3, [0.2] * 3, optimizer=torch.optim.SGD)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=1,
        callbacks=[FitStage2(images=30)],
    )
    counted: list[int] = []
    original = stage2.collect

    def counting(*arguments: object) -> object:
        counted.append(1)
        return original(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage2, "collect", counting)
        trainer.fit(module, Data())
    assert network.head.fitted and network.head.svm_weight.any()
    assert len(counted) == 30

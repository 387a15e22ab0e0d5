"""A last layer that starts from the means of the classes."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from vision_apps.applications.classification.imprinting import imprinted
from vision_apps.applications.classification.module import Classification
from vision_apps.applications.classification.types import LabelBatch
from vision_apps.applications.classification.zoo import ZooNetwork
from vision_apps.core.config.fine_tuning import settle, shares

SIDE = 4


def some(seed: int, classes: int, of_each: int, width: int = 12) -> tuple[Tensor, Tensor]:
    """Features as a network's last ones are, none negative, and their classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat(of_each)
    centres = 3 * torch.rand(classes, width, generator=generator)
    noise = torch.randn(len(labels), width, generator=generator)
    return (centres[labels] + noise).relu() + 0.1, labels


@given(st.integers(0, 99), st.integers(2, 5), st.integers(1, 4))
def test_the_largest_score_has_the_class_of_the_nearest_mean_by_angle(
    seed: int, classes: int, of_each: int
) -> None:
    features, labels = some(seed, classes, of_each)
    weights = imprinted(features, labels, classes)
    known, asked = features.double().numpy(), some(seed + 1, classes, 8)[0].double().numpy()
    unit = known / np.linalg.norm(known, axis=1, keepdims=True)
    means = [unit[labels.numpy() == label].mean(0) for label in range(classes)]
    cosines = np.array(
        [[x @ mean / np.linalg.norm(x) / np.linalg.norm(mean) for mean in means] for x in asked]
    )
    scores = torch.from_numpy(asked) @ weights.double().T
    two = np.sort(cosines, axis=1)[:, -2:]
    clear = two[:, 1] - two[:, 0] > 1e-5
    assert np.array_equal(scores.argmax(1).numpy()[clear], cosines.argmax(1)[clear])


@given(st.integers(0, 99), st.floats(0.01, 100))
def test_neither_the_length_of_features_nor_their_order_counts(seed: int, scale: float) -> None:
    features, labels = some(seed, 3, 4)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    weights = imprinted(features, labels, 3)
    other = imprinted(scale * features[order], labels[order], 3)
    torch.testing.assert_close(scale * other, weights, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(weights.sum(0), torch.zeros(12), rtol=0, atol=1e-4)


def test_a_picture_like_the_mean_is_given_its_class_with_nine_tenths() -> None:
    features, labels = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)
    weights = imprinted(features, labels, 4)
    probabilities = (features @ weights.T).softmax(1)
    torch.testing.assert_close(probabilities[range(8), labels], torch.full((8,), 0.9))


def test_what_is_not_known_stays_at_zero() -> None:
    features, labels = some(0, 3, 2)
    weights = imprinted(features, 2 * labels, 6)
    known, scores = imprinted(features, labels, 3), features @ weights.T
    assert not weights[1::2].any(), "classes without a picture"
    assert torch.equal(scores[:, ::2].argmax(1), (features @ known.T).argmax(1))
    assert not imprinted(torch.ones(4, 5), torch.tensor([0, 1, 0, 1]), 2).any()
    assert not imprinted(features, torch.zeros_like(labels), 3).any()


def application(starts_from: str) -> Classification:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
    network = ZooNetwork(body, True, SIDE, [0.5] * 3, [0.5] * 3, starts_from)
    return Classification(network, 3, ["a", "b", "c"], SIDE, [0.5] * 3, [0.25] * 3)


def test_published_weights_start_from_the_means_and_random_numbers_do_not() -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (6, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    batch = LabelBatch(images, torch.tensor([0, 1, 2, 0, 1, 2]))
    plain = application("random numbers")
    assert plain.prepare_samples == 0

    module = application("a file")
    assert module.prepare_samples > 0
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module.train()
    module.prepare(batch)
    assert module.training and module.network.backbone.training
    changed = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"network.head.weight"}, "no statistics are counted"
    module.eval()
    with torch.no_grad():
        features = module.network.backbone(module._pixels(images))
    expected = imprinted(features, batch.labels, 3)
    torch.testing.assert_close(module.network.head.weight, expected)


def test_few_pictures_a_class_leave_the_means_as_they_are() -> None:
    module = application("a file")
    assert module.kept is None, "how many there are is not known"
    for counts, expected in (([2, 2, 4], "head"), ([3, 3, 3], None), ([1, 7, 1], None)):
        module.class_counts = counts
        assert module.kept == expected
    plain = application("random numbers")
    plain.class_counts = [1, 1, 1]
    assert plain.kept is None


def test_a_run_of_few_pictures_keeps_its_last_layer() -> None:
    for asked, kept, frozen in (("auto", "head", "head"), ("auto", None, None), (None, "head", None)):
        config = {"freeze": asked, "batch_norm": "batch"}
        chosen = settle(config, True, 0.1, kept)
        assert config["freeze"] == frozen and ("freeze" in chosen) == bool(frozen and asked)
    assert shares("auto") == {}

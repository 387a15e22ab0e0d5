"""The exact truth of colorization on scenes, against samples and against brute force."""

import math

import numpy as np
import pytest
import torch

from vision_apps.applications.colorization import scenes_truth
from vision_apps.applications.colorization.ab_bins import ab_bins, soft_encode
from vision_apps.applications.colorization.lab import rgb_to_ab
from vision_apps.data.scenes.colors import MATERIAL_ROWS, palette
from vision_apps.data.scenes.data import Scenes


@pytest.fixture(scope="module")
def drawn() -> dict[str, torch.Tensor]:
    data = Scenes(image_size=16, train_images=1200, world_seed=8)
    return data.load("train", ("images", "materials")).fields


def standard_score(per_scene: torch.Tensor) -> float:
    """Of a mean that should be 0; scenes are independent, the pixels of one are not."""
    return float(per_scene.mean() / (per_scene.std() / math.sqrt(len(per_scene))))


@pytest.mark.parametrize("channel", [0, 1])
def test_expected_ab_is_the_mean_of_what_is_drawn(drawn: dict[str, torch.Tensor], channel: int) -> None:
    error = rgb_to_ab(drawn["images"]) - scenes_truth.expected_ab(drawn["materials"])
    assert error[:, channel].abs().mean() > 5  # colours are open, or the test shows nothing
    assert abs(standard_score(error[:, channel].mean((1, 2)))) < 3.5


def test_expected_ab_beats_any_other_constant_per_material(drawn: dict[str, torch.Tensor]) -> None:
    ab = rgb_to_ab(drawn["images"])
    best = scenes_truth.expected_ab(drawn["materials"])
    losses = [(ab - best * scale).square().mean() for scale in (1.0, 0.8, 1.2)]
    assert losses[0] == min(losses)


def test_floor_is_the_cross_entropy_of_the_ideal_prediction(drawn: dict[str, torch.Tensor]) -> None:
    images, materials = drawn["images"], drawn["materials"]
    probabilities, colors = palette()
    used, row = materials.long().unique(return_inverse=True)
    soft = soft_encode(rgb_to_ab(colors[used].permute(2, 0, 1)[None]))  # [1, K, M, C]
    dense = torch.zeros(len(used), colors.shape[1], 313).scatter_(
        2, soft.indices[0].permute(1, 2, 0), soft.weights[0].permute(1, 2, 0)
    )
    ideal = torch.einsum("mc,mcq->mq", probabilities[used], dense)
    target = soft_encode(rgb_to_ab(images))
    log_ideal = ideal[row[:, None].expand_as(target.indices), target.indices].log()
    loss = -(target.weights * log_ideal).sum(1)
    excess = loss - scenes_truth.floor(materials)
    assert excess.std() > 0.1
    assert abs(standard_score(excess.mean((1, 2)))) < 3.5


@pytest.mark.parametrize("material", ["brass", "apple", "any"])
@pytest.mark.parametrize("neighbours", [5, 10])
def test_floor_by_brute_force(material: str, neighbours: int) -> None:
    row = MATERIAL_ROWS[material] + 150
    expected = np.zeros(313)
    bins = ab_bins().double().numpy()
    for probability, color in zip(palette().probabilities[row], palette().colors[row], strict=True):
        ab = rgb_to_ab(color[None, :, None, None])[0, :, 0, 0].double().numpy()
        square = ((bins - ab) ** 2).sum(1)
        near = np.argsort(square)[:neighbours]
        weight = np.exp(-square[near] / (2 * 5.0**2))
        expected[near] += float(probability) * weight / weight.sum()
    entropy = -sum(p * math.log(p) for p in expected if p > 0)
    assert float(scenes_truth.floor(torch.tensor([[row]]), neighbours)) == pytest.approx(entropy, abs=1e-4)


def test_open_colors_cost_more() -> None:
    rows = torch.tensor([MATERIAL_ROWS[material] + 150 for material in ("brass", "apple", "any")])
    one, two, free = scenes_truth.floor(rows).tolist()
    assert one + 0.3 < two < free - 0.8


def test_shapes_and_strides() -> None:
    materials = torch.randint(0, len(palette().colors), (2, 8, 12), dtype=torch.int16)
    ab, floor = scenes_truth.expected_ab(materials), scenes_truth.floor(materials)
    assert ab.shape == (2, 2, 8, 12)
    assert floor.shape == (2, 8, 12)
    assert torch.equal(scenes_truth.expected_ab(materials[:, ::4, ::4]), ab[..., ::4, ::4])

"""Regions are looked at as places are: by where they lie, and whatever stands past them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from vision_apps.applications.captioning.attention_lstm import AttentionLstm
from vision_apps.applications.captioning.module import Captioning
from vision_apps.applications.captioning.pictures import Weighed, over, page
from vision_apps.applications.captioning.pointing import Regions, pointing
from vision_apps.applications.captioning.regions import box_features, places_of, with_whole
from vision_apps.applications.captioning.types import CaptionBatch, CaptionInputs
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.core.losses import values
from vision_apps.data.augmentation.crops import Flip
from vision_apps.data.captions.words import END, SPECIAL
from vision_apps.networks.backbones import Small

WORDS = [*SPECIAL, "red", "blue", "left", "right"]
BOXES = torch.tensor(
    [[[0.0, 0, 8, 16], [8, 0, 16, 16], [0] * 4], [[2.0, 4, 6, 12], [0] * 4, [0] * 4], [[0] * 4] * 3]
)


def module(features: Any, width: int | None = None, **settings: Any) -> Captioning:
    torch.manual_seed(0)
    network = AttentionLstm(
        Small(width=16), WORDS, 16, 32, 16, dropout=0, features=features, regions="files", region_width=width
    )
    facts = {"max_words": 3, "image_size": 16, "mean": [0.5] * 3, "std": [0.25] * 3}
    return Captioning(network, WORDS, **facts, **settings)  # type: ignore[arg-type]


def pictures(count: int = 3) -> Tensor:
    return torch.randint(256, (count, 3, 16, 16), dtype=torch.uint8)


def test_a_box_is_read_as_the_mean_of_the_map_that_it_covers() -> None:
    maps = torch.rand(2, 5, 4, 6)
    boxes = torch.tensor([[[0.0, 0, 12, 8], [2, 2, 6, 8]], [[4, 4, 8, 6], [0, 0, 2, 2]]])
    found = box_features(maps, boxes, (8, 12))
    # whole cells of two pixels: all points of a cell average to what a smooth map has there
    ramp = torch.arange(6.0).expand(1, 1, 4, 6)
    middle = box_features(ramp, torch.tensor([[[4.0, 2, 8, 6]]]), (8, 12))
    assert middle.item() == pytest.approx(2.5)  # columns 2 and 3
    assert found.shape == (2, 2, 5) and found.dtype == torch.float32
    flat = box_features(torch.full((1, 3, 4, 6), 7.0), boxes[:1], (8, 12))
    torch.testing.assert_close(flat, torch.full((1, 2, 3), 7.0))
    # the same whatever the pixels of the picture are called
    torch.testing.assert_close(box_features(maps, 10 * boxes, (80, 120)), found)


def test_places_and_regions_have_one_geometry() -> None:
    whole = places_of(torch.tensor([[[0.0, 0, 12, 8]]]), (8, 12))
    assert whole.tolist() == [[[0, 0, 2, 2]]]
    corner = places_of(torch.tensor([[[9.0, 6, 12, 8]]]), (8, 12))
    assert corner.tolist() == [[[0.75, 0.75, 0.5, 0.5]]]


def test_without_a_region_the_whole_picture_is_one() -> None:
    found = with_whole(BOXES, (16, 16))
    assert found[:, -1].tolist() == [[0] * 4, [0] * 4, [0, 0, 16, 16]]
    assert torch.equal(found[:, :-1], BOXES)


@pytest.mark.slow
@pytest.mark.parametrize("features", ["regions", "grid+regions"])
@pytest.mark.parametrize("width", [None, 7])
def test_what_is_said_heeds_the_regions_and_nothing_past_them(features: str, width: int | None) -> None:
    own = module(features, width).eval()
    images = pictures()
    given = torch.rand(3, 3, width) if width else None
    further = None if given is None else torch.cat((given, torch.rand(3, 2, given.shape[2])), dim=1)
    with torch.inference_mode():
        answer = own(CaptionInputs(images, BOXES, given))
        more = own(CaptionInputs(images, torch.cat((BOXES, torch.zeros(3, 2, 4)), dim=1), further))
        moved = own(
            CaptionInputs(images, BOXES[:, [1, 0, 2]], None if given is None else given[:, [1, 0, 2]])
        )
    assert answer.region_boxes is not None and answer.region_weights is not None
    torch.testing.assert_close(answer.log_probabilities, more.log_probabilities)
    torch.testing.assert_close(answer.log_probabilities, moved.log_probabilities)
    sums = answer.maps.flatten(3).sum(-1) + answer.region_weights.sum(-1)
    torch.testing.assert_close(sums, (answer.words > 0).to(sums))
    assert (answer.region_weights[1, ..., 1:3] == 0).all(), "rows that are no regions"
    assert answer.maps.shape[-2:] == ((0, 0) if features == "regions" else (2, 2))
    torch.testing.assert_close(answer.region_boxes[:, :3], BOXES)


@pytest.mark.slow
@pytest.mark.parametrize("width", [None, 7])
def test_every_parameter_learns_and_the_truth_alone_is_taught(width: int | None) -> None:
    own = module("grid+regions", width)
    example = own.example()
    own.train()
    values(own.loss(own.training_outputs(example), example))["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in own.parameters())


@pytest.mark.slow
def test_regions_alone_tell_what_the_picture_does_not() -> None:
    """Of pictures that are all alike, only the boxes say which side is meant."""
    own = module("regions")
    images = torch.full((2, 3, 16, 16), 90, dtype=torch.uint8)
    boxes = torch.tensor([[[0.0, 4, 6, 12]], [[10.0, 4, 16, 12]]])
    captions = torch.tensor([[[5, END]], [[6, END]]])
    batch = CaptionBatch(images, captions, regions=boxes)
    optimizer = torch.optim.Adam(own.parameters(), 0.02)
    for _ in range(30):
        loss = values(own.loss(own.training_outputs(batch), batch))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    own.eval()
    with torch.inference_mode():
        assert own(own.inputs(batch)).words[:, 0, 0].tolist() == [5, 6]
        assert own(own.inputs(batch._replace(regions=boxes.flip(0)))).words[:, 0, 0].tolist() == [6, 5]


def test_flips_move_the_regions() -> None:
    batch = CaptionBatch(
        pictures(1),
        torch.zeros(1, 1, 2, dtype=torch.int64),
        regions=torch.tensor([[[0.0, 2, 5, 9], [0] * 4]]),
        region_features=torch.tensor([[[3.0], [0]]]),
    )
    flipped = Flip(p=1, axis="vertical")
    with pytest.raises(ConfigError, match="left and right"):
        flipped(batch)  # captions may say it
    after = Flip(p=1)(CaptionInputs(batch.images, batch.regions, batch.region_features))
    assert after.regions is not None and after.region_features is not None
    assert after.regions.tolist() == [[[11, 2, 16, 9], [0] * 4]]
    assert after.region_features.tolist() == [[[3], [0]]]


def test_a_person_gives_boxes_in_pixels_of_the_picture() -> None:
    own = module("grid+regions")
    images = torch.zeros(1, 3, 50, 40, dtype=torch.uint8)
    inputs = own.encode(images, {"regions": "1,2,30,40; 35,0,60,10"})
    assert inputs.regions is not None
    assert inputs.regions.tolist() == [[[1, 2, 30, 40], [35, 0, 40, 10]]]
    seen = own._seen(inputs)
    assert seen.regions is not None
    torch.testing.assert_close(seen.regions[0, 0], torch.tensor([0.4, 0.64, 12, 12.8]))
    for text in ("1,2,3", "5,5,1,1"):
        with pytest.raises(DataError, match="x1,y1,x2,y2"):
            own.encode(images, {"regions": text})
    with pytest.raises(DataError, match="--with regions="):
        own(own.encode(images, {}))
    with pytest.raises(DataError, match="taught with 7 numbers"):
        module("regions", 7).encode(images, {"regions": "1,2,3,4"})


def test_boxes_that_nobody_looks_at_are_refused() -> None:
    def network(**settings: Any) -> None:
        AttentionLstm(Small(width=16), WORDS, **settings)

    with pytest.raises(ConfigError, match=r"data\.regions=null"):
        network(regions="files")
    with pytest.raises(ConfigError, match=r"data\.regions=RUN"):
        network(features="regions")
    with pytest.raises(ConfigError, match=r"grid\+regions"):
        network(features="both")


def test_a_region_points_with_its_centre() -> None:
    """Of a map of 1 x 2 and two regions, one of which is none, the maximum of all counts."""
    words = torch.tensor([[4, 4, 4]])
    boxes, labels = torch.tensor([[[8.0, 0, 16, 8]]]), torch.tensor([[0]])
    maps = torch.tensor([[[[0.5, 0.1]], [[0.1, 0.5]], [[0.3, 0.1]]]])
    regions = Regions(
        torch.tensor([[[6.0, 0, 14, 8], [0] * 4]]), torch.tensor([[[0.4, 0], [0.4, 0], [0.6, 0]]])
    )
    found = pointing(words, maps, boxes, labels, {4: 0}, (8, 16), regions)
    assert found.hits.tolist() == [False, True, True]
    assert found.chance.tolist() == pytest.approx([2 / 3] * 3)
    alone = pointing(words, maps[..., :0, :0], boxes, labels, {4: 0}, (8, 16), regions)
    assert alone.hits.tolist() == [True] * 3 and alone.chance.tolist() == [1] * 3


def test_regions_are_lit_and_framed() -> None:
    image = torch.full((3, 32, 32), 200, dtype=torch.uint8)
    maps = over(torch.zeros(1, 0, 0), (32, 32), 16, "stretch")
    regions = Weighed(torch.tensor([[0.0, 0, 16, 32], [16, 0, 32, 32]]), torch.tensor([[0.9, 0.1]]))
    drawn = page(image, ["red"], maps, [], regions)
    tile = drawn[:, :96, 100:196].float().mean(0)
    assert tile[40:90, 10:40].mean() > 190 > 100 > tile[40:90, 60:90].mean()


def test_a_graph_has_no_regions() -> None:
    for features in ("regions", "grid+regions"):
        exportable = module(features).exportable
        assert exportable is not None
        assert f"model.features={features}" in (exportable.refusal() or "")

"""What ``data check`` draws of a sample."""

import torch

from vision_apps.data.drawn import drawn

FACTS = {"class_names": ["cat", "dog"], "palette": [[0, 0, 0], [255, 0, 0]]}


def test_a_plain_picture_is_enlarged_by_a_whole_factor() -> None:
    image = torch.randint(0, 256, (3, 50, 80), dtype=torch.uint8)
    picture = drawn({"images": image, "labels": torch.tensor(1)}, FACTS)
    assert picture.shape == (3, 200, 320)
    assert torch.equal(picture[:, ::4, ::4], image)


def test_boxes_are_outlined_where_they_are() -> None:
    sample = {
        "images": torch.zeros(3, 200, 200, dtype=torch.uint8),
        "boxes": torch.tensor([[20.0, 40, 120, 160], [0, 0, 0, 0]]),
        "box_labels": torch.tensor([1, -1]),
        "ignored": torch.tensor([False, False]),
    }
    lime = (drawn(sample, FACTS) == torch.tensor([0, 255, 0]).view(3, 1, 1)).all(0)
    assert lime[40, 25:115].all() and lime[45:155, 20].all()
    inside = lime[70:150, 40:110]
    assert not inside.any()
    sample["ignored"] = torch.tensor([True, False])
    assert (drawn(sample, FACTS)[:, 160, 70] == 128).all()


def test_a_sample_without_objects_stays() -> None:
    image = torch.randint(0, 256, (3, 160, 160), dtype=torch.uint8)
    sample = {"images": image, "boxes": torch.zeros(2, 4), "box_labels": torch.full((2,), -1)}
    assert torch.equal(drawn(sample, FACTS), image)


def test_masks_are_laid_over_and_what_is_ignored_stays() -> None:
    mask = torch.full((200, 200), 255, dtype=torch.uint8)
    mask[:100] = 1
    image = torch.full((3, 200, 200), 100, dtype=torch.uint8)
    picture = drawn({"images": image, "masks": mask}, FACTS)
    assert torch.equal(picture[:, 100:], image[:, 100:])
    red = torch.tensor([0.4 * 100 + 0.6 * 255, 40, 40])
    assert (picture[:, :100].float() - red.view(3, 1, 1)).abs().max() <= 1


def test_the_classes_of_a_picture_stand_below_it() -> None:
    image = torch.randint(0, 256, (3, 160, 200), dtype=torch.uint8)

    def line(*multi_hot: int) -> torch.Tensor:
        picture = drawn({"images": image, "multi_hot": torch.tensor(multi_hot, dtype=torch.uint8)}, FACTS)
        assert torch.equal(picture[:, :160], image)
        return picture[:, 160:]

    cat, dog, both, none = line(1, 0), line(0, 1), line(1, 1), line(0, 0)
    assert not torch.equal(cat, dog) and not torch.equal(cat, none)
    assert (both[:, :, :15] == cat[:, :, :15]).all(), "the first one comes first"
    assert (both < 128).sum() > (cat < 128).sum()

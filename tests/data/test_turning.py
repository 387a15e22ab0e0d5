"""Labels of pictures that EXIF says to turn."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from vision_apps.data.boxes.yolo import YoloFolder
from vision_apps.data.images import ORIENTATION, Header, header, read_image
from vision_apps.data.masks.coding import read_values
from vision_apps.data.masks.folder import MaskFolder
from vision_apps.data.turning import turned_boxes, turned_pixels

HEIGHT, WIDTH, BOX = 20, 32, (4, 3, 16, 9)  # of the pixels as they are stored


def stored() -> Image.Image:
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    return Image.fromarray(pixels)


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def save(path: Path, orientation: int, image: Image.Image | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or stored()).save(path, exif=exif(orientation))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_and_masks_turn_with_their_picture(tmp_path: Path, orientation: int, suffix: str) -> None:
    save(tmp_path / f"a{suffix}", orientation)
    known, seen = header(tmp_path / f"a{suffix}"), read_image(tmp_path / f"a{suffix}")
    assert (known.height, known.width) == seen.shape[-2:]
    assert known.stored == (HEIGHT, WIDTH)
    assert known.orientation == orientation
    (box,) = turned_boxes(np.array([BOX], np.float32), known)
    x1, y1, x2, y2 = map(int, box)
    assert seen[0, y1:y2, x1:x2].float().mean() > 200
    assert seen[0].float().mean() < 60  # nothing else is white
    mask = turned_pixels(np.array(stored())[..., 0] // 255, orientation)
    assert (seen[0][torch.from_numpy(np.ascontiguousarray(mask)) == 1]).float().mean() > 200


def test_a_header_without_a_sensible_tag_is_stored_as_seen(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", 9)
    assert header(tmp_path / "a.jpg") == Header(HEIGHT, WIDTH, 1)


class Boxes(NamedTuple):
    images: torch.Tensor
    boxes: torch.Tensor
    box_labels: torch.Tensor


class Masks(NamedTuple):
    images: torch.Tensor
    masks: torch.Tensor


def yolo(root: Path, orientation: int) -> None:
    x1, y1, x2, y2 = BOX
    line = f"0 {(x1 + x2) / 2 / WIDTH} {(y1 + y2) / 2 / HEIGHT} {(x2 - x1) / WIDTH} {(y2 - y1) / HEIGHT}\n"
    for number in range(8):
        save(root / "images" / f"{number}.jpg", orientation)
        (root / "labels").mkdir(exist_ok=True)
        (root / "labels" / f"{number}.txt").write_text(line)
    (root / "data.yaml").write_text("train: images\nnames: [a]\n")


@pytest.mark.parametrize("orientation", [3, 6])
def test_boxes_that_were_made_on_stored_pixels(tmp_path: Path, orientation: int) -> None:
    yolo(tmp_path, orientation)
    data = YoloFolder(str(tmp_path), labels_on="raw", image_size=32)
    data.batch_type = Boxes
    data.prepare_data()
    item = data.annotations["train"][0]
    x1, y1, x2, y2 = map(round, item.boxes[0].tolist())
    assert read_image(item.path)[0, y1:y2, x1:x2].float().mean() > 200
    assert [line for line in data.doctor() if "EXIF" in line] == []


def test_turned_pictures_are_told_where_nobody_says_what_labels_were_made_on(tmp_path: Path) -> None:
    yolo(tmp_path, 6)
    data = YoloFolder(str(tmp_path), image_size=32, on_bad_box="drop")
    data.batch_type = Boxes
    data.prepare_data()
    (line,) = [line for line in data.doctor() if "EXIF" in line]
    assert line.startswith("pictures: 8 of 8 are turned by their EXIF orientation, such as ")
    assert line.endswith("data.labels_on=raw; if not, data.labels_on=upright")
    assert any("EXIF" in line for line in data.obstacles())  # before the first step, too


@pytest.mark.parametrize("labels_on", ["raw", "upright", None])
def test_masks_that_were_made_on_stored_pixels(tmp_path: Path, labels_on: str | None) -> None:
    mask = Image.fromarray(np.array(stored())[..., 0] // 255)
    upright = ImageOps.exif_transpose(Image.fromarray(turned_pixels(np.array(mask), 6)))
    for number in range(8):
        save(tmp_path / "images" / f"{number}.jpg", 6)
        (tmp_path / "masks").mkdir(exist_ok=True)
        (mask if labels_on == "raw" else upright).save(tmp_path / "masks" / f"{number}.png")
    data = MaskFolder(str(tmp_path), labels_on=labels_on, class_names=["a", "b"], image_size=32)  # type: ignore[arg-type]
    data.batch_type = Masks
    data.prepare_data()
    sample = data.samples("train")[0]
    assert sample["images"][0][sample["masks"] == 1].float().mean() > 200
    assert sum("EXIF" in line for line in data.doctor()) == (labels_on is None)


def test_a_mask_with_a_tag_of_its_own_is_turned_by_that(tmp_path: Path) -> None:
    mask = np.array(stored())[..., 0] // 255
    save(tmp_path / "a.png", 8, Image.fromarray(mask))
    assert np.array_equal(read_values(tmp_path / "a.png", orientation=6), turned_pixels(mask, 8))

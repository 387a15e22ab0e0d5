"""What a prediction writes for COCO's evaluation."""

import json

from vision_apps.applications.captioning.presentation import CaptionPresentation
from vision_apps.data.captions.words import SPECIAL


def test_each_picture_has_an_id_of_its_own() -> None:
    ids = {
        "cat1.jpg": "cat1",  # a number that ends a name is none of COCO's
        "dog1.jpg": "dog1",
        "1001773457_577c3a7d70.jpg": "1001773457_577c3a7d70",  # Flickr's, whose second part is no number
        "997338199_7343367d70.png": "997338199_7343367d70",
        "000000000041.jpg": 41,
        "COCO_val2014_000000000043.jpg": 43,
        "a/000000000042.jpg": "a/000000000042.jpg",  # two with one number: neither has it
        "b/COCO_val2014_000000000042.jpg": "b/COCO_val2014_000000000042.jpg",
        "plain.jpg": "plain.jpg",
        "val/plain.jpg": "val/plain.jpg",
    }
    rows = [{"file": file, "caption": f"of {file}"} for file in ids]
    presentation = CaptionPresentation([*SPECIAL, "a"], (32, 32), "stretch")
    (written,) = presentation.closing_files(rows).values()
    results = json.loads(written)
    assert [one["image_id"] for one in results] == list(ids.values())
    assert [one["caption"] for one in results] == [f"of {file}" for file in ids]

"""Public sets of captions in their own formats, and what is told where a file is none of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vision_apps.core.errors import DataError
from vision_apps.data.captions.official import CocoCaptions, FlickrTokens, KarpathyCaptions
from vision_apps.data.captions.words import from_bytes

KINDS: list[Any] = [CocoCaptions, KarpathyCaptions, FlickrTokens]


def opened(kind: Any, arguments: dict[str, object]) -> Any:
    data = kind(**arguments)
    data.prepare_data()
    return data


@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_has_its_captions(kind: Any, tmp_path: Path) -> None:
    data = opened(kind, kind.fake(tmp_path))
    counts = {split: len(data.load(split, ("captions",))) for split in ("train", "val", "test")}
    if kind is CocoCaptions:
        assert counts["train"] + counts["val"] == counts["test"] == 16 and counts["val"]
    else:
        assert counts == {"train": 16, "val": 4, "test": 4}, "restval is trained on"
    texts = from_bytes(data.load("test", ("references",))[0]["references"])
    assert texts[1] == f"there 's {texts[0]}" and " square on the " in texts[0]


def changed(kind: Any, root: Path, name: str, change: Callable[[Any], object]) -> dict[str, object]:
    """The arguments of a fake of which one JSON file was changed."""
    arguments: dict[str, object] = kind.fake(root)
    content = json.loads((root / name).read_text())
    other = change(content)
    content = other if other == [1] else content
    (root / name).write_text(json.dumps(content))
    return arguments


LIST = "dataset_coco.json"
COCO = "annotations/captions_train2017.json"
BROKEN: list[tuple[Any, str, Callable[[Any], object], str]] = [
    (CocoCaptions, COCO, lambda c: [1], "expected an object with a list of objects 'images'"),
    (CocoCaptions, COCO, lambda c: c.pop("annotations"), "a list of objects 'annotations'"),
    (CocoCaptions, COCO, lambda c: c["images"][0].pop("id"), "image has no 'id'"),
    (CocoCaptions, COCO, lambda c: c["annotations"][0].pop("caption"), "annotation has no 'caption'"),
    (CocoCaptions, COCO, lambda c: c["annotations"][0].update(image_id=99), "of image 99, which is"),
    (KarpathyCaptions, LIST, lambda c: c["images"][3].update(split="x"), "is 'x'; expected"),
    (KarpathyCaptions, LIST, lambda c: c["images"][3].pop("sentences"), "has no 'sentences'"),
    (KarpathyCaptions, LIST, lambda c: c["images"][3].update(sentences=[{}]), "neither 'raw'"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "change", "told"), BROKEN)
def test_what_is_malformed_is_named(
    kind: Any, name: str, change: Callable[[Any], object], told: str, tmp_path: Path
) -> None:
    arguments = changed(kind, tmp_path, name, change)
    with pytest.raises(DataError) as caught:
        opened(kind, arguments)
    assert told in str(caught.value) and Path(name).name in str(caught.value)


def test_two_pictures_of_one_number_are_refused(tmp_path: Path) -> None:
    arguments = changed(CocoCaptions, tmp_path, COCO, lambda c: c["images"].append(c["images"][0]))
    with pytest.raises(DataError, match="two images have the id 0"):
        opened(CocoCaptions, arguments)


def test_tokens_alone_are_words(tmp_path: Path) -> None:
    arguments = changed(
        KarpathyCaptions,
        tmp_path,
        "dataset_coco.json",
        lambda c: [s.pop("raw") for image in c["images"] for s in image["sentences"]],
    )
    assert "square" in opened(KarpathyCaptions, arguments).vocabulary


def test_several_lists_need_a_name(tmp_path: Path) -> None:
    arguments = KarpathyCaptions.fake(tmp_path)
    (tmp_path / "dataset_flickr8k.json").write_text("{}")
    with pytest.raises(DataError, match=r"dataset_coco\.json, dataset_flickr8k\.json; data\.file says"):
        opened(KarpathyCaptions, arguments)
    opened(KarpathyCaptions, {**arguments, "file": "dataset_coco.json"})


def test_flickr_without_lists_holds_some_out_and_names_bad_lines(tmp_path: Path) -> None:
    arguments = FlickrTokens.fake(tmp_path)
    (tmp_path / "Flickr_8k.testImages.txt").write_text("other.jpg\n")
    with pytest.raises(DataError, match=r"testImages\.txt, line 1: other\.jpg has no caption in"):
        opened(FlickrTokens, arguments)
    for path in tmp_path.glob("Flickr_8k.*"):
        path.unlink()
    with pytest.raises(DataError, match="586949ec62"):  # without lists it is missed
        opened(FlickrTokens, arguments)
    data = opened(FlickrTokens, {**arguments, "on_corrupt": "skip"})
    assert {*data.drawn} == {"val", "test"}
    (tmp_path / "Flickr8k.token.txt").write_text("a.jpg a cat\n")
    with pytest.raises(DataError, match=r"token\.txt, line 1: expected 'name\.jpg#0', a tabulator"):
        opened(FlickrTokens, arguments)


@pytest.mark.parametrize(
    ("entries", "change", "why"),
    [
        ("annotations", {"caption": None}, "a caption of image 0 is None; expected text"),
        ("annotations", {"caption": ["x", "y"]}, r"a caption of image 0 is \['x', 'y'\]; expected text"),
        ("images", {"file_name": None}, "the file_name of image 0 is None; expected text"),
        ("images", {"id": [0]}, r"an image has the id \[0\]; expected a number"),
        ("annotations", {"image_id": [0]}, r"a caption is of image \[0\], which is not among"),
    ],
)
def test_what_is_no_text_is_never_learned_as_words(
    tmp_path: Path, entries: str, change: dict[str, Any], why: str
) -> None:
    CocoCaptions.fake(tmp_path)
    file = tmp_path / "annotations/captions_train2017.json"
    content = json.loads(file.read_text())
    content[entries][0] |= change
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=why):
        CocoCaptions(str(tmp_path)).prepare_data()


@pytest.mark.parametrize("change", [{"filepath": 3}, {"sentences": None}])
def test_an_image_of_karpathy_that_lacks_its_parts(tmp_path: Path, change: dict[str, Any]) -> None:
    KarpathyCaptions.fake(tmp_path)
    file = tmp_path / "dataset_coco.json"
    content = json.loads(file.read_text())
    content["images"][0] |= change
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"the filepath of COCO_val\w+\.jpg is .* expected text and a list"):
        KarpathyCaptions(str(tmp_path)).prepare_data()

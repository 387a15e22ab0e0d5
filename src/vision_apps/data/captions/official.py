"""Captions of public sets in their own formats: COCO's JSON, Karpathy's splits, Flickr's token files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError
from vision_apps.data.captions.data import CaptionData, Captioned
from vision_apps.data.captions.fakes import fake_pictures
from vision_apps.data.text import numbered_lines, read_bytes


class CocoCaptions(CaptionData):
    """COCO's captions (Chen et al., arXiv:1504.00325, 2015), or your own in its JSON: ``images`` with ``id``
    and ``file_name``, ``annotations`` with ``image_id`` and ``caption``.

    The official validation pictures are the test split, because results are reported on them; those to choose
    a checkpoint with are ``val_fraction`` of the training pictures.

    Args:
        train_json, val_json, test_json: below ``root``; a split without one is held out. Pictures are looked
            for in folders that are called as the end of the file's name (``train2017``), and in ``images``.
    """

    title = "COCO captions"
    layout = (
        "root/annotations/captions_train2017.json and captions_val2017.json, root/train2017/*.jpg and "
        "root/val2017/*.jpg"
    )
    remedy = (
        "Its pictures belong to their Flickr authors, so it is not fetched for you: 19 GB train2017.zip, "
        "1 GB val2017.zip and 0.25 GB annotations_trainval2017.zip from "
        "https://cocodataset.org/#download; unzip them into one folder, then data.root=/path/to/it"
    )

    def __init__(
        self,
        root: str,
        *,
        train_json: str = "annotations/captions_train2017.json",
        val_json: str | None = None,
        test_json: str | None = "annotations/captions_val2017.json",
        val_fraction: float = 0.02,
        **captions: Any,
    ) -> None:
        super().__init__(root, val_fraction=val_fraction, **captions)
        files: dict[Split, str | None] = {"train": train_json, "val": val_json, "test": test_json}
        self.files = {split: self.root / name for split, name in files.items() if name}

    def read(self) -> Mapping[Split, Sequence[Captioned]]:
        for file in self.files.values():
            if not file.is_file():
                raise self.problem(f"there is no file {file.absolute()}")
        return {split: list(self._read(file)) for split, file in self.files.items()}

    def _read(self, file: Path) -> Iterator[Captioned]:
        content = read_object(file, "images", "annotations")
        captions: dict[object, list[str]] = {}
        for image in content["images"]:
            if not isinstance(_value(image, "id", "image", file), int | str):
                raise DataError(f"{file}: an image has the id {image['id']!r:.80}; expected a number")
            if image["id"] in captions:
                raise DataError(f"{file}: two images have the id {image['id']!r}")
            captions[image["id"]] = []
        for entry in content["annotations"]:
            number = _value(entry, "image_id", "annotation", file)
            if not isinstance(number, int | str) or number not in captions:
                raise DataError(f"{file}: a caption is of image {number!r}, which is not among its images")
            text = _value(entry, "caption", "annotation", file)
            if not isinstance(text, str):
                raise DataError(f"{file}: a caption of image {number!r} is {text!r:.80}; expected text")
            captions[number].append(text)
        folder = file.stem.rpartition("_")[2]
        for image in content["images"]:
            name = _value(image, "file_name", "image", file)
            if not isinstance(name, str):
                raise DataError(
                    f"{file}: the file_name of image {image['id']!r} is {name!r:.80}; expected text"
                )
            places = (self.root / folder, self.root / "images" / folder, self.root / "images", self.root)
            paths = tuple(str(place / name) for place in places)
            yield Captioned(paths, tuple(captions[image["id"]]), f"{file}, image {image['id']}")

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        (root / "annotations").mkdir(parents=True)
        for seed, name in enumerate(("train2017", "val2017")):
            names = [f"{number:012d}.jpg" for number in range(16 * seed, 16 * seed + 16)]
            captions = fake_pictures(root / name, names, size, seed)
            content = {
                "images": [{"id": int(name[:12]), "file_name": name} for name in names],
                "annotations": [
                    {"id": 10 * int(name[:12]) + number, "image_id": int(name[:12]), "caption": text}
                    for name, own in captions.items()
                    for number, text in enumerate(own)
                ],
            }
            (root / "annotations" / f"captions_{name}.json").write_text(json.dumps(content), encoding="utf-8")
        return {"root": str(root), "image_size": size, "val_fraction": 0.25}


class KarpathyCaptions(CaptionData):
    """The splits that results are reported on (Karpathy and Fei-Fei, CVPR 2015) of COCO, Flickr8k or
    Flickr30k: ``dataset_coco.json``, ``dataset_flickr8k.json`` or ``dataset_flickr30k.json``.

    Args:
        file: below ``root``; by default the only ``dataset_*.json`` that is there.
        images: a folder, below ``root``, where pictures are looked for besides the usual ones.
    """

    title = "captions in the splits of Karpathy"
    layout = (
        "root/dataset_coco.json, dataset_flickr8k.json or dataset_flickr30k.json, and its pictures in "
        "root/train2014 and root/val2014, or in root/images"
    )
    remedy = (
        "The files come as caption_datasets.zip (37 MB) from "
        "https://cs.stanford.edu/people/karpathy/deepimagesent; the pictures from their own sets; then "
        "data.root=/path/to/it"
    )

    def __init__(
        self, root: str, *, file: str | None = None, images: str = "images", **captions: Any
    ) -> None:
        super().__init__(root, **captions)
        self.file = file
        self.images = images

    def read(self) -> Mapping[Split, Sequence[Captioned]]:
        files = [self.root / self.file] if self.file else sorted(self.root.glob("dataset_*.json"))
        if len(files) != 1 or not files[0].is_file():
            names = ", ".join(path.name for path in files) or "no dataset_*.json"
            raise self.problem(f"there is {names}; data.file says which it is")
        (file,) = files
        found: dict[Split, list[Captioned]] = {}
        for number, image in enumerate(read_object(file, "images")["images"]):
            name, word = (str(_value(image, key, f"image {number}", file)) for key in ("filename", "split"))
            if word not in _KARPATHY:
                raise DataError(f"{file}: the split of {name} is {word!r}; expected {', '.join(_KARPATHY)}")
            below = image.get("filepath") or ""
            sentences = _value(image, "sentences", name, file)
            if not isinstance(below, str) or not isinstance(sentences, list):
                raise DataError(
                    f"{file}: the filepath of {name} is {below!r:.80} and its sentences are "
                    f"{sentences!r:.80}; expected text and a list"
                )
            folders = (below, f"{self.images}/{below}", self.images)
            paths = tuple(str(self.root / folder / name) for folder in (*folders, *_FLICKR_FOLDERS))
            texts = [_text(sentence, name, file) for sentence in sentences]
            found.setdefault(_KARPATHY[word], []).append(Captioned(paths, tuple(texts), f"{file}, {name}"))
        return found

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        splits = ["train"] * 8 + ["restval"] * 8 + ["val"] * 4 + ["test"] * 4
        names = [f"COCO_val2014_{number:012d}.jpg" for number in range(len(splits))]
        captions = fake_pictures(root / "val2014", names, size, 0)
        images = [
            {
                "filepath": "val2014",
                "filename": name,
                "split": split,
                "cocoid": number,
                "sentences": [{"raw": text, "tokens": text.lower().strip(".!").split()} for text in own],
            }
            for number, (split, (name, own)) in enumerate(zip(splits, captions.items(), strict=True))
        ]
        (root / "dataset_coco.json").write_text(
            json.dumps({"images": images, "dataset": "coco"}), encoding="utf-8"
        )
        return {"root": str(root), "image_size": size}


class FlickrTokens(CaptionData):
    """Flickr8k (Hodosh, Young, Hockenmaier, JAIR 2013) and Flickr30k (Young et al., TACL 2014) as they were
    published: a token file with lines ``name.jpg#0`` and a caption, a tabulator between them; for Flickr8k
    also lists of the pictures of each split. Splits that no list gives are held out.

    Args:
        file: the token file, below ``root``; by default the usual one that is there.
    """

    title = "Flickr8k or Flickr30k"
    layout = (
        "root/Flickr8k.token.txt with root/Flickr_8k.{train,dev,test}Images.txt and root/Flicker8k_Dataset/, "
        "or root/results_20130124.token and root/flickr30k-images/"
    )
    remedy = (
        "Its pictures belong to their Flickr authors and are given for research on request, so it is not "
        "fetched for you; then data.root=/path/to/it"
    )

    def __init__(self, root: str, *, file: str | None = None, **captions: Any) -> None:
        super().__init__(root, **captions)
        self.file = file

    def read(self) -> Mapping[Split, Sequence[Captioned]]:
        names = (self.file,) if self.file else ("Flickr8k.token.txt", "results_20130124.token")
        file = next((self.root / name for name in names if (self.root / name).is_file()), None)
        if file is None:
            raise self.problem(f"there is no {' or '.join(names)}")
        captions: dict[str, list[str]] = {}
        for number, line in numbered_lines(file, "utf-8"):
            name, tabulator, text = line.partition("\t")
            if not tabulator or "#" not in name:
                raise DataError(f"{file}, line {number}: expected 'name.jpg#0', a tabulator and a caption")
            captions.setdefault(name.rpartition("#")[0], []).append(text)
        found: dict[Split, list[Captioned]] = {}
        for split, own in self._splits(file, captions).items():
            for name in own:
                paths = tuple(str(self.root / folder / name) for folder in (*_FLICKR_FOLDERS, "images", ""))
                found.setdefault(split, []).append(Captioned(paths, tuple(captions[name]), f"{file}, {name}"))
        return found

    def _splits(self, file: Path, captions: Mapping[str, object]) -> dict[Split, list[str]]:
        """The pictures of each split that has a list; without any, all train. Those in no list are left out:
        Flickr8k's token file has captions of a picture that was never published."""
        lists: dict[Split, Path] = {
            split: self.root / f"Flickr_8k.{word}Images.txt"
            for split, word in _FLICKR_LISTS.items()
            if (self.root / f"Flickr_8k.{word}Images.txt").is_file()
        }
        if "train" not in lists:
            return {"train": list(captions)}
        found: dict[Split, list[str]] = {}
        for split, path in lists.items():
            for number, name in numbered_lines(path, "utf-8"):
                if name not in captions:
                    raise DataError(f"{path}, line {number}: {name} has no caption in {file}")
                found.setdefault(split, []).append(name)
        return found

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        names = [f"{1000 + number}_{number:010x}.jpg" for number in range(24)]
        captions = fake_pictures(root / "Flicker8k_Dataset", names, size, 0)
        lines = [f"{name}#{n}\t{text}\n" for name, own in captions.items() for n, text in enumerate(own)]
        lines.append("2258277193_586949ec62.jpg.1#0\tA picture that is not there .\n")
        (root / "Flickr8k.token.txt").write_text("".join(lines), encoding="utf-8")
        for word, own in (("train", names[:16]), ("dev", names[16:20]), ("test", names[20:])):
            (root / f"Flickr_8k.{word}Images.txt").write_text(
                "".join(f"{name}\n" for name in own), encoding="utf-8"
            )
        return {"root": str(root), "image_size": size}


_KARPATHY: dict[str, Split] = {"train": "train", "restval": "train", "val": "val", "test": "test"}
_FLICKR_FOLDERS = (
    "Flicker8k_Dataset",
    "Flickr8k_Dataset",
    "flickr30k-images",
)  # the first is no slip of ours
_FLICKR_LISTS: dict[Split, str] = {"train": "train", "val": "dev", "test": "test"}


def read_object(file: Path, *lists: str) -> dict[str, Any]:
    """A JSON object that has these lists of objects. `DataError`, which names what is missing."""
    try:
        content = json.loads(read_bytes(file))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read as JSON: {error}") from error
    for name in lists:
        entries = content.get(name) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError(f"{file}: expected an object with a list of objects {name!r}")
    found: dict[str, Any] = content
    return found


def _value(entry: Mapping[str, Any], key: str, what: str, file: Path) -> Any:
    if key not in entry:
        raise DataError(f"{file}: {what} has no {key!r}: {str(dict(entry))[:80]}")
    return entry[key]


def _text(sentence: object, name: str, file: Path) -> str:
    if isinstance(sentence, dict):
        if isinstance(sentence.get("raw"), str):
            return str(sentence["raw"])
        if isinstance(sentence.get("tokens"), list):
            return " ".join(map(str, sentence["tokens"]))
    raise DataError(f"{file}: a sentence of {name} has neither 'raw' nor 'tokens': {str(sentence)[:80]}")

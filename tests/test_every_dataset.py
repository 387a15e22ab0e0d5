"""Every data set in ``conf/data``, found by listing, keeps its promises on a fake of itself."""

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from vision_apps.core.assembly import build_data
from vision_apps.core.config.targets import resolve
from vision_apps.core.data import SPLITS, VisionData
from vision_apps.core.errors import DataError
from vision_apps.core.fields import ImageInputs
from vision_apps.core.loader import BatchLoader

CONFIGS = sorted((Path(__file__).parents[1] / "conf" / "data").glob("*.yaml"))


def node_of(path: Path) -> dict[str, Any]:
    node = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(node, dict)
    node.pop("defaults", None)  # they choose the model
    return node | {"batch_size": 4, "eval_batch_size": 4, "workers": 0}


ON_DISK = [path for path in CONFIGS if "root" in node_of(path)]  # the others are generated


@pytest.fixture(params=CONFIGS, ids=[path.stem for path in CONFIGS])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The configuration, pointed at a fake of the data."""
    node = node_of(request.param)
    return node | resolve(node["_target_"]).fake(tmp_path / "data")


@pytest.fixture
def data(node: dict[str, Any]) -> VisionData:
    return build_data({"data": node})


def whole_split(data: VisionData, split: Any, fields: tuple[str, ...]) -> dict[str, Any]:
    """Name to tensor, or of what differs in shape to a list of tensors."""
    samples = data.load(split, fields)
    if getattr(samples, "in_memory", False):
        return samples.__getitems__(list(range(len(samples))))
    read = [samples[index] for index in range(len(samples))]
    columns = {name: [sample[name] for sample in read] for name in fields}
    return {
        name: values if name in data.to_measure else torch.stack(values) for name, values in columns.items()
    }


def test_opens_with_source_size_and_licence() -> None:
    for path in CONFIGS:
        header = [line for line in path.read_text().splitlines() if line.startswith("#")]
        assert len(header) >= 2, f"{path.name}: no header"


@pytest.mark.slow
def test_facts_are_plain_and_fit_together(data: VisionData) -> None:
    facts = data.facts
    assert OmegaConf.to_container(OmegaConf.create(facts)) == facts  # plain values only
    assert facts["image_size"] > 0
    for name in ("mean", "std"):
        assert len(facts[name]) == 3
        assert all(0 < value < 1 for value in facts[name])
    if {"labels", "multi_hot"} & {*data.offers}:
        assert len(facts["class_names"]) == facts["num_classes"] > 1
        assert len(set(facts["class_names"])) == facts["num_classes"]


@pytest.mark.slow
def test_every_split_offers_the_promised_fields(data: VisionData) -> None:
    train_size = getattr(data, "train_size", None) or data.facts["image_size"]
    for split in SPLITS:
        size = train_size if split == "train" else data.facts["image_size"]
        values = whole_split(data, split, data.offers)
        assert set(values) == set(data.offers)
        count = len(data.load(split, ("images",)))
        assert count > 0
        assert all(len(value) == count for value in values.values())
        assert values["images"].dtype == torch.uint8
        assert values["images"].shape == (count, 3, size, size)
        assert values["images"].float().std() > 1  # not a blank
        if "labels" in values:
            assert values["labels"].dtype == torch.int64
            assert 0 <= values["labels"].min() <= values["labels"].max() < data.facts["num_classes"]
        if "multi_hot" in values:
            assert values["multi_hot"].dtype == torch.uint8
            assert values["multi_hot"].shape == (count, data.facts["num_classes"])
            assert values["multi_hot"].unique().tolist() == [0, 1]


@pytest.mark.slow
def test_only_the_asked_fields_are_given(data: VisionData) -> None:
    assert set(whole_split(data, "val", ("images",))) == {"images"}


@pytest.mark.slow
def test_splits_are_disjoint(data: VisionData) -> None:
    size = data.facts["image_size"]
    seen: dict[bytes, str] = {}
    data.train_size = None  # the same cut in all splits, so that equal pictures are equal
    data.resize = size
    for split in SPLITS:
        for image in whole_split(data, split, ("images",))["images"]:
            key = image.numpy().tobytes()
            assert seen.setdefault(key, split) == split, f"a picture of {seen[key]} is also in {split}"


@pytest.mark.slow
def test_the_same_seed_gives_the_same_samples(node: dict[str, Any]) -> None:
    first, again = (
        whole_split(build_data({"data": node | {"seed": 3}}), "train", ("images",))["images"]
        for _ in range(2)
    )
    assert torch.equal(first, again)


@pytest.mark.slow
@pytest.mark.parametrize("path", ON_DISK, ids=[path.stem for path in ON_DISK])
def test_another_split_seed_holds_others_out(path: Path, tmp_path: Path) -> None:
    node = node_of(path)
    node |= resolve(node["_target_"]).fake(tmp_path / "data")

    def val(**seeds: int) -> torch.Tensor:
        return whole_split(build_data({"data": node | seeds}), "val", ("images",))["images"]

    assert torch.equal(val(), val(seed=1)), "data.seed is of order and augmentation"
    assert any(not torch.equal(val(), val(split_seed=seed)) for seed in (1, 2, 3))


@pytest.mark.slow
def test_augmented_batches_have_the_promised_size(data: VisionData) -> None:
    batch = next(iter(BatchLoader(data.load("train", ("images",)), ImageInputs, batch_size=4, shuffle=True)))
    for transform in data.augment.values():
        batch = transform(batch)
    size = data.facts["image_size"]
    assert batch.images.shape == (4, 3, size, size)
    assert batch.images.dtype == torch.uint8


@pytest.mark.parametrize("path", ON_DISK, ids=[path.stem for path in ON_DISK])
def test_missing_data_is_told_with_the_place_and_the_next_command(path: Path, tmp_path: Path) -> None:
    node = node_of(path)
    with pytest.raises(DataError) as caught:
        build_data({"data": node | {"root": str(tmp_path / "nowhere")}})
    text = str(caught.value)
    assert str(tmp_path / "nowhere") in text
    assert "data.root=" in text
    assert "Expected" in text
    if "download" in node:
        assert "data.download=true" in text
        assert "MB" in text

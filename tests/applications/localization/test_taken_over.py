"""What a localizer begins with that takes over another one's weights."""

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from omegaconf import OmegaConf

from vision_apps.applications.localization.module import Localization
from vision_apps.applications.localization.network import BOXES, HEADS, SCORES, Localizer
from vision_apps.core import assembly
from vision_apps.core.config.compose import compose
from vision_apps.core.starting import told
from vision_apps.data.boxes.csv import BoxCsv

SIDE = 32
WORDS = [
    *("task=localization", "data=localization_csv", "model=localization_pretrained", "data.augment=null"),
    *("model.backbone.name=test_efficientnet", "model.backbone.weights=null", "trainer=cpu", "logger=csv"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    BoxCsv.fake(tmp_path / "boxes", size=SIDE)
    return tmp_path / "boxes"


def begun(root: Path, *words: str, side: int = SIDE) -> Localization:
    config = compose([*WORDS, f"data.root={root}", f"data.image_size={side}", *words])
    plain: Any = OmegaConf.to_container(config, resolve=True)
    return cast(Localization, assembly.prepared(plain, channels_last=False)[1])


def other(root: Path, classes: list[str] | None = None) -> tuple[str, dict[str, torch.Tensor]]:
    """A checkpoint of a localizer of the same pictures, or as if its classes had been called otherwise."""
    module = begun(root)
    torch.manual_seed(7)
    for parameter in module.network.parameters():
        parameter.data += 0.01 * torch.randn(parameter.shape)
    state = dict(module.state_dict())
    path = root.parent / "other.ckpt"
    torch.save({"state_dict": state, "facts": {"class_names": classes or module.class_names}}, path)
    return f"init={path}", state


def same(module: Localization, state: dict[str, torch.Tensor], *parts: str) -> list[bool]:
    """Of each tensor in these parts of the network whether it is the state's."""
    return [
        torch.equal(value, state[name])
        for name, value in module.state_dict().items()
        if any(f"{name}.".startswith(f"network.{part}.") for part in parts)
    ]


def last_weight(module: Localization) -> torch.Tensor:
    """Of the head of the box."""
    last = cast(torch.nn.Linear, cast(Localizer, module.network).box_head[-1])
    return last.weight


def test_of_the_same_classes_and_size_all_is_taken(root: Path) -> None:
    init, state = other(root)
    module = begun(root, init)
    assert all(same(module, state, "backbone", *HEADS))
    assert module.knows and "fitted" not in module.starts_from and module.kept is None


def test_for_other_classes_the_heads_begin_as_they_would_without(root: Path) -> None:
    """A box tells of the classes, too: its head is nothing without the boxes of these."""
    init, state = other(root, ["other", "names", "than", "these"])
    module = begun(root, init)
    assert all(same(module, state, "backbone")) and not any(same(module, state, "lines"))
    assert not last_weight(module).any()
    assert module.starts_from["fitted"] == list(HEADS) and module.kept is not None
    taken, of = module.starts_from["taken"], module.starts_from["of"]
    assert taken == of - sum(len(same(module, state, part)) for part in HEADS)
    assert "random numbers" not in told(module.starts_from)


def test_at_another_size_the_box_is_fitted_and_classes_are_taken(root: Path) -> None:
    """The box is told from every place, and there are more."""
    init, state = other(root)
    module = begun(root, init, side=2 * SIDE)
    assert all(same(module, state, "backbone", *SCORES))
    assert module.starts_from["fitted"] == list(BOXES) and module.knows
    assert not last_weight(module).any()
    lines = cast(Localizer, module.network).lines
    assert lines is not None and (lines.boxes != 0.5).all()


def test_a_run_without_lines_has_heads_that_say_it_all(root: Path) -> None:
    init, state = other(root)
    path = init.removeprefix("init=")
    bare = {name: value for name, value in state.items() if ".lines." not in name}
    torch.save({**torch.load(path), "state_dict": bare}, path)
    module = begun(root, init)
    assert not module.fits and all(same(module, bare, "class_head", "box_head"))


def test_where_no_picture_has_an_object_the_answer_is_none(root: Path) -> None:
    init, _ = other(root, ["other", "names", "than", "these"])
    for file in (root / "annotations").iterdir():
        lines = file.read_text().splitlines()
        file.write_text("".join(f"{line.partition(',')[0]},,,,,\n" for line in lines))
    module = begun(root, init, "data.classes=[a,b]")
    assert module.eval()(module.example()).presence.max() < 0.02

"""All problems of a configuration at once, from the signatures of what it names."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Optional, Union

import numpy as np
import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
import yaml
from omegaconf import OmegaConf
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights
from toy import ToyData

from vision_apps.core import assembly
from vision_apps.core.config.check import _OF_A_RUN, accepted, check, find_problems, misfit
from vision_apps.core.config.compose import compose
from vision_apps.core.config.options import conf_dirs
from vision_apps.core.config.overrides import keys
from vision_apps.core.config.types import fits, spell
from vision_apps.core.errors import ConfigError


def test_all_problems_in_one_error() -> None:
    config = OmegaConf.create(
        {
            "trainer": {
                "_target_": "pytorch_lightning.Trainer",
                "devicse": 2,
                "max_epochs": "abc",
                "precision": 16,
            },
            "optimizer": {
                "_target_": "torch.optim.AdamW",
                "_partial_": True,
                "lr": "high",
                "weight_deacy": 0.1,
            },
            "callbacks": {"stop": {"_target_": "vision_apps.core.early_stop.EarlyStopping"}},
            "data": {"root": "???"},
            "other": {"_target_": "os.system", "command": "true"},
        }
    )
    with pytest.raises(ConfigError) as error:
        check(config)
    assert str(error.value).splitlines() == [
        "8 problems in the configuration:",
        "  trainer.devicse: Trainer has no parameter 'devicse'; did you mean 'devices'?",
        "  trainer.max_epochs: expected int or null, got 'abc' (str)",
        "  trainer.precision: the run passes it; say precision=...",
        "  optimizer.lr: expected float or Tensor, got 'high' (str)",
        "  optimizer.weight_deacy: AdamW has no parameter 'weight_deacy'; did you mean 'weight_decay'?",
        "  callbacks.stop.monitor: EarlyStopping needs it: callbacks.stop.monitor=...",
        "  data.root: must be set: data.root=...",
        "  other._target_: os.system is not under vision_apps, torch, torchvision, torchmetrics, "
        "pytorch_lightning, "
        "timm, kornia; if you trust it, add allow_targets=[os] to the command (or set VISION_APPS_ALLOW=os)",
    ]


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        (
            {"_target_": "torch.nn.Linear", "in_features": 1},
            "out_features: Linear needs it: out_features=...",
        ),
        ({"_target_": "torch.nn.Linear", "_args_": [1, 2]}, None),
        ({"_target_": "torch.nn.Linear", "_partial_": True}, None),
        (
            {"_target_": "torch.nn.Linear", "in_features": 1.5, "out_features": 1},
            "in_features: expected int, got 1.5 (float)",
        ),
        ({"_target_": "torch.nn.Dropout", "p": 1}, None),
        ({"_target_": "torch.nn.Dropout", "p": True}, "p: expected float, got True (bool)"),
        ({"_target_": "torch.nn.Dropout", "p": None}, "p: expected float, got null"),
        ({"a": "${b}"}, "a: Interpolation key 'b' not found"),
        (
            {"a": [{"_target_": "torch.nn.ReLU", "in_place": True}]},
            "a[0].in_place: ReLU has no parameter 'in_place'; did you mean 'inplace'?",
        ),
        (
            {
                "run": {"dir": None},
                "l": {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "${run.dir}"},
            },
            None,
        ),
    ],
)
def test_one_problem(node: dict[str, Any], problem: str | None) -> None:
    assert list(find_problems(OmegaConf.create(node))) == ([problem] if problem else [])


def test_the_engine_fills_parts_and_the_facts_of_the_data(toy: None) -> None:
    module = {"_target_": "toy.ToyModule"}
    data = {"_target_": "toy.ToyData"}
    needs = (
        "module.num_classes: ToyModule needs it: module.num_classes=..., or a data set that has it among its "
        "fact_names"
    )
    assert not list(find_problems({"module": module, "data": data}))
    assert not list(find_problems({"module": {**module, "num_classes": None}, "data": data}))
    assert list(find_problems({"module": module})) == [needs]
    assert list(find_problems(module)) == ["num_classes: ToyModule needs it: num_classes=..."]


def test_a_data_set_says_which_facts_it_knows(toy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"module": {"_target_": "toy.ToyModule"}, "data": {"_target_": "toy.ToyData"}}
    monkeypatch.setattr(ToyData, "fact_names", ("image_size", "vocabulary"))
    (problem,) = find_problems(config)
    assert problem.startswith("module.num_classes: ToyModule needs it: ")
    with pytest.raises(
        ConfigError, match=r"gives the facts num_classes, .* fact_names: image_size, vocabulary$"
    ):
        assembly.build_data(config)


@pytest.mark.parametrize("value", [{"a", "b"}, np.zeros(2), [np.float64(1)], {1: "a"}, torch.zeros(1)])
def test_facts_that_are_no_plain_data_are_refused(
    toy: None, monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    facts = property(lambda self: {"num_classes": 2, "image_size": value})
    monkeypatch.setattr(ToyData, "facts", facts)
    with pytest.raises(ConfigError, match=r"^data: ToyData gives the fact image_size as "):
        assembly.build_data({"data": {"_target_": "toy.ToyData"}})


class Base:
    def __init__(self, *, batch_size: int = 64, seed: int = 0) -> None: ...


class Child(Base):
    def __init__(self, root: str, **loader: Any) -> None: ...


class Grandchild(Child):
    def __init__(self, size: int = 3, **rest: Any) -> None: ...


class Open:
    def __init__(self, a: int = 1, **anything: Any) -> None: ...


class Net(nn.Module):
    def __init__(self, width: int, *args: Any, **kwargs: Any) -> None: ...


def test_keyword_arguments_are_followed_up_the_bases() -> None:
    assert list(accepted(Grandchild).parameters) == ["batch_size", "seed", "root", "size"]
    assert not accepted(Grandchild).anything
    assert accepted(Grandchild).required == []
    assert accepted(Child).required == ["root"]
    assert accepted(Open).anything
    assert not accepted(Net).anything, "nn.Module takes no keyword arguments"


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (int, [0, -3], [1.0, True, "1", None, [1], {}]),
        (float, [0, 1.5], [False, "1.5", None]),
        (bool, [True], [1, "true", None]),
        (str, ["", "a"], [1, None, ["a"]]),
        (Path, ["a/b"], [1, None]),
        (int | None, [1, None], ["x"]),
        (Optional[float], [1, None], ["x"]),  # noqa: UP045 - both spellings are met in other packages
        (Union[int, str], [1, "x"], [1.5, None]),  # noqa: UP007
        (Literal["a", 1], ["a", 1], ["b", True, None]),
        (list[int], [[], [1]], [["a"], 1, "ab"]),
        (Sequence[float], [[1, 2.5]], ["ab", {"a": 1}]),
        (tuple[float, float], [[1, 2]], [[1], [1, 2, 3], ["a", 1]]),
        (tuple[int, ...], [[], [1, 2, 3]], [["a"]]),
        (dict[str, int], [{}, {"a": 1}], [{"a": "b"}, [1]]),
        (Mapping[str, Any], [{"a": None}], [[1]]),
        (Tensor, [{"_target_": "x"}], [1, "a", None, {}]),
        (float | Tensor, [1], ["abc", None]),
        (Callable[..., Any] | None, [None, {"_target_": "x", "_partial_": True}], ["relu", 3]),
        (ResNet18_Weights | None, [None, "DEFAULT", "IMAGENET1K_V1"], ["V1", 3]),
        (Any, [None, 1, "a", [1]], []),
        ("Unreadable", [None, 1, "a"], []),
    ],
)
def test_values_against_annotations(annotation: Any, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if not fits(value, annotation)] == []
    assert [value for value in bad if fits(value, annotation)] == []


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (int | None, "int or null"),
        (None | int | str, "int, str or null"),
        (Literal["refuse", "skip"], "'refuse' or 'skip'"),
        (tuple[float, float], "[float, float]"),
        (list[int] | dict[str, float], "list of int or dict of float"),
        (float | Tensor, "float or Tensor"),
    ],
)
def test_annotations_in_words(annotation: Any, text: str) -> None:
    assert spell(annotation) == text


class Batch(NamedTuple):
    images: Tensor
    boxes: Tensor
    masks: Tensor | None = None


class Module:
    batch_type = Batch


class Pictures:
    fields = ("images",)


class Boxes:
    fields = ("images", "boxes")


def test_a_model_that_the_data_cannot_feed() -> None:
    assert misfit(Module, Boxes) is None
    told = "data: Pictures offers images, but Module takes Batch, which also needs boxes"
    assert misfit(Module, Pictures) == told


def test_the_data_that_would_fit_is_listed(
    toy: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "blind.py").write_text(
        "from toy import ToyData\n\nclass Blind(ToyData):\n    fields = ('images',)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("VISION_APPS_ALLOW", "toy,blind")
    monkeypatch.setenv("VISION_APPS_CONF", str(Path(__file__).parents[1] / "conf"))
    config = {
        "task": {"name": "toy"},
        "module": {"_target_": "toy.ToyModule"},
        "data": {"_target_": "blind.Blind"},
    }
    assert list(find_problems(config)) == [
        "data: Blind offers images, but ToyModule takes ToyBatch, which also needs labels; data that fit: "
        "toy_pictures"
    ]


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        # on a command line only true and false are no texts, and any text would be a yes
        ("test=no", "test: expected bool, got 'no'"),
        ("compile=off", "compile: expected bool, got 'off'"),
        ("channels_last=no", "channels_last: expected bool or 'auto', got 'no'"),
        ("keep_memory=0", "keep_memory: expected bool or 'auto', got 0"),
        ("test=null", "test: expected bool, got null"),
        ("seed=1.5", "seed: expected int, got 1.5"),
        ("task.mode=MAX", "task.mode: expected 'min' or 'max', got 'MAX'"),
        ("run.root=null", "run.root: expected str, got null"),
        ("run.dir=20251128", "run.dir: expected str or null, got 20251128; write run.dir=./20251128"),
        ("init=20251128", "init: expected str or null, got 20251128"),
        (
            "freeze={backbone: no}",
            "freeze: expected str, list of str, dict of float or null, got {'backbone': 'no'}",
        ),
        ("allow_targets=mine", "allow_targets: expected list of str, got 'mine'"),
    ],
)
def test_what_holds_for_every_run(word: str, problem: str) -> None:
    assert problem in find_problems(compose(["task=classification", word]))


def test_the_precisions_are_those_of_the_trainer() -> None:
    for good in ("auto", "32-true", "bf16-mixed", "16", "64"):
        assert not list(find_problems(compose(["task=classification", f"precision={good}"])))
    (problem,) = find_problems(compose(["task=classification", "precision=fp16"]))
    assert problem.startswith("precision: expected ") and problem.endswith(", got 'fp16'")
    (problem,) = find_problems(compose(["task=classification", "precision=null"]))
    assert problem.endswith(", got null")


def test_no_key_that_holds_for_every_run_is_left_unchecked() -> None:
    config = yaml.safe_load((conf_dirs()[0] / "config.yaml").read_text())
    for task in ("classification", "multi_label"):
        config |= yaml.safe_load((conf_dirs()[0] / "task" / f"{task}.yaml").read_text())
    of_groups = {"defaults", "data", "optimizer", "scheduler", "callbacks", "logger", "hydra", "module"}
    own = {key for key in keys(config) if key.partition(".")[0] not in of_groups} - {"run", "task"}
    assert own == {*_OF_A_RUN, "precision"}

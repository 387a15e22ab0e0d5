"""What answers in place of a module, where a file holds a graph."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from omegaconf import OmegaConf
from torch import Tensor

from vision_apps.core import assembly
from vision_apps.core.config.compose import compose
from vision_apps.core.errors import CheckpointError, ConfigError
from vision_apps.core.fields import ImageInputs
from vision_apps.core.module import VisionModule
from vision_apps.trained.evaluate import Trained

FACTS = {
    "num_classes": 2,
    "class_names": ["a", "b"],
    "image_size": 8,
    "mean": [0.5] * 3,
    "std": [0.2] * 3,
    "class_counts": [3, 1],
}
IMAGES = {"name": "images", "dtype": "uint8", "shape": ["batch", 3, 8, 8]}


@pytest.fixture
def original() -> tuple[dict[str, Any], VisionModule]:
    config: Any = OmegaConf.to_container(compose(["task=classification", "model=dense"]), resolve=True)
    return config, assembly.build_module(config, FACTS, trainable=False).eval()


def trained(config: dict[str, Any], graph: Callable[..., Any], **changes: Any) -> Trained:
    content = {
        "config": config,
        "facts": FACTS,
        "inputs": [IMAGES],
        "outputs": [{"name": "probabilities", "dtype": "float32", "shape": ["batch", 2]}],
        **changes,
    }
    return Trained(Path("model.onnx"), content, None, graph)


def test_the_graph_answers_and_the_module_is_left_as_it_is(original: Any) -> None:
    config, module = original
    images = torch.randint(256, (3, 3, 8, 8), dtype=torch.uint8)
    seen: list[Tensor] = []

    def graph(inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        seen.append(inputs["images"])
        return tuple(module(ImageInputs(**inputs)))

    predictor = trained(config, graph).predictor()
    with torch.no_grad():
        answer: Any = predictor.answer(ImageInputs(images))
        expected = module(ImageInputs(images))
    assert type(answer) is type(expected) and torch.equal(answer.probabilities, expected.probabilities)
    assert len(seen) == 1 and seen[0] is images
    assert "forward" not in vars(predictor.module)
    assert sum(parameter.numel() for parameter in predictor.module.network.parameters()) == 0


def test_what_a_graph_refuses(original: Any) -> None:
    config, _ = original

    def fails(inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        raise ValueError("shapes\nand more")

    answer = trained(config, fails).predictor().answer
    with pytest.raises(
        CheckpointError, match=r"model.onnx takes pictures of 8 x 8 px only, this one has 9 x 7;"
    ):
        answer(ImageInputs(torch.zeros(1, 3, 7, 9, dtype=torch.uint8)))
    with pytest.raises(CheckpointError, match=r"^model.onnx cannot be computed: shapes$"):
        answer(ImageInputs(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)))
    with pytest.raises(
        ConfigError, match=r"module.flip_test: model.onnx has it inside; .* chosen is: nothing"
    ):
        trained(config, fails).predictor(["module.flip_test=true"])
    for changes in (
        {"outputs": [{**IMAGES, "name": "boxes"}]},
        {"inputs": [{**IMAGES, "name": "sounds"}]},
        {"inputs": [{**IMAGES, "shape": ["batch", 3, 8]}]},
        {"inputs": [IMAGES, {**IMAGES, "name": "sounds"}]},
    ):
        with pytest.raises(CheckpointError, match="which this Classification does not know"):
            trained(config, fails, **changes).predictor()


def test_weights_answer_themselves(original: Any) -> None:
    config, module = original
    content = {"config": config, "facts": FACTS, "state_dict": module.state_dict()}
    predictor = Trained(Path("best.ckpt"), content, None).predictor()
    assert predictor.answer is predictor.module

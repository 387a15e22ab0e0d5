"""Every application in every format, and every network: what is exported answers as the run does, and what
cannot be exported is refused with what is possible."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from omegaconf import OmegaConf

from vision_apps.core import assembly, fields
from vision_apps.core.config import options
from vision_apps.core.config.compose import compose
from vision_apps.core.errors import ConfigError
from vision_apps.core.pictures import to_pil
from vision_apps.core.seeding import seed_everything
from vision_apps.export import parity, tracing
from vision_apps.export.export import export
from vision_apps.prediction.predict import predict
from vision_apps.trained import evaluate
from vision_apps.trained.formats import SUFFIXES

TASKS = sorted(options.of_group("task"))
TINY = ["data.train_images=8", "data.val_images=4", "data.test_images=9"]


def described(*words: str) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Configuration, facts, and a module of random weights whose norms are not the identity."""
    config: Any = OmegaConf.to_container(compose([*words, *TINY]), resolve=True)
    seed_everything(0)
    data = assembly.build_data(config)
    module = assembly.build_module(config, data.facts, trainable=False).eval()
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            if layer.affine:
                torch.nn.init.normal_(layer.weight, 1, 0.1)
            torch.nn.init.normal_(layer.running_mean, 0, 0.1)
        if hasattr(layer, "of_classes"):  # no two scores the same: of those suppression keeps either
            torch.nn.init.normal_(layer.of_classes[-1].weight)
    return config, data.facts, module


def as_checkpoint(folder: Path, *words: str) -> Path:
    config, facts, module = described(*words)
    path = folder / "model.ckpt"
    torch.save({"config": config, "facts": facts, "state_dict": module.state_dict()}, path)
    return path


class Run(NamedTuple):
    """A task's default network, and what it answers."""

    task: str
    checkpoint: Path
    rows: list[dict[str, Any]]
    pictures: list[Path]


@pytest.fixture(scope="module", params=TASKS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = as_checkpoint(folder, f"task={request.param}")
    with contextlib.chdir(folder):
        return Run(request.param, checkpoint, *answers(request.param, checkpoint, folder / "run"))


def answers(task: str, place: Path, out: Path) -> tuple[list[dict[str, Any]], list[Path]]:
    pictures = []
    for name, size in (("small", (30, 33)), ("wide", (50, 97)), ("square", (64, 64))):
        pictures.append(f"{name}.png")
        noise = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(len(name)))
        smooth = torch.nn.functional.interpolate(noise[None], size, mode="bilinear")[0]
        to_pil((smooth * 255).to(torch.uint8)).save(pictures[-1])
    changes = ["module.score_threshold=0"] if task == "detection" else []
    folder = predict(str(place), pictures, str(out), changes)
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    return rows, [folder / row["picture"] for row in rows]


def near(one: Any, other: Any, where: str = "") -> None:
    """Rows of predictions are the same, numbers up to what rounding to a few digits may do."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            near(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            near(left, right, f"{where}/{index}")
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-2), where
    else:
        assert one == other, where


@pytest.mark.slow
@pytest.mark.parametrize("kind", SUFFIXES)
def test_the_file_answers_as_the_run(
    kind: str, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = export(str(run.checkpoint), kind, str(tmp_path / f"model{SUFFIXES[kind]}"))
    told = capsys.readouterr().out
    assert "8 samples of the run's test data, one by one and 8 together" in told
    differences = [float(value) for value in re.findall(r"largest difference (\S+)", told)]
    assert differences or "values differ" in told
    assert all(value <= 5e-5 for value in differences), told  # of boxes in pixels; colours in Lab
    # of some 100,000: a value that lies between two whole numbers is rounded to the other
    assert all(int(count) <= 5 for count in re.findall(r"(\d+) of \d+ values differ", told)), told
    card = file.with_name(f"{file.name}.md").read_text()
    assert "## Limits" in card and "None" not in card and "{" not in card

    again, drawn = answers(run.task, file, tmp_path / "file")
    near(run.rows, again)
    if run.task == "detection":
        assert all(row["objects"] for row in run.rows)
    for one, other in zip(run.pictures, drawn, strict=True):
        assert_same_picture(one, other)


def assert_same_picture(one: Path, other: Path) -> None:
    import numpy as np
    from PIL import Image

    left, right = (np.asarray(Image.open(path)).astype(int) for path in (one, other))
    assert left.shape == right.shape
    # a value that is rounded may fall to the other side, and a number that is drawn end in another digit
    assert (abs(left - right) > 1).mean() < 0.005


def _networks() -> list[str]:
    """The first model of each application and class of network, as the others are the same code, without the
    defaults of the tasks, which the test above traces."""
    models = options.of_group("model")
    defaults = [OmegaConf.load(path).defaults[0]["/model"] for path in options.of_group("task").values()]
    found: dict[Any, str] = {}
    for name in (*defaults, *models):
        node: Any = OmegaConf.to_container(OmegaConf.load(models[name]))
        found.setdefault((options.application_of(name), node["_target_"], node.get("name")), name)
    return sorted(set(found.values()) - set(defaults))


@pytest.mark.slow
@pytest.mark.parametrize("model", _networks())
def test_every_network_is_a_graph_or_refused(model: str, tmp_path: Path) -> None:
    words = (f"task={options.application_of(model)}", f"model={model}")
    _, _, module = described(*words)
    exportable = module.exportable
    reason = exportable.refusal()
    if reason is not None:
        assert type(module.network).__name__ in reason
        return
    program, content = tracing.trace(module)
    names = [output["name"] for output in content["outputs"]]
    taken = [entry["name"] for entry in content["inputs"]]
    compute = program.module(check_guards=False)
    example = module.inputs(module.example())
    more = parity.resized(module, example, content["inputs"])
    free = {size for entry in content["inputs"] for size in entry["shape"] if isinstance(size, str)}
    assert ({"height", "width"} <= free) == (exportable.image_size is None)
    assert (more is None) == (free == {"batch"})
    with torch.inference_mode():
        for inputs in (
            example,
            fields.row(example, 0),
            *([] if more is None else [more, fields.row(more, 1)]),
        ):
            expected = exportable.outputs(inputs)
            for name, value in zip(names, compute(*(getattr(inputs, n) for n in taken)), strict=True):
                torch.testing.assert_close(value, getattr(expected, name), atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("kind", ["onnx", "torch-export"])
def test_what_has_no_graph_is_refused_with_what_is_possible(kind: str, tmp_path: Path) -> None:
    path = as_checkpoint(tmp_path, "task=detection", "model=detection_rcnn")
    with pytest.raises(ConfigError, match=r"RegionDetector gives no fixed number.*--format safetensors"):
        export(str(path), kind)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_the_weights_of_what_has_no_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = as_checkpoint(tmp_path, "task=detection", "model=detection_rcnn")
    file = export(str(path), "safetensors")
    assert "weights: 0 of" in capsys.readouterr().out
    one, other = evaluate.load(str(path)).module(), evaluate.load(str(file)).module()
    inputs = one.inputs(one.example())
    with torch.inference_mode():
        for left, right in zip(one(inputs), other(inputs), strict=True):
            assert torch.equal(left, right)

"""Evidence of answers: of networks that are known to look at one thing, on the pictures that were given."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from PIL import Image
from torch import Tensor, nn

from vision_apps.applications.captioning.module import Captioning
from vision_apps.applications.classification.module import Classification
from vision_apps.applications.classification.multi_label import MultiLabel
from vision_apps.applications.detection.module import Detection
from vision_apps.applications.detection.types import DetectionInputs
from vision_apps.applications.detection.yolo import Yolo
from vision_apps.cli import main
from vision_apps.core import assembly, checkpoint_io
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import ImageInputs
from vision_apps.networks.backbones import Small
from vision_apps.prediction.gradcam import GradCam, over

CONFIG: dict[str, Any] = {
    "task": {"name": "classification"},
    "model": {
        "_target_": "vision_apps.applications.classification.cnn.Cnn",
        "depth": 1,
        "width": 2,
    },
    "module": {
        "_target_": "vision_apps.applications.classification.module.Classification",
        "image_size": 32,
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
    },
}
FACTS = {"num_classes": 2, "class_names": ["red", "blue"]}


def look_at_red_and_blue(network: nn.Module) -> None:
    """The first class is told by what is red, the second by what is blue."""
    state = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    state["features.0.weight"][:, :, 1, 1] = torch.tensor([[1.0, -1, -1], [-1, -1, 1]])
    state["features.1.weight"] += 1
    state["features.1.running_var"] += 1
    state["head.weight"] += torch.eye(2)
    network.load_state_dict(state)


def classifier() -> Classification:
    module: Any = assembly.build_module(CONFIG, FACTS, trainable=False)
    look_at_red_and_blue(module.network)
    return module.eval()


def red_and_blue(red: int, blue: int) -> Tensor:
    """Green, with a red square of that side in the upper left corner and a blue one in the lower right."""
    picture = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    picture[:, 1] = 255
    picture[..., :red, :red] = torch.tensor([255, 0, 0])[:, None, None]
    picture[..., 32 - blue :, 32 - blue :] = torch.tensor([0, 0, 255])[:, None, None]
    return picture


@pytest.mark.parametrize(("red", "blue"), [(12, 6), (6, 12)])
def test_the_evidence_is_where_the_network_looks(red: int, blue: int) -> None:
    module = classifier()
    for parameter in module.parameters():  # frozen, as a backbone may be
        parameter.requires_grad_(False)
    with torch.inference_mode():  # as predict answers
        heat = GradCam(module).heat(ImageInputs(red_and_blue(red, blue)))
    evidence = torch.zeros(32, 32)
    if red > blue:
        evidence[:red, :red] = 1
    else:
        evidence[32 - blue :, 32 - blue :] = 1
    torch.testing.assert_close(heat, evidence)


def test_where_nothing_speaks_for_the_answer_nothing_is_marked() -> None:
    heat = GradCam(classifier()).heat(ImageInputs(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)))
    assert heat.shape == (32, 32) and not heat.any()


def test_labels_are_explained_by_the_likeliest() -> None:
    module = classifier()
    several = MultiLabel(module.network, 2, ["red", "blue"], 32, [0.0] * 3, [1.0] * 3).eval()
    heat = GradCam(several).heat(ImageInputs(red_and_blue(12, 6)))
    assert heat[:12, :12].eq(1).all() and heat.sum() == 144


def detector(levels: int = 1) -> Detection[Any]:
    torch.manual_seed(1)
    network = Yolo(2, Small(8, levels), width=8, depth=0, max_detections=1)
    return Detection(network, 2, ["a", "b"], 64, mean=[0.5] * 3, std=[0.2] * 3, score_threshold=0.0).eval()


def test_the_evidence_of_a_box_is_at_the_place_that_found_it() -> None:
    """Of one level and no convolution around, in a picture that lies in a letterbox and is smaller in it."""
    module = detector()
    images = torch.randint(
        256, (1, 3, 60, 120), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    inputs = DetectionInputs(images)
    outputs: Any = module.outputs(inputs)
    best = int(outputs.logits.amax(2).argmax())
    x, y = (outputs.points[best] * 120 / 64).tolist()  # the network's pixels to the picture's
    assert 0 < x < 120 and 0 < y < 60
    heat = GradCam(module).heat(inputs)
    assert heat.shape == (60, 120) and heat.max() == 1
    rows, columns = (heat > 0).nonzero(as_tuple=True)
    # a cell has 15 pixels of the picture, and fades out over its neighbours
    assert (rows + 0.5 - y).abs().max() <= 15 and (columns + 0.5 - x).abs().max() <= 15


def test_nothing_found_has_no_evidence() -> None:
    module = detector()
    module.score_threshold = 1.0
    assert not GradCam(module).heat(DetectionInputs(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))).any()


def test_all_levels_of_a_backbone_are_looked_at() -> None:
    module = detector(levels=2)
    assert GradCam(module).stage is module.network.backbone
    images = torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert GradCam(module).heat(DetectionInputs(images)).max() == 1


class Tokens(nn.Module):
    """A map that becomes tokens."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.patches, self.mix = nn.Conv2d(3, 4, 8, 8), nn.Linear(4, 4)
        self.head = nn.Linear(4, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.mix(self.patches(images).flatten(2).mT).mean(1))


class Last(nn.Module):
    """A stage behind the last map that has several places."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 8, 8), nn.Conv2d(4, 4, 4, 4)
        self.head = nn.Linear(4, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.last(self.first(images)).flatten(1))


class Flat(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 32 * 32, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.flatten(1))


@pytest.mark.parametrize("kind", [Tokens, Last, Flat])
def test_a_network_without_a_map_is_refused_by_name(kind: type[nn.Module]) -> None:
    module = Classification(kind(2), 2, ["red", "blue"], 32, [0.0] * 3, [1.0] * 3).eval()
    with pytest.raises(ConfigError, match=f"--explain gradcam: {kind.__name__} has no map of the picture"):
        GradCam(module)


def test_an_application_without_a_score_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="--explain gradcam: Captioning chooses its answer by no single"):
        GradCam(Captioning.__new__(Captioning))


def test_evidence_is_drawn_over_grey() -> None:
    picture = red_and_blue(8, 0)[0]
    heat = torch.zeros(32, 32)
    heat[0, 0] = 1
    drawn = over(picture, heat)
    assert drawn.dtype == torch.uint8 and drawn.shape == picture.shape
    assert (drawn[:, 1:] == drawn[:1, 1:]).all(), "grey where there is none"
    assert drawn[0, 0, 0] > 200 > drawn[2, 0, 0], "bright yellow where it is largest"


# ---- the command -------------------------------------------------------------------------------------------


@pytest.fixture
def run() -> str:
    state = classifier().state_dict()
    checkpoint_io.save({"state_dict": state, "config": CONFIG, "facts": FACTS}, Path("mine.ckpt"))
    return "mine.ckpt"


def photo(name: str, red: int = 12) -> str:
    Image.fromarray(red_and_blue(red, 6)[0].permute(1, 2, 0).numpy()).save(name)
    return name


def test_one_more_picture_for_each(run: str) -> None:
    names = [photo("a.png"), photo("b.png")]
    Path("broken.png").write_text("no picture")
    assert main(["predict", run, *names, "broken.png", "--explain", "gradcam", "--out", "out"]) == 0
    rows = [json.loads(line) for line in Path("out/predictions.jsonl").read_text().splitlines()]
    assert [row.get("class") for row in rows] == ["red", "red", None]
    assert sorted(path.name for path in Path("out/gradcam").iterdir()) == names
    plain, explained = (
        np.asarray(Image.open(path)).astype(int) for path in ("out/a.png", "out/gradcam/a.png")
    )
    half = plain.shape[1] // 2
    assert (plain[:, half:] == explained[:, half:]).all(), "the answer beside it is the same"
    assert explained[5, 5, 0] > 200 > explained[5, 5, 2], "the red corner is bright"
    marked = np.ptp(explained[:, :half], axis=2) > 0
    assert marked[: half // 3, : half // 3].all() and not marked[half // 2 :].any()


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["predict", *words]) == 2
    return capsys.readouterr().err


def test_what_cannot_be_explained(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--explain gradcm: expected gradcam" in refused(capsys, run, photo("a.png"), "--explain", "gradcm")
    Path("film.mp4").write_bytes(b"")
    told = refused(capsys, run, "film.mp4", "--explain", "gradcam")
    assert "--explain gradcam: film.mp4 is no picture but a film" in told
    assert not Path("mine-predictions").exists()


@pytest.mark.slow
def test_an_exported_graph_is_refused(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", run, "--format", "torch-export", "--out", "mine.pt2"]) == 0
    told = refused(capsys, "mine.pt2", photo("a.png"), "--explain", "gradcam")
    assert "--explain gradcam: mine.pt2 is a graph, and layers are out of sight in it" in told


def test_an_option_in_the_spelling_of_settings_is_told(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(capsys, run, photo("a.png"), "explain=gradcam")
    assert "explain=gradcam: expected --explain gradcam" in told


def test_the_placeholder_of_printed_commands_says_what_it_is(
    run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(capsys, run, "YOUR_PICTURE.jpg")
    assert "YOUR_PICTURE.jpg stands for a picture or a folder of yours; expected its path" in told

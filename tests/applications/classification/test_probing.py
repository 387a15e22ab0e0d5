"""A last layer that is fitted before anything is trained."""

from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize
from torch import Tensor, nn

from vision_apps.applications.classification.module import Classification
from vision_apps.applications.classification.types import LabelBatch
from vision_apps.applications.classification.zoo import ZooNetwork
from vision_apps.core import assembly, checkpoint_io, engine
from vision_apps.core.config.compose import compose
from vision_apps.core.config.fine_tuning import settle, shares
from vision_apps.core.errors import RunError
from vision_apps.core.freezing import freeze_for_good
from vision_apps.networks.probing import _STRENGTH, probed

SIDE = 4
KEPT = ["backbone", "head.weight"]


def some(seed: int, classes: int, of_each: int, width: int = 12) -> tuple[Tensor, Tensor]:
    """Features as a network's last ones are, none negative, and their classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat(of_each)
    centres = 3 * torch.rand(classes, width, generator=generator)
    noise = torch.randn(len(labels), width, generator=generator)
    return (centres[labels] + noise).relu() + 0.1, labels


@pytest.mark.parametrize(("classes", "of_each", "more"), [(2, 1, 0), (2, 1, 3), (3, 4, 1), (5, 20, 9)])
def test_it_is_the_logistic_regression_of_an_independent_solver(
    classes: int, of_each: int, more: int
) -> None:
    """Of classes of which one has ``more`` pictures than the others."""
    generator = torch.Generator().manual_seed(1)
    features, labels = some(0, classes, of_each)
    others = (features[:1] + torch.randn(more, features.shape[1], generator=generator)).relu()
    features, labels = torch.cat((features, others)).double(), torch.cat((labels, torch.zeros(more).long()))
    weights = probed(features, labels, classes)
    known = LogisticRegression(
        C=_STRENGTH * (2 if classes == 2 else 1),  # two rows of weights share what one would be
        fit_intercept=False,
        class_weight="balanced",
        tol=1e-8,
        max_iter=5000,
    )
    expected = known.fit(normalize(features.numpy()), labels).predict_proba(features.numpy())
    length = features.norm(dim=1).mean()
    np.testing.assert_allclose((length * features @ weights.T).softmax(1).numpy(), expected, atol=1e-3)


def test_neither_the_length_of_features_nor_their_order_counts() -> None:
    features, labels = some(0, 3, 4)
    features = features.double()
    weights, order = probed(features, labels, 3), torch.randperm(len(labels))
    lengths = torch.linspace(0.5, 9, len(labels))[:, None]
    scale = (lengths * features).norm(dim=1).mean() / features.norm(dim=1).mean()
    other = probed((lengths * features)[order], labels[order], 3)
    torch.testing.assert_close(scale * other, weights, rtol=1e-3, atol=1e-3)


def test_what_is_not_known_is_never_answered() -> None:
    features, labels = some(0, 3, 2)
    scores = features @ probed(features, 2 * labels, 6).T
    assert torch.equal(scores.argmax(1), 2 * labels)


@pytest.mark.parametrize("size", [0.0, 1e-40, 1e-30, 1e19, 1e30])
def test_features_of_any_size_give_finite_weights(size: float) -> None:
    features, labels = some(0, 3, 4)
    weights = probed(size * features, labels, 3)
    assert weights.dtype == features.dtype and weights.isfinite().all()
    if size > 1:
        expected = probed(features, labels, 3)
        torch.testing.assert_close(size * weights, expected, rtol=1e-3, atol=1e-3)


def test_a_backbone_that_gives_no_numbers_is_told() -> None:
    module = application(learned=True)
    images = torch.rand(4, 3, SIDE, SIDE)
    images[1] = torch.nan
    with pytest.raises(RunError, match=r"model\.weights: of 1 of 4 training pictures .* model\.weights=null"):
        cast(ZooNetwork, module.network).fit_head([images], torch.tensor([0, 1, 2, 0]))


def application(learned: bool) -> Classification:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
    network = ZooNetwork(body, True, SIDE, [0.5] * 3, [0.5] * 3, "somewhere")
    module = Classification(network, 3, ["a", "b", "c"], SIDE, [0.5] * 3, [0.25] * 3)
    module.learned = learned
    return module


def test_what_has_learned_starts_from_a_fitted_layer_and_random_numbers_do_not() -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (6, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    batch = LabelBatch(images, torch.tensor([0, 1, 2, 0, 1, 2]))
    plain = application(learned=False)
    assert plain.prepare_samples == 0 and not plain.knows

    module = application(learned=True)
    assert module.prepare_samples > 0 and module.knows and module.fits == ["head"]
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module.train()
    module.prepare(batch)
    assert module.training and module.network.backbone.training
    changed = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"network.head.weight"}, "no statistics are counted"
    module.eval()
    with torch.no_grad():
        features = module.network.backbone(module._pixels(images))
    expected = probed(features, batch.labels, 3)
    torch.testing.assert_close(module.network.head.weight, expected)
    module.taken = ["network.head.weight"]
    assert not module.fits, "another run has it"


def test_a_run_s_backbone_gets_a_layer_for_other_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fitted to what that backbone says, by those weights, and told so."""
    for name, colors in {"two": ["navy", "gold"], "three": ["red", "lime", "blue"]}.items():
        for color, number in product(colors, range(6)):
            (tmp_path / name / color).mkdir(parents=True, exist_ok=True)
            picture = Image.new("RGB", (40, 40), color)
            picture.putpixel((number, 0), (number, 0, 0))
            picture.save(tmp_path / name / color / f"{number}.png")

    def config(name: str, *words: str) -> Any:
        given = [
            "task=classification", "data=classification_folder", f"data.root={tmp_path / name}",
            "model=classification_timm", "model.name=test_efficientnet", "data.image_size=32",
            "model.input_size=64", "data.batch_size=6", "trainer=cpu", "logger=csv", "test=false",
            "trainer.max_epochs=1", *words,
        ]  # fmt: skip
        return compose(given)

    engine.train(config("two", f"run.dir={tmp_path / 'run'}"))
    assert "fitted" not in capsys.readouterr().out, "it starts from random numbers"
    words = [f"init={tmp_path / 'run'}", f"run.dir={tmp_path / 'next'}"]
    _, module = assembly.prepared(OmegaConf.to_container(config("three", *words), resolve=True), False)
    network = cast(ZooNetwork, module.network)
    assert module.starts_from["fitted"] == ["head"] and module.knows
    best = checkpoint_io.load(tmp_path / "run/checkpoints/best.ckpt")["state_dict"]
    taken = [name for name in best if name.startswith("network.backbone.")]
    assert taken and all(torch.equal(module.state_dict()[name], best[name]) for name in taken)
    engine.train(config("three", *words))
    told = capsys.readouterr().out
    assert "· fitted to the training samples: head\n" in told and "random numbers: head" not in told
    assert "\nbeginning · val/accuracy 1 " in told, "colours are easy"
    assert network.head.weight.abs().sum(1).min() > 0


def test_few_pictures_leave_all_but_a_bias_as_it_is() -> None:
    module = application(learned=True)
    assert module.kept is None, "how many there are is not known"
    for counts, expected in (([1, 1, 2], KEPT), ([21, 21, 21], KEPT), ([21, 22, 21], None)):
        module.class_counts = counts
        assert module.kept == expected
    freeze_for_good(module.network, shares(KEPT))
    left = [name for name, value in module.network.named_parameters() if value.requires_grad]
    assert left == ["head.bias"]
    plain = application(learned=False)
    plain.class_counts = [1, 1, 1]
    assert plain.kept is None


@pytest.mark.parametrize(
    ("freeze", "rates", "kept", "frozen"),
    [
        ("auto", {"backbone_lr": "auto"}, KEPT, KEPT),
        ("auto", {"backbone_lr": "auto"}, None, None),
        (None, {"backbone_lr": "auto"}, KEPT, None),
        ("auto", {"backbone_lr": 1e-4}, KEPT, None),
        ("auto", {"backbone_lr": None}, KEPT, None),
        ("auto", {"backbone_lr": "auto", "layer_decay": 0.7}, KEPT, None),
    ],
)
def test_a_run_keeps_what_is_not_asked_to_learn(
    freeze: str | None, rates: dict[str, Any], kept: list[str] | None, frozen: list[str] | None
) -> None:
    config = {"freeze": freeze, "batch_norm": "fixed", "optimizer": {"lr": 1e-3, **rates}}
    chosen = settle(config, True, 0.1, kept)
    assert config["freeze"] == frozen and ("freeze" in chosen) == bool(frozen)
    if frozen:
        assert config["optimizer"]["backbone_lr"] is None
    assert shares("auto") == {}

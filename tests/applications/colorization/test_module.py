import math

import pytest
import pytorch_lightning as pl
import torch
from skimage import color as color_conversion
from torch.nn.functional import conv2d, cross_entropy

from vision_apps.applications.colorization import scenes_truth
from vision_apps.applications.colorization.ab_bins import ab_bins, nearest_bin, soft_encode
from vision_apps.applications.colorization.lab import lab_to_rgb, rgb_to_ab, rgb_to_lab, rgb_to_lightness
from vision_apps.applications.colorization.module import Colorization
from vision_apps.applications.colorization.rebalancing import bin_mass, rebalancing_weights, save_prior
from vision_apps.applications.colorization.siggraph17 import Siggraph17
from vision_apps.applications.colorization.types import ColorBatch, ColorInputs
from vision_apps.applications.colorization.zhang16 import Zhang16
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.core.fields import together
from vision_apps.core.losses import values
from vision_apps.data.resizing import resize_and_center_crop
from vision_apps.data.scenes.data import Scenes

NETWORKS = {
    "classes": lambda: Zhang16(width=1 / 16),
    "ab": lambda: Zhang16("ab", width=1 / 16),
    "siggraph17": lambda: Siggraph17(width=1 / 16),
}


@pytest.fixture(scope="module")
def scenes() -> ColorBatch:
    data = Scenes(image_size=32, train_images=8, val_images=4, test_images=4)
    data.batch_type = ColorBatch
    return ColorBatch(**data.samples("train").__getitems__(list(range(8))))


@pytest.fixture(params=NETWORKS)
def module(request) -> Colorization:
    torch.manual_seed(0)
    return Colorization(NETWORKS[request.param](), image_size=32)


def test_every_parameter_learns(module, scenes):
    module.train()
    parts = values(module.loss(module.training_outputs(scenes), scenes))
    parts["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())
    assert all(math.isfinite(part.item()) for part in parts.values())


@pytest.mark.parametrize("size", [(32, 32), (20, 50), (63, 31)])
def test_answers_any_resolution_and_keeps_the_lightness(module, size):
    images = torch.randint(90, 166, (2, 3, *size), dtype=torch.uint8)
    with torch.inference_mode():
        answer = module.eval()(ColorInputs(images))
    assert answer.images.dtype == torch.uint8 and answer.images.shape == images.shape
    assert answer.ab.shape == (2, 2, *size)
    # an untrained answer is nearly grey, so that nothing is clipped and 8 bits are all that is lost
    assert (rgb_to_lightness(answer.images) - rgb_to_lightness(images)).abs().max() < 1


def files() -> tuple[list[torch.Tensor], ColorBatch]:
    """Pictures of three shapes, and as the data give them: their middle, and themselves."""
    shapes = [(32, 32), (40, 50), (63, 31)]
    found = [torch.randint(60, 200, (1, 3, *size), dtype=torch.uint8) for size in shapes]
    batches = [
        ColorBatch(resize_and_center_crop(file, 32), None, torch.tensor([size]), file)
        for file, size in zip(found, shapes, strict=True)
    ]
    return found, together(batches)


def test_what_is_measured_is_the_answer_to_the_whole_file(module):
    pictures, batch = files()
    module.eval()
    whole, alone = module.build_metrics(), module.build_metrics()
    with torch.inference_mode():
        _, answer = module.evaluate(batch)
        module.score(whole, answer, batch)
        for picture in pictures:
            module.score(alone, module(ColorInputs(picture)), ColorBatch(picture))
        baselines = module.baselines(batch)
        for name, found in baselines.items():
            one = module.baselines(ColorBatch(pictures[1]))[name]
            assert torch.equal(found.images[1, :, :40, :50], one.images[0])
        drawn = module.presentation.draw_with_truth(batch, answer)
    found, expected = whole.compute(), alone.compute()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], msg=name)
    assert [row.shape for row in drawn.rows] == [(3, 32, 32 * len(drawn.titles))] * 3


def test_the_working_size_keeps_the_aspect_ratio_and_bounds_memory():
    module = Colorization(Zhang16(width=1 / 16), image_size=64)
    assert module._working_size(64, 64) == (64, 64)
    assert module._working_size(3000, 3000) == (64, 64)
    assert module._working_size(2000, 4000) == (48, 88)
    assert module._working_size(10, 1000) == (8, 640)


def test_sees_nothing_but_the_lightness(module):
    images = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    grey = lab_to_rgb(rgb_to_lab(images) * torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1))
    with torch.inference_mode():
        color, from_grey = module.eval()(ColorInputs(images)).ab, module(ColorInputs(grey)).ab
    assert (color - from_grey).abs().max() < 1  # the grey picture's own 8 bits


def test_classification_learns_to_overfit_below_the_prior(scenes):
    torch.manual_seed(0)
    module = Colorization(Zhang16(width=1 / 8), image_size=32).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        parts = values(module.loss(module.training_outputs(scenes), scenes))
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
        losses.append(parts["cross_entropy"].item())
    prior = soft_encode(rgb_to_ab(scenes.images, 4))
    entropy = torch.special.entr(bin_mass(prior) / prior.weights.sum()).sum().item()
    assert losses[0] == pytest.approx(math.log(313), abs=0.2)
    assert losses[-1] < entropy


def test_above_floor_is_measured_from_the_least_possible_loss(scenes):
    module = Colorization(NETWORKS["classes"](), image_size=32).eval()
    parts = values(module.loss(module.outputs(ColorInputs(scenes.images)), scenes))
    floor = scenes_truth.floor(scenes.materials[:, ::4, ::4]).mean()
    assert parts["above_floor"].item() == pytest.approx((parts["cross_entropy"] - floor).item(), abs=1e-5)
    assert "above_floor" not in values(
        module.loss(module.outputs(ColorInputs(scenes.images)), ColorBatch(scenes.images))
    )


def test_the_prior_is_counted_whatever_is_learned(module, scenes):
    module.prepare(scenes)
    assert module.prior.max().item() > 0.05  # colours of a world are far from uniform


def test_rebalancing_weighs_by_the_prior_that_was_counted(scenes):
    module = Colorization(NETWORKS["classes"](), image_size=32, rebalance=0.5)
    module.prepare(scenes)
    target = soft_encode(rgb_to_ab(scenes.images, 4))
    expected = bin_mass(target) / target.weights.sum()
    assert torch.allclose(module.prior, expected.float(), atol=1e-6)
    parts = values(module.loss(module.outputs(ColorInputs(scenes.images)), scenes))
    assert parts["loss"].item() != pytest.approx(parts["cross_entropy"].item(), rel=1e-3)


def test_a_pixel_weighs_by_the_nearest_bin_of_its_color(scenes):
    module = Colorization(NETWORKS["classes"](), image_size=32, rebalance=0.5, drop_grey=False)
    prior = torch.arange(1, 314, dtype=torch.float64) ** 3  # every bin has another
    module.prior.copy_(prior / prior.sum())
    ab = rgb_to_ab(scenes.images, 4)
    found = module._pixel_weights(ab, soft_encode(ab, 5))
    nearest = torch.cdist(ab.permute(0, 2, 3, 1).flatten(0, 2), ab_bins()).argmin(1)
    expected = rebalancing_weights(module.prior, 0.5)[nearest].view_as(ab[:, 0])
    torch.testing.assert_close(found, expected)


def test_the_prior_is_counted_over_all_pictures_that_are_asked_for():
    """More than a part of 64, and the last ones look like none of the others."""
    module = Colorization(NETWORKS["classes"](), image_size=32, prior_images=150)
    images = torch.randint(100, 150, (150, 3, 16, 16), dtype=torch.uint8)
    images[140:, 0], images[140:, 1:] = 250, 10
    assert module.prepare_samples == 150
    module.prepare(ColorBatch(images))
    target = soft_encode(rgb_to_ab(images, 4), 5)
    expected = bin_mass(target) / target.weights.sum()
    torch.testing.assert_close(module.prior, expected.float())


def test_the_lightness_is_scaled_with_antialiasing(monkeypatch):
    module = Colorization(NETWORKS["classes"](), image_size=16).eval()
    y, x = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    board = (255 * ((x + y) % 2)).to(torch.uint8).expand(1, 3, -1, -1)
    seen = []
    monkeypatch.setattr(module.network, "forward", lambda lightness: seen.append(lightness))
    module.outputs(ColorInputs(board))
    assert seen[0].shape == (1, 1, 16, 16)
    assert (seen[0][..., 1:-1, 1:-1] - 50).abs().max() < 6  # not 0 and 100


def test_siggraph17_learns_the_sum_of_both_losses(scenes):
    """Classes by hard targets, and ten times the L1 of the regression, both means over their own pixels."""
    torch.manual_seed(0)
    module = Colorization(Siggraph17(width=1 / 16), image_size=32, drop_grey=False).eval()
    torch.nn.init.normal_(module.network.head.weight, std=0.1)
    outputs = module.outputs(ColorInputs(scenes.images))
    head = module.network.head
    logits = conv2d(outputs.features, head.weight, head.bias)
    classes = cross_entropy(logits, nearest_bin(rgb_to_ab(scenes.images, 4), 529))
    regression = (outputs.ab - rgb_to_ab(scenes.images)).abs().div(110).sum(1).mean()
    found = values(module.loss(outputs, scenes))
    assert found["cross_entropy"].item() == pytest.approx(classes.item(), rel=1e-5)
    assert found["regression"].item() == pytest.approx(regression.item(), rel=1e-5)
    assert found["loss"].item() == pytest.approx((classes + 10 * regression).item(), rel=1e-5)


def test_the_prior_is_kept_in_the_checkpoint(scenes):
    first = Colorization(NETWORKS["classes"](), image_size=32, rebalance=0.5)
    first.prepare(scenes)
    second = Colorization(NETWORKS["classes"](), image_size=32, rebalance=0.5)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.prior, second.prior)


def test_all_colors_weigh_alike_before_they_are_counted(scenes):
    module = Colorization(NETWORKS["classes"](), image_size=32, rebalance=0.5, drop_grey=False).eval()
    parts = values(module.loss(module.outputs(ColorInputs(scenes.images)), scenes))
    assert parts["loss"].item() == pytest.approx(parts["cross_entropy"].item())


def test_grey_images_do_not_count(scenes):
    images = scenes.images.clone()
    images[:4] = 128
    module = Colorization(NETWORKS["classes"](), image_size=32).eval()
    outputs = module.outputs(ColorInputs(images))
    dropped = values(module.loss(outputs, ColorBatch(images)))
    assert dropped["loss"] < dropped["cross_entropy"]
    module.drop_grey = False
    kept = values(module.loss(outputs, ColorBatch(images)))
    assert kept["loss"].item() == pytest.approx(dropped["cross_entropy"].item())


class _Fit(pl.Trainer):
    def __init__(self) -> None:
        super().__init__(
            max_steps=2,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )


def data() -> Scenes:
    scenes = Scenes(image_size=32, train_images=8, val_images=4, test_images=4, batch_size=4)
    scenes.batch_type = ColorBatch
    return scenes


def test_a_given_prior_is_used(tmp_path, scenes):
    prior = torch.full((313,), 1e-6, dtype=torch.float64)
    prior[150:160] = 1
    save_prior(prior / prior.sum(), tmp_path / "prior.npy")
    module = Colorization(NETWORKS["classes"](), image_size=32, rebalance=0.5, prior=tmp_path / "prior.npy")
    module.prepare(scenes)
    assert torch.allclose(module.prior.double(), prior / prior.sum(), atol=1e-6)
    missing = Colorization(NETWORKS["classes"](), image_size=32, prior="none.npy")
    with pytest.raises(DataError, match=r"none\.npy does not exist.*vision-apps data prior"):
        missing.prepare(scenes)


def test_baselines_are_scored_in_the_test(module):
    trainer = _Fit()
    module.optimizer = torch.optim.AdamW
    trainer.fit(module, datamodule=data())
    trainer.test(module, datamodule=data(), verbose=False)
    values = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert values["test/best_l2/auc"] > values["test/grey/auc"] > 0
    assert values["test/grey/colorfulness"] == pytest.approx(0, abs=0.1)
    assert values["test/prior/auc_rebalanced"] > 0
    assert values["test/psnr"] > 5
    assert set(module.stage("test").figures) == {"test/ab_histogram"}


def test_baselines_are_the_same_at_every_call(scenes):
    module = Colorization(NETWORKS["classes"](), image_size=32)
    first, second = module.baselines(scenes), module.baselines(scenes)
    assert all(torch.equal(first[name].images, second[name].images) for name in first)
    assert set(first) == {"grey", "prior", "best_l2"}
    assert set(module.baselines(ColorBatch(scenes.images))) == {"grey", "prior"}


def test_pictures_have_a_title_for_every_column(module, scenes):
    with torch.inference_mode():
        answer = module.eval()(ColorInputs(scenes.images))
    for batch, columns in ((scenes, 4), (ColorBatch(scenes.images), 3)):
        rows, titles, _ = module.presentation.draw_with_truth(batch, answer)
        assert len(rows) == 8 and rows[0].shape == (3, 32, 32 * columns) and rows[0].dtype == torch.uint8
        assert len(titles) == columns
        assert torch.equal(rows[0][:, :, 32:64], batch.images[0])


def test_rows_of_a_prediction(module, scenes):
    with torch.inference_mode():
        inputs = ColorInputs(scenes.images)
        rows = module.presentation.describe(inputs, module.eval()(inputs))
    assert len(rows) == 8
    assert all(row["chroma"] >= 0 and row["colorfulness"] >= 0 for row in rows)
    # an untrained network with classes has no idea; regression does not know how sure it is
    certainty = [row.get("certainty") for row in rows]
    is_classifier = isinstance(module.network, Zhang16) and module.network.head is not None
    assert all(0 <= value < 0.2 for value in certainty) if is_classifier else set(certainty) == {None}


def test_user_hints_reach_the_network_at_any_resolution():
    torch.manual_seed(0)
    module = Colorization(Siggraph17(width=1 / 16), image_size=16).eval()
    images = torch.randint(0, 256, (1, 3, 40, 24), dtype=torch.uint8)
    hints = torch.full((1, 2, 40, 24), 50.0), torch.ones(1, 1, 40, 24)
    with torch.inference_mode():
        assert not torch.equal(
            module.outputs(ColorInputs(images, *hints)).ab, module.outputs(ColorInputs(images)).ab
        )


def test_a_user_types_hints():
    module = Colorization(Siggraph17(width=1 / 16), image_size=16)
    images = torch.full((1, 3, 20, 30), 128, dtype=torch.uint8)
    inputs = module.encode(images, {"hints": "10,5,#c03020 29,19,#3060ff"})
    known = torch.zeros(20, 30)
    known[3:8, 8:13] = known[17:20, 27:30] = 1  # squares of 5 px, cut at the border
    assert torch.equal(inputs.mask[0, 0], known)
    for (x, y), color in {(10, 5): (192, 48, 32), (29, 19): (48, 96, 255)}.items():
        expected = color_conversion.rgb2lab(torch.tensor([[color]], dtype=torch.uint8).numpy())[0, 0, 1:]
        assert inputs.ab[0, :, y, x].tolist() == pytest.approx(expected.tolist(), abs=0.02)
    assert module.encode(images, {}).mask is None
    for wrong in ("10,5", "30,5,#c03020", "10,20,#c03020", "10,5,red"):
        with pytest.raises(DataError, match=rf"^hints: '{wrong}'; expected x,y,#rrggbb with x below 30"):
            module.encode(images, {"hints": wrong})
    assert set(module.words) == {"hints"} and not Colorization(Zhang16(width=1 / 16)).words


def test_all_wrong_arguments_are_named_at_once():
    with pytest.raises(ConfigError) as error:
        Colorization(Zhang16(width=1 / 16), temperature=0, neighbours=99, rebalance=2, prior_images=0)
    for name in ("temperature", "neighbours", "rebalance", "prior_images"):
        assert f"module.{name}: " in str(error.value)


def test_the_example_is_a_batch_that_trains(module):
    batch = module.example()
    assert batch.images.shape == (2, 3, 32, 32) and batch.images.dtype == torch.uint8
    assert torch.isfinite(values(module.train().loss(module.training_outputs(batch), batch))["loss"])


@pytest.mark.slow
def test_exports(module, scenes):
    class Answer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module.eval()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.module(ColorInputs(images)).images

    with torch.no_grad():
        program = torch.export.export(
            Answer(),
            (scenes.images[:2],),
            dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1, max=64)}},
        ).module()
        found, expected = program(scenes.images[:5]), module(ColorInputs(scenes.images[:5])).images
    assert (found.int() - expected.int()).abs().max() <= 1

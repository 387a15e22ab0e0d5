import pytest
import torch
from torch import nn

from vision_apps.applications.colorization.ab_bins import ab_bins
from vision_apps.applications.colorization.decode import annealed_mean
from vision_apps.applications.colorization.siggraph17 import Siggraph17
from vision_apps.applications.colorization.zhang16 import RELEASED_SCALE, Zhang16
from vision_apps.core.errors import CheckpointError


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.slow
def test_parameters_are_those_of_the_papers():
    assert parameters(Zhang16()) == 32_235_385
    assert parameters(Siggraph17()) == 34_187_027


@pytest.mark.parametrize("size", [(32, 32), (28, 28), (17, 42)])
def test_resolutions_for_any_size(size):
    lightness = torch.rand(2, 1, *size) * 100
    quarter = (-(-size[0] // 4), -(-size[1] // 4))
    classes = Zhang16(width=1 / 16)(lightness)
    assert classes.features.shape[2:] == quarter and classes.ab is None
    regression = Zhang16("ab", width=1 / 16)(lightness)
    assert regression.features is None and regression.ab.shape == (2, 2, *quarter)
    both = Siggraph17(width=1 / 16)(lightness)
    assert both.features.shape[2:] == quarter and both.ab.shape == (2, 2, *size)


def test_the_signal_keeps_its_size_through_an_untrained_network():
    torch.manual_seed(0)
    network = Zhang16(width=0.25).train()
    with torch.no_grad():
        features = network(torch.rand(2, 1, 32, 32) * 100).features
    assert 0.3 < features.square().mean().sqrt().item() < 3


def test_an_unknown_head_is_refused():
    with pytest.raises(ValueError, match="classes or ab"):
        Zhang16("boxes")


def released_zhang16(network: Zhang16) -> dict[str, torch.Tensor]:
    """A state dict as the authors publish it: their names, their scale, and the fixed decoding layer."""
    state = {}
    for key, value in network.state_dict().items():
        key = key.replace("conv", "model").replace("head.", "model8.6.")
        state[key] = value * RELEASED_SCALE if key.startswith("model8.6.") else value
    return {**state, "model_out.weight": ab_bins().T.reshape(2, 313, 1, 1) / 110}


@pytest.mark.slow
def test_loads_the_authors_zhang16(tmp_path):
    torch.manual_seed(0)
    source = Zhang16()
    nn.init.normal_(source.head.weight)
    state = released_zhang16(source)
    assert state["model8.6.weight"].shape == (313, 256, 1, 1) and state["model1.4.running_mean"].shape == (
        64,
    )
    torch.save(
        {key: value for key, value in state.items() if "num_batches" not in key}, tmp_path / "eccv16.pth"
    )
    loaded = Zhang16(weights=tmp_path / "eccv16.pth")
    lightness = torch.rand(1, 1, 32, 32) * 100
    with torch.no_grad():
        features = loaded.eval()(lightness).features
        assert torch.allclose(features, source.eval()(lightness).features)
        # the authors' answer, softmax of the scaled logits, is ours at temperature 1 / 2.606
        logits = nn.functional.conv2d(features, state["model8.6.weight"], state["model8.6.bias"])
        theirs = nn.functional.conv2d(logits.softmax(1), state["model_out.weight"]) * 110
        ours = annealed_mean(features, loaded.head.weight, loaded.head.bias, ab_bins(), 1 / RELEASED_SCALE).ab
    assert torch.allclose(ours, theirs, atol=1e-3)


def test_loads_the_authors_siggraph17(tmp_path):
    source = Siggraph17(width=1 / 16)
    state = {}
    for key, value in source.state_dict().items():
        name, rest = key.split(".", 1)
        name = {"head": "model_class", "regression": "model_out"}.get(name, name.replace("conv", "model"))
        layer = "0." if name in ("model_class", "model_out") or "up" in name or "short" in name else ""
        state[f"{name}.{layer}{rest}"] = value
    assert {"model3short8.0.weight", "model10up.0.bias", "model10.1.weight", "model_out.0.bias"} <= set(state)
    torch.save(state, tmp_path / "siggraph17.pth")
    loaded = Siggraph17(width=1 / 16, weights=tmp_path / "siggraph17.pth").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in source.state_dict().items())


def test_weights_that_do_not_fit_are_refused_with_the_difference(tmp_path):
    torch.save(released_zhang16(Zhang16(width=1 / 16)), tmp_path / "narrow.pth")
    with pytest.raises(CheckpointError, match=r"does not fit: .*conv1\.0\.weight: .*\[4, 1, 3, 3\].*\[8, 1"):
        Zhang16(width=1 / 8, weights=tmp_path / "narrow.pth")
    torch.save({"model1.0.weight": torch.zeros(4, 1, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r'does not fit: .*Missing.*"conv1\.0\.bias"'):
        Zhang16(width=1 / 16, weights=tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="does not exist"):
        Zhang16(weights=tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(CheckpointError, match=r"^model\.weights: .* is not a state dict"):
        Zhang16(weights=tmp_path / "text.pth")
    for content, what in (([1], "it holds a list"), ({"epoch": 3}, "'epoch' is a int")):
        torch.save(content, tmp_path / "other.pth")
        with pytest.raises(CheckpointError, match=f"is not a state dict of tensors: {what}"):
            Zhang16(width=1 / 16, weights=tmp_path / "other.pth")


def test_hints_change_the_answer_only_where_there_is_a_mask():
    torch.manual_seed(0)
    network = Siggraph17(width=1 / 16).eval()
    lightness, hint = torch.rand(1, 1, 16, 16) * 100, torch.full((1, 2, 16, 16), 40.0)
    with torch.no_grad():
        without = network(lightness).ab
        assert torch.equal(network(lightness, hint, torch.zeros(1, 1, 16, 16)).ab, without)
        assert not torch.equal(network(lightness, hint, torch.ones(1, 1, 16, 16)).ab, without)

"""The networks against their papers, against torchvision, and as functions that can be trained."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from vision_apps.applications.classification.alexnet import AlexNet, response_norm
from vision_apps.applications.classification.cnn import Cnn
from vision_apps.applications.classification.dense import Dense
from vision_apps.applications.classification.googlenet import GoogLeNet
from vision_apps.applications.classification.lenet5 import LeNet5, ScaledTanh
from vision_apps.applications.classification.resnet import ResNet
from vision_apps.core.errors import ConfigError
from vision_apps.networks.auxiliary import AuxiliaryLogits, Logits

# narrow enough for a test, without dropout so that a few steps are enough to learn by heart
NARROW: dict[str, Callable[[], nn.Module]] = {
    "dense": lambda: Dense(3, 32, width=16),
    "dense-regression": lambda: Dense(3, 32, depth=0),
    "cnn": lambda: Cnn(3, width=8),
    "lenet5": lambda: LeNet5(3),
    "alexnet-2012": lambda: AlexNet(3, 32, width=0.05, dropout=0),
    "alexnet-2014": lambda: AlexNet(3, 32, version=2014, width=0.05, dropout=0),
    "googlenet": lambda: GoogLeNet(3, 32, width=0.1, dropout=0),
    "googlenet-paper": lambda: GoogLeNet(3, 32, width=0.1, dropout=0, large_kernel=5, auxiliary_weight=0),
    "resnet-basic": lambda: ResNet(3, 32, width=4),
    "resnet-bottleneck": lambda: ResNet(3, 32, depth=50, width=4),
}


@pytest.fixture(params=NARROW)
def narrow(request: pytest.FixtureRequest) -> nn.Module:
    return NARROW[request.param]()


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def built(network: type[nn.Module], *args: object, **kwargs: object) -> nn.Module:
    with torch.device("meta"):
        return network(*args, **kwargs)


def all_logits(outputs: Logits) -> list[Tensor]:
    return [outputs.logits, *outputs.auxiliary] if isinstance(outputs, AuxiliaryLogits) else [outputs]


def test_every_parameter_gets_a_gradient(narrow: nn.Module) -> None:
    images = torch.randn(4, 3, 32, 32)
    torch.stack([logits.square().sum() for logits in all_logits(narrow(images))]).sum().backward()
    idle = [name for name, p in narrow.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


@pytest.mark.slow
def test_eight_random_images_are_learned_by_heart(narrow: nn.Module) -> None:
    images, labels = torch.randn(8, 3, 32, 32), torch.arange(8) % 3
    optimizer = torch.optim.Adam(narrow.parameters(), lr=3e-3)
    losses = [math.inf]
    while losses[-1] > 0.4 and len(losses) < 80:  # knowing nothing costs ln 3 = 1.10
        loss = F.cross_entropy(all_logits(narrow(images))[0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] <= 0.4, losses[::10]


def test_in_evaluation_an_image_is_answered_alone(narrow: nn.Module) -> None:
    images = torch.randn(3, 3, 32, 32)
    together = narrow.eval()(images)
    assert together.shape == (3, 3)
    torch.testing.assert_close(torch.cat([narrow(image[None]) for image in images]), together)


def test_channels_last_changes_nothing(narrow: nn.Module) -> None:
    images = torch.randn(2, 3, 32, 32)
    expected = narrow.eval()(images)
    changed = narrow.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(changed, expected, rtol=1e-4, atol=1e-5)


@given(height=st.integers(1, 40), width=st.integers(1, 40), depth=st.integers(1, 4))
def test_cnn_takes_any_size(height: int, width: int, depth: int) -> None:
    assert built(Cnn, 5, depth=depth, width=4)(torch.empty(2, 3, height, width, device="meta")).shape == (
        2,
        5,
    )


@pytest.mark.parametrize("size", [1, 2, 7, 33, 64, 65, 130])
def test_resnet_takes_any_size(size: int) -> None:
    network = built(ResNet, 5, size, width=4)
    assert network(torch.empty(2, 3, size, size, device="meta")).shape == (2, 5)


@given(size=st.integers(8, 300))
def test_alexnet_takes_the_sizes_that_it_says(size: int) -> None:
    if size < 15:
        with pytest.raises(ConfigError, match=f"15 pixels or more, these images have {size}"):
            built(AlexNet, 5, size, width=0.05)
    else:
        network = built(AlexNet, 5, size, width=0.05)
        assert network(torch.empty(2, 3, size, size, device="meta")).shape == (2, 5)


def test_alexnet_refuses_small_images_for_the_large_stem() -> None:
    with pytest.raises(ConfigError, match=r"model\.stem=small"):
        built(AlexNet, 5, 62, stem="imagenet")


# ---- parameters -----------------------------------------------------------------------------------------


def test_lenet5_has_the_paper_s_layers() -> None:
    network = LeNet5(10)
    more = 6 * 2 * 5**2  # weights of C1 for the two channels that the paper's grey digits have not
    assert parameters(network) == 61_706 + more
    # LeCun et al. 1998, section II.B, trainable parameters of C1, C5 and F6
    found = [parameters(layer) for layer in (network.c1, network.c5, network.f6)]
    assert found == [156 + more, 48_120, 10_164]
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_scaled_tanh_is_the_identity_at_one() -> None:
    ends = torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(
        ScaledTanh()(ends), ends, atol=1e-4, rtol=0
    )  # appendix A: f(1) = 1, f(-1) = -1


def test_alexnet_has_the_paper_s_layers() -> None:
    network = built(AlexNet, 1000)
    assert parameters(network) == 60_965_224
    neurons = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(lambda _layer, _inputs, output: neurons.append(output[0].numel()))
    network(torch.empty(1, 3, 224, 224, device="meta"))
    # Krizhevsky et al. 2012, section 3.5; its 253,440 for the first layer contradict Figure 2
    assert neurons == [55 * 55 * 96, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]


def test_response_norm_is_section_3_3_of_alexnet() -> None:
    maps = torch.rand(1, 7, 2, 2, dtype=torch.float64) * 100
    expected = torch.empty_like(maps)
    for i in range(7):
        near = maps[:, max(0, i - 2) : i + 3].square().sum(dim=1)
        expected[:, i] = maps[:, i] / (2 + 1e-4 * near) ** 0.75
    torch.testing.assert_close(response_norm()(maps), expected)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (lambda: built(Cnn, 10), 94_762),
        (lambda: built(Dense, 10, 32), 855_050),
        (lambda: built(Dense, 10, 32, width=30), 93_430),
        (lambda: built(AlexNet, 1000, version=2014), 61_100_840),
        (lambda: built(GoogLeNet, 1000), 13_004_888),
        (lambda: built(GoogLeNet, 1000, auxiliary_weight=0), 6_624_904),
        (lambda: built(ResNet, 1000, depth=18), 11_689_512),
        (lambda: built(ResNet, 1000, depth=34), 21_797_672),
        (lambda: built(ResNet, 1000, depth=50), 25_557_032),
        (lambda: built(ResNet, 10, 32, depth=18), 11_173_962),
    ],
)
def test_parameters_are_as_documented(network: Callable[[], nn.Module], expected: int) -> None:
    assert parameters(network()) == expected


def test_googlenet_s_maps_have_the_paper_s_sizes() -> None:
    network = built(GoogLeNet, 1000, large_kernel=5)
    shapes = []
    stages = (network.stem, network.stage3, network.stage4a, network.stage4d, network.stage4e, network.stage5)
    for stage in stages:
        stage.register_forward_hook(lambda _stage, _inputs, output: shapes.append(tuple(output.shape[1:])))
    network(torch.empty(2, 3, 224, 224, device="meta"))
    # Szegedy et al. 2014, Table 1, column "output size": 2nd max pool, 3b, 4a, 4d, 4e, 5b
    assert shapes == [
        (192, 28, 28), (480, 28, 28), (512, 14, 14), (528, 14, 14), (832, 14, 14), (1024, 7, 7)
    ]  # fmt: skip


# ---- the same function as torchvision -------------------------------------------------------------------


def with_random_statistics(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return network


def copy_in_order(source: nn.Module, target: nn.Module) -> None:
    values, names = list(source.state_dict().values()), list(target.state_dict())
    target.load_state_dict(dict(zip(names, values, strict=True)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: AlexNet(10, version=2014), lambda: torchvision.models.alexnet(num_classes=10)),
        (lambda: ResNet(10, depth=18), lambda: torchvision.models.resnet18(num_classes=10)),
        (lambda: ResNet(10, depth=34), lambda: torchvision.models.resnet34(num_classes=10)),
        (lambda: ResNet(10, depth=50), lambda: torchvision.models.resnet50(num_classes=10)),
        (
            lambda: GoogLeNet(10),
            lambda: torchvision.models.googlenet(num_classes=10, init_weights=False, aux_logits=True),
        ),
    ],
    ids=["alexnet", "resnet18", "resnet34", "resnet50", "googlenet"],
)
def test_equals_torchvision(ours: Callable[[], nn.Module], theirs: Callable[[], nn.Module]) -> None:
    reference, network = with_random_statistics(theirs()).eval(), ours().eval()
    copy_in_order(reference, network)
    images = torch.randn(2, 3, 67, 67)  # odd, so that padding and rounding count
    with torch.no_grad():
        torch.testing.assert_close(network(images), reference(images), rtol=1e-4, atol=1e-5)


def test_googlenet_s_auxiliary_heads_equal_torchvision_s() -> None:
    reference = torchvision.models.googlenet(
        num_classes=10, init_weights=False, aux_logits=True, dropout=0, dropout_aux=0
    )
    network = GoogLeNet(10, dropout=0)
    for head in network.auxiliary:
        head.dropout.p = 0
    copy_in_order(reference, network)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected, found = reference(images), network(images)
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(found.auxiliary, (expected.aux_logits1, expected.aux_logits2), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_resnet_zero_init_starts_every_block_as_its_shortcut() -> None:
    network = ResNet(3, 32, depth=50, width=4, zero_init=True).eval()
    block = network.blocks[1]
    maps = torch.rand(1, 16, 8, 8)
    torch.testing.assert_close(block(maps), maps)

"""Published weights: what is said of those that do not exist or cannot be had."""

from typing import Any

import pytest

from vision_apps.core.errors import ConfigError, RunError
from vision_apps.networks.published import chosen, download, unknown


def test_weights_that_cannot_be_had_are_told_with_their_place() -> None:
    class Entry:
        name, url = "V1", "https://example.org/file-1234.pth"

        def get_state_dict(self, **kwargs: Any) -> None:
            raise OSError("no network")

    with pytest.raises(RunError) as caught:
        download(Entry(), "model.weights", "resnet0")
    for text in ("model.weights=V1", "no network", "checkpoints/file-1234.pth", "model.weights=null"):
        assert text in str(caught.value)


def test_a_network_without_published_weights_is_told() -> None:
    with pytest.raises(ConfigError, match=r"there are none; start from random numbers: model.weights=null"):
        raise unknown("model.weights", "DEFAULT", [], "a set of published weights of resnet0")


def test_a_set_that_does_not_exist_is_told_with_the_nearest() -> None:
    from torchvision.models import ResNet18_Weights

    assert chosen("model.weights", "DEFAULT", ResNet18_Weights, "resnet18") is ResNet18_Weights.DEFAULT
    with pytest.raises(ConfigError, match=r"model\.weights: IMAGENET1K_V7 .* did you mean IMAGENET1K_V1"):
        chosen("model.weights", "IMAGENET1K_V7", ResNet18_Weights, "resnet18")

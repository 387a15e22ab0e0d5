"""Every model, found by listing, can be fine-tuned: its backbone frozen, at rates of its own, and begun with
another run's weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from smallest import WORLD
from test_every_application import MODELS as PAIRS
from test_every_application import assemble
from vision_apps.core import assembly, starting
from vision_apps.core.config import options
from vision_apps.core.config.compose import compose
from vision_apps.core.config.fine_tuning import Rates
from vision_apps.core.errors import ConfigError
from vision_apps.core.freezing import freeze_for_good
from vision_apps.core.losses import values
from vision_apps.core.parts import backbone
from vision_apps.core.rates import layers, parameter_groups

pytestmark = pytest.mark.slow
MODELS = list(dict.fromkeys(model for _, model in PAIRS))  # an application may take another's


@pytest.mark.parametrize("model", MODELS)
def test_frozen_at_its_own_rates_and_begun(model: str) -> None:
    config, data, module, batch = assemble(f"task={options.application_of(model)}", f"model={model}")
    network, facts = module.network, data.facts_of_run
    source = starting.Source(Path("run"), dict(module.state_dict()), {"config": config, "facts": facts}, None)
    own = begun(config, facts, module, source)
    assert own.left == {}
    assert not [name for name in own.names if not name.startswith((starting.NETWORK, starting.PIXELS))]
    numbering = starting.words(facts)  # the names of classes, or a vocabulary
    if numbering:
        others = facts | {name: [f"other {word}" for word in own] for name, own in numbering.items()}
        left = begun(config, others, module, source).left
        assert left.keys() < module.state_dict().keys()
        assert bool(left) == (options.application_of(model) != "colorization")
        assert set(left.values()) <= {starting.OTHER_WORDS}
        assert not left.keys() & set(starting.names_below_backbone(network).values())

    part = backbone(network)
    if part is None:
        with pytest.raises(ConfigError, match=r"^optimizer.layer_decay: .* has no part called backbone"):
            parameter_groups(module, 0.1, network, Rates(layer_decay=0.5))
        with pytest.raises(ConfigError, match=r"^freeze: .* has no part 'backbone'"):
            freeze_for_good(network, {"backbone": 1.0})
        return
    below = starting.names_below_backbone(network)
    assert below.keys() == part.state_dict().keys()
    assert len(set(layers(network, part).values())) > 3
    groups = parameter_groups(module, 0.1, network, Rates(layer_decay=0.5))
    grouped = [p for group in groups for p in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {p for p in module.parameters() if p.requires_grad}
    assert groups[0]["name"] == "head"

    freeze_for_good(network, {"backbone": 1.0})
    module.train()
    parts = values(module.loss(module.training_outputs(batch), batch))
    parts["loss"].backward()
    assert all(p.grad is None for p in part.parameters())
    learned = [p for p in module.parameters() if p.requires_grad]
    assert learned
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in learned)


SHARED = [model for model in MODELS if model.endswith("_pretrained")]


@pytest.mark.parametrize("model", SHARED)
def test_what_a_classifier_has_learned_serves_every_application(model: str) -> None:
    source = assembled("classification_pretrained")
    module = assembled(model)
    of = starting.Source(Path("run"), dict(source.state_dict()), {"facts": {}}, None)
    taken = starting.fitting(module, of, lambda: starting.names_below_backbone(source.network), set)
    below = starting.names_below_backbone(module.network)
    assert len(below) > 200
    assert taken.names.keys() >= {*below.values(), "normalize.mean", "normalize.std"}
    starting.take(module, of, taken)
    for name, other in taken.names.items():
        assert torch.equal(module.state_dict()[name], source.state_dict()[other]), name


def assembled(model: str) -> Any:
    words = [f"task={options.application_of(model)}", f"model={model}", *WORLD]
    config: Any = OmegaConf.to_container(compose(words), resolve=True)
    facts = assembly.build_data(config).facts_of_run
    return assembly.build_module(config, facts, trainable=True, trained=True)


def begun(config: dict[str, Any], facts: dict[str, Any], module: Any, source: starting.Source) -> Any:
    return starting.fitting(module, source, dict, lambda: assembly._of_words(config, facts, module, source))

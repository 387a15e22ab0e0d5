"""``key=value`` changes to a saved configuration."""

import copy

import pytest

from vision_apps.core.config import overrides
from vision_apps.core.errors import ConfigError

SAVED = {"seed": 0, "trainer": {"max_epochs": 10, "limit": None}, "data": {"augment": {"flip": {"p": 0.5}}}}


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        ("seed=3", ("seed",), 3),
        ("trainer.max_epochs=20", ("trainer", "max_epochs"), 20),
        ("trainer.limit=0.5", ("trainer", "limit"), 0.5),
        ("trainer.limit=1e-3", ("trainer", "limit"), 0.001),
        ("trainer.limit=null", ("trainer", "limit"), None),
        ("trainer.limit=true", ("trainer", "limit"), True),
        ("trainer.limit=[1, 2]", ("trainer", "limit"), [1, 2]),
        ("trainer.limit=a=b", ("trainer", "limit"), "a=b"),
        ("data.augment.flip.p=0", ("data", "augment", "flip", "p"), 0),
    ],
)
def test_values(change: str, path: tuple[str, ...], value: object) -> None:
    before = copy.deepcopy(SAVED)
    node = overrides.apply(SAVED, [change])
    for name in path:
        node = node[name]
    assert node == value
    assert type(node) is type(value)
    assert before == SAVED


def test_the_last_one_wins() -> None:
    assert overrides.apply(SAVED, ["seed=1", "seed=2"])["seed"] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed", "seed: expected key=value, for instance trainer.max_epochs=20"),
        ("sed=1", "sed: the run has no such key; did you mean 'seed'?"),
        (
            "trainer.max_epoch=1",
            "trainer.max_epoch: the run has no such key; did you mean 'trainer.max_epochs'?",
        ),
        ("zzz=1", "zzz: the run has no such key"),
        (
            "data.augment=other",
            "data.augment: a saved run keeps its data.augment; start a new run to use another",
        ),
    ],
)
def test_refused(change: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        overrides.apply(SAVED, [change])
    assert str(caught.value) == message


def test_value_that_cannot_be_read() -> None:
    with pytest.raises(ConfigError, match=r"^trainer.limit=\[1, 2: cannot be read"):
        overrides.apply(SAVED, ["trainer.limit=[1, 2"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0.02494049922632888", "0.02494"),
        ("1.0234567e-05", "1.023e-05"),
        ("0.1", "0.1"),
        ("123456", "123456"),
        ("[0.90000001,0.999]", "[0.90000001,0.999]"),
        ("resnet18", "resnet18"),
        ("null", "null"),
    ],
)
def test_rounded(text: str, shown: str) -> None:
    assert overrides.rounded(text, 4) == shown

"""``key=value``, and such changes to a saved configuration."""

import copy
import re

import pytest
from omegaconf import OmegaConf

from vision_apps.cli.arguments import Words
from vision_apps.core.config import overrides
from vision_apps.core.config.compose import compose
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10:00:00", "10:00:00"),  # YAML 1.1 reads 36000
        ("1:00:00:00", "1:00:00:00"),
        ("on", "on"),
        ("no", "no"),
        ("0o17", "0o17"),
        ("1_000", 1000),
        ("'photos #2'", "photos #2"),
        ("photos #2", "photos #2"),
        ("b\u00fccher/~x;y", "b\u00fccher/~x;y"),
        ("sqlite:///a.db?mode=ro&x=1", "sqlite:///a.db?mode=ro&x=1"),
        ("a: b", "a: b"),
        ('"a, b"', "a, b"),
        ("photos/a-b_c.d", "photos/a-b_c.d"),
        ("{val/loss: min, parameters: min}", {"val/loss": "min", "parameters": "min"}),
        ("sqlite:///study.db", "sqlite:///study.db"),
        ("2026-01-02", "2026-01-02"),
        ("", ""),
    ],
)
def test_the_grammar_of_the_command_line_of_a_new_run(text: str, value: object) -> None:
    found = overrides.value(f"key={text}")
    assert (found, type(found)) == (value, type(value))
    composed = compose([f"+trainer.default_root_dir={text}"])
    assert OmegaConf.to_container(composed.trainer)["default_root_dir"] == value


@pytest.mark.parametrize("text", ["photos (2)", "a {b", "'half", "[1"])
def test_what_it_refuses(text: str) -> None:
    with pytest.raises(
        ConfigError, match=f"^key={re.escape(text)}: cannot be read: .*; quote text that has any of"
    ):
        overrides.value(f"key={text}")
    with pytest.raises(ConfigError, match=r"cannot be read: .*; quote text that has any of"):
        compose([f"+trainer.default_root_dir={text}"])


def test_several_values_are_a_sweep() -> None:
    with pytest.raises(
        ConfigError, match=r"^seed=1,2: several values are a sweep; a list is written seed=\[1,2\]"
    ):
        overrides.value("seed=1,2")


def test_quotes_around_what_no_grammar_reads() -> None:
    assert Words(["dir='my sweep #2'"]).pop("dir") == "my sweep #2"
    assert Words(["resume=runs/a (1)/x"]).pop("resume") == "runs/a (1)/x"

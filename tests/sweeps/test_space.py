"""What can vary, and what is said where it cannot."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from vision_apps.core.config.compose import compose
from vision_apps.core.errors import ConfigError
from vision_apps.sweeps.space import parse

TOY = ["task=toy"]


def test_hydras_grammar_as_distributions() -> None:
    found = parse(
        [
            *TOY,
            "model.width=4,8",
            "optimizer.lr=tag(log,interval(1e-4,1e-1))",
            "seed=range(0,6,2)",
            "data.batch_size=int(interval(1,64))",
            "model.dropout=interval(0,1)",
            "scheduler=choice(constant, warmup_cosine)",
            "+trainer.note='choice(\"a b\",c)'".replace("'", ""),
        ],
        {},
    )
    assert found.distributions == {
        "model.width": CategoricalDistribution([4, 8]),
        "optimizer.lr": FloatDistribution(1e-4, 1e-1, log=True),
        "seed": IntDistribution(0, 4, step=2),  # the end is excluded, as in Python
        "data.batch_size": IntDistribution(1, 64),
        "model.dropout": FloatDistribution(0, 1),
        "scheduler": CategoricalDistribution(["constant", "warmup_cosine"]),
        "trainer.note": CategoricalDistribution(["a b", "c"]),
    }
    assert found.fixed == TOY
    assert found.combinations is None
    words = found.words(
        {
            "model.width": 8,
            "optimizer.lr": 1e-05,
            "seed": 2,
            "data.batch_size": 3,
            "model.dropout": 0.25,
            "scheduler": "constant",
            "trainer.note": "a b",
        }
    )
    config = compose([*found.fixed, *words])
    assert (config.model.width, config.optimizer.lr, config.seed) == (8, 1e-05, 2)
    assert (config.data.batch_size, config.model.dropout, config.scheduler) == (3, 0.25, None)
    assert config.trainer.note == "a b"


def test_a_grid_is_every_combination() -> None:
    found = parse([*TOY, "model.width=4,8", "seed=range(0,3)"], {})
    assert found.combinations == 6
    assert found.grid() == [{"model.width": w, "seed": s} for w in (4, 8) for s in (0, 1, 2)]


def test_the_command_line_wins_over_the_file() -> None:
    found = parse([*TOY, "model.width=4", "seed=1,2"], {"model.width": "choice(1, 2)", "seed": "range(0,9)"})
    assert found.fixed == ["task=toy", "model.width=4"]
    assert found.grid() == [{"seed": 1}, {"seed": 2}]


def test_short_names_and_every_option_is_looked_at() -> None:
    found = parse(["task=toy", "model=choice(net, plain)", "seed=1,2"], {})
    assert found.distributions["model"] == CategoricalDistribution(["toy_net", "toy_plain"])
    assert found.samples() == [["model=toy_net", "seed=1"], ["model=toy_plain", "seed=1"]]


def test_what_is_no_number_or_text_keeps_its_spelling() -> None:
    found = parse([*TOY, "data.augment={},null", "trainer.max_time=choice([1],[2])"], {})
    assert found.grid()[0] == {"data.augment": "{}", "trainer.max_time": "[1]"}
    assert found.words(found.grid()[-1]) == ["data.augment=null", "trainer.max_time=[2]"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "the space is empty: nothing varies; give a key several values"),
        (["seed=1"], "the space is empty"),
        (["model=net,nett"], "model=nett: no such model; did you mean 'net'?"),
        (["seed=interval(3,1)"], "seed=interval(3,1): expected interval(low, high) with low <= high"),
        (["optimizer.lr=tag(log,interval(0,1))"], "a logarithmic scale begins above 0"),
        (["seed=range(3,3)"], "the range holds no value; its end is excluded"),
        (["seed=interval(1"], "seed=interval(1: cannot be read"),
        (["seed"], "seed: expected key=value"),
        (["seed=glob(*)"], "seed=glob(*): a sweep takes a,b, choice(...), range(...) or interval(...)"),
    ],
)
def test_what_cannot_vary(words: list[str], text: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse([*TOY, *words], {})
    assert text in str(error.value)

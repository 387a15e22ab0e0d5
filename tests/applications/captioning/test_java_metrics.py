"""METEOR and SPICE are asked of pycocoevalcap, here a fake of it, and what they need is told before a run."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vision_apps.applications.captioning import java_metrics
from vision_apps.applications.captioning.metrics import Said, evaluate
from vision_apps.core.errors import ConfigError

SAID = [Said(["a cat", "no dog"], True, ["cat", "a cat sits"]), Said(["all birds"], True, ["two birds"])]
# the interface of its version 1.2; the score is the share of captions whose first word a reference has
SCORER = """
class {name}:
    def compute_score(self, truths, said):
        assert truths.keys() == said.keys() and all(len(own) == 1 for own in said.values())
        hits = [any(said[n][0].split()[0] in text.split() for text in truths[n]) for n in said]
        if said[0][0] == "broken":
            raise BrokenPipeError("no java")
        return sum(hits) / len(hits), hits
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, title in java_metrics.CLASSES.items():
        folder = tmp_path / java_metrics.PACKAGE / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / f"{name}.py").write_text(SCORER.format(name=title))
    (tmp_path / java_metrics.PACKAGE / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == java_metrics.PACKAGE]:
        del sys.modules[name]


@pytest.mark.usefixtures("package")
def test_they_stand_beside_the_other_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    java_metrics.require(["meteor", "spice"])
    found = evaluate(SAID, java=["meteor", "spice"])
    assert found["meteor"] == found["spice"] == 0.5, "of the best captions, each beside its own references"
    assert found["bleu1"] == evaluate(SAID)["bleu1"] and "meteor" not in evaluate(SAID)


@pytest.mark.usefixtures("package")
def test_what_fails_in_java_is_told() -> None:
    with pytest.raises(ConfigError, match=r"spice failed in Java: BrokenPipeError: no java; .*first use"):
        evaluate([Said(["broken"], True, ["a cat"])] * 2, java=["spice"])


def test_what_is_missing_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java_metrics, "PACKAGE", "pycocoevalcap_that_is_not_there")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        java_metrics.require(["meteor"])
    for text in (
        "pip install 'vision-apps[caption_metrics]'",
        "no command java here",
        "module.java_metrics=[]",
    ):
        assert text in str(caught.value)
    java_metrics.require([])


def test_another_name_is_told() -> None:
    (problem,) = java_metrics.problems(["meteor", "bert"])
    assert problem == "module.java_metrics: 'bert'; expected some of meteor, spice"

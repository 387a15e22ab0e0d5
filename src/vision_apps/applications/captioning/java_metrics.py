"""METEOR (Denkowski and Lavie, WMT 2014) and SPICE (Anderson et al., ECCV 2016), which only their authors'
Java programs compute: by way of pycocoevalcap."""

import importlib
import importlib.util
import shutil
from collections.abc import Sequence

from vision_apps.core.errors import ConfigError, require_no

KEY = "module.java_metrics"
PACKAGE = "pycocoevalcap"
CLASSES = {"meteor": "Meteor", "spice": "Spice"}


def problems(names: Sequence[str]) -> list[str]:
    """What is wrong with these names, a text for each."""
    return [
        f"{KEY}: {name!r}; expected some of {', '.join(CLASSES)}" for name in names if name not in CLASSES
    ]


def require(names: Sequence[str]) -> None:
    """`ConfigError` where they cannot be computed here."""
    if not names:
        return
    asked, missing = f"{KEY}: {', '.join(names)}", []
    if importlib.util.find_spec(PACKAGE) is None:
        missing.append(
            f"{asked} needs {PACKAGE}, which is not installed: pip install 'vision-apps[caption_metrics]', "
            f"or {KEY}=[]"
        )
    if shutil.which("java") is None:
        missing.append(
            f"{asked} is computed by Java, and there is no command java here: install a Java runtime (8 or "
            f"newer), or {KEY}=[]"
        )
    require_no(missing)


def java_scores(
    names: Sequence[str], captions: Sequence[str], references: Sequence[Sequence[str]]
) -> dict[str, float]:
    """By name, 0 to 1, of a caption and the references of each picture, words between spaces."""
    found = {}
    truths = {number: list(own) for number, own in enumerate(references)}
    said = {number: [text] for number, text in enumerate(captions)}
    for name in names:
        scorer = getattr(importlib.import_module(f"{PACKAGE}.{name}.{name}"), CLASSES[name])()
        try:
            score, _ = scorer.compute_score(truths, said)
        except Exception as error:  # a foreign program's, whatever it is
            more = "; SPICE fetches its parser with its first use" if name == "spice" else ""
            raise ConfigError(
                f"{KEY}: {name} failed in Java: {type(error).__name__}: {error}{more}; {KEY}=[] leaves it out"
            ) from error
        found[name] = float(score)
    return found

"""What is exported orders the answers as the run does."""

import pytest
import torch

from vision_apps.applications.captioning.attention_lstm import AttentionLstm
from vision_apps.applications.captioning.module import Captioning
from vision_apps.applications.captioning.reranking.coverage import Coverage
from vision_apps.applications.captioning.reranking.matching import Matching
from vision_apps.applications.captioning.reranking.nouns import NounAgreement
from vision_apps.applications.captioning.types import CaptionInputs
from vision_apps.data.captions.words import SPECIAL
from vision_apps.export import tracing
from vision_apps.networks.backbones import Small

WORDS = [*SPECIAL, "red", "blue", "left", "right"]
CLASSES = ["red", "blue"]


def captioner(weight: float) -> Captioning:
    torch.manual_seed(1)
    network = AttentionLstm(Small(width=8), WORDS, embedding=8, hidden=8, attention=8)
    scorers = {
        "coverage": Coverage(weight=weight),
        "nouns": NounAgreement(WORDS, CLASSES, weight=weight, loss=0.1),
        "matching": Matching(WORDS, weight=weight, loss=0.1),
    }
    facts = {"max_words": 4, "image_size": 16, "mean": [0.5] * 3, "std": [0.25] * 3, "class_names": CLASSES}
    made = Captioning(network, WORDS, beam_width=4, best=4, rerank=scorers, **facts)  # type: ignore[arg-type]
    return made.eval()


@pytest.mark.slow
def test_a_graph_ranks_as_the_run_does() -> None:
    module = captioner(weight=5.0)
    assert module.exportable is not None and module.exportable.refusal() is None
    program, content = tracing.trace(module)
    names = [output["name"] for output in content["outputs"]]
    compute = program.module(check_guards=False)
    images = torch.randint(256, (5, 3, 16, 16), dtype=torch.uint8)
    for count in (1, 5):
        inputs = CaptionInputs(images[:count])
        with torch.inference_mode():
            expected, found = module(inputs), dict(zip(names, compute(inputs.images), strict=True))
            searched = captioner(weight=0.0)(inputs)
        assert torch.equal(found["words"], expected.words)
        assert not torch.equal(found["words"], searched.words), "the weights order the answers"
        for name in ("log_probabilities", "maps"):
            torch.testing.assert_close(found[name], getattr(expected, name), atol=1e-5, rtol=1e-4)

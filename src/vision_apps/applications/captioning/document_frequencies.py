"""How rare n-grams are, as a file: CIDEr of few pictures, or of several splits alike, needs it."""

import itertools
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from vision_apps.applications.captioning.cider import Frequencies, frequencies
from vision_apps.core import assembly
from vision_apps.core.config.compose import compose
from vision_apps.core.data import Split
from vision_apps.core.errors import DataError
from vision_apps.core.loader import read_sample
from vision_apps.data.captions.words import END, SPECIAL, from_bytes

KEY = "module.document_frequencies"
TOKENIZER = "Penn Treebank, lower case, without punctuation, as COCO's evaluation has it"


def write(file: str | Path, *words: str, split: Split = "train") -> Frequencies:
    """Count n-grams in all references of a split, the end of each among its words, and write them.

    Args:
        words: of a command line that names the data, such as ``task=captioning data=csv data.root=album``.
    """
    config: Any = OmegaConf.to_container(compose(list(words)), resolve=True)
    data = assembly.build_data(config)
    samples = data.load(split, ("references",))
    numbers = itertools.islice(range(len(samples)), data.limits[split])
    texts = (from_bytes(read_sample(samples, number)["references"]) for number in numbers)
    found = frequencies([[f"{text} {SPECIAL[END]}" for text in own] for own in texts])
    text = found.to_json(tokenizer=TOKENIZER, source=f"{split}: {' '.join(words)}")
    Path(file).write_text(text, encoding="utf-8")
    return found


def read(file: str | Path) -> Frequencies:
    """As `write` has it. `DataError` where it is not there, or is something else."""
    try:
        return Frequencies.of_json(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{KEY}: {file}: cannot be read: {error}; write one with "
            f"{__name__}.write(file, 'task=captioning', 'data=...'), or {KEY}=null takes the evaluated "
            "references"
        ) from error

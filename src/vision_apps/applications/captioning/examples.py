"""A batch to try a captioner on."""

from collections.abc import Sequence

import torch

from vision_apps.applications.captioning.captioner import Captioner
from vision_apps.applications.captioning.region_inputs import example_regions
from vision_apps.applications.captioning.types import CaptionBatch
from vision_apps.data.captions.words import END, PAST, SPECIAL


def example_batch(
    network: Captioner, vocabulary: Sequence[str], size: tuple[int, int], device: torch.device
) -> CaptionBatch:
    """Two pictures of noise, with two captions of the first words and with one; two regions and one."""
    images = torch.randint(256, (2, 3, *size), dtype=torch.uint8, device=device)
    first, last = len(SPECIAL), len(vocabulary) - 1
    captions = torch.tensor([[[first, last, END], [first, END, PAST]], [[last, END, PAST], [PAST] * 3]])
    text = torch.frombuffer(bytearray(vocabulary[first].encode()), dtype=torch.uint8)
    references = torch.zeros(2, 2, len(text), dtype=torch.uint8)
    references[0, 0] = references[1, 0] = text
    batch = CaptionBatch(images, captions.to(device), references.to(device))
    if network.looked_at == "grid":
        return batch
    boxes, features = example_regions(size, network.region_width, device)
    return batch._replace(regions=boxes, region_features=features)

"""From scores at one size to masks at another, against torch's own interpolation."""

import pytest
import torch
import torch.nn.functional as F

from vision_apps.applications.segmentation import fitting
from vision_apps.applications.segmentation.fitting import restored_masks

CONTENT = [(12, 16), (16, 7), (1, 16), (16, 16)]
SIZES = [(30, 40), (33, 14), (2, 61), (9, 9)]


@pytest.mark.parametrize("at_once", [1, 1000, 2**24])
def test_scores_are_cut_enlarged_and_decided(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whatever number of rows at once; what lies beside the picture has no part in it."""
    monkeypatch.setattr(fitting, "_AT_ONCE", at_once)
    logits = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    masks = restored_masks(logits, torch.tensor(CONTENT), torch.tensor(SIZES))
    assert masks.shape == (4, 33, 61) and masks.dtype == torch.uint8
    for scores, mask, (inner, across), (height, width) in zip(logits, masks, CONTENT, SIZES, strict=True):
        cut = scores[None, :, :inner, :across]
        wide = F.interpolate(cut, (height, width), mode="bilinear", align_corners=False)[0]
        assert (mask[:height, :width] == wide.argmax(0)).float().mean() > 0.995  # ties within rounding
        assert (mask[height:] == 255).all() and (mask[:, width:] == 255).all()


def test_scores_of_the_files_size_stay() -> None:
    logits = torch.randn(2, 3, 8, 8)
    sizes = torch.full((2, 2), 8)
    assert torch.equal(restored_masks(logits, sizes, sizes).long(), logits.argmax(1))

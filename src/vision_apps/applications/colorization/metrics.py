"""How colorizations are measured.

Published figures differ by what the names leave open, so here it is said: AuC compares raw ab (not yet
clipped to the gamut) with the truth at full resolution; PSNR, SSIM and colourfulness compare the final 8-bit
images, each the mean over images. States are sums (of integers where possible), so that they add up exactly
over processes.
"""

from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.utilities import dim_zero_cat

from vision_apps.applications.colorization.ab_bins import SPACING, ab_bins, nearest_bin
from vision_apps.applications.colorization.lab import lab_to_rgb
from vision_apps.core.mean import Mean

LARGEST_THRESHOLD = 150


def curve_areas(distances: Tensor) -> Tensor:
    """Each pixel's share in the area under the curve, int64 in 0..300, to be divided by 300.

    A pixel at distance d is within every threshold t >= d of 0, 1, ..., 150; the trapezoids under that step
    are the area. (Thresholds are whole, so it is exact in integers.)
    """
    first = distances.ceil().clamp_max(LARGEST_THRESHOLD + 1).long()
    # (150 - first) + 1/2 below the step; a pixel that is right at threshold 0 has the whole area
    return (2 * (LARGEST_THRESHOLD - first) + 1).clamp(0, 2 * LARGEST_THRESHOLD)


SSIM_WINDOW = 11  # px


class ColorAuC(Metric):
    """Areas under the cumulative curve of ab distances, from 0 to 150, in percent (Zhang et al. 2016, section
    3.1).

    ``auc`` is one area over all pixels, ``auc_per_image`` the mean over images of theirs: the paper does not
    say which; those of images of equal size agree. ``auc_rebalanced`` and ``auc_rebalanced_per_image`` weigh
    a pixel by the inverse frequency of its true colour's nearest bin among all pixels measured: equation 4
    with lambda = 0. Every colour that occurs then counts alike. Two numbers are kept per image and bin.
    """

    full_state_update = False
    areas: list[Tensor]
    counts: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("areas", [], dist_reduce_fx="cat")
        self.add_state("counts", [], dist_reduce_fx="cat")

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """ab [B, 2, H, W] each."""
        areas = curve_areas((predicted - truth).square().sum(1).sqrt()).flatten(1)
        bins = nearest_bin(truth).flatten(1)
        empty = areas.new_zeros(len(areas), 313)
        self.areas.append(empty.scatter_add(1, bins, areas))
        self.counts.append(empty.scatter_add(1, bins, torch.ones_like(areas)))

    def compute(self) -> dict[str, Tensor]:
        of_bins = dim_zero_cat(self.areas), dim_zero_cat(self.counts)
        together = of_bins[0].sum(1, keepdim=True), of_bins[1].sum(1, keepdim=True)
        found = {}
        for name, (areas, counts) in (("auc", together), ("auc_rebalanced", of_bins)):
            found[name] = _area(areas.sum(0, keepdim=True), counts.sum(0, keepdim=True))
            found[f"{name}_per_image"] = _area(areas, counts)
        return found


def _area(areas: Tensor, counts: Tensor) -> Tensor:
    """The mean over images, in percent, of sums over their pixels, int64 [N, bins]; each bin counts alike."""
    total = counts.sum(0)
    weights = torch.where(total > 0, 1 / total.double(), 0)
    per_image = (areas * weights).sum(1) / (counts * weights).sum(1)
    return per_image.mean().float() * (100 / (2 * LARGEST_THRESHOLD))


def psnr(predicted: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of uint8 images [B, 3, H, W], dB: [B].

    The error is not taken below that of rounding to 8 bits (1/12), where a perfect image, such as a grey
    photo that stayed grey, would otherwise make the mean infinite: it counts 58.9 dB.
    """
    error = (predicted.float() - truth.float()).square().flatten(1).mean(1)
    return 10 * torch.log10(255**2 / error.clamp_min(1 / 12))


def ssim(predicted: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004) of uint8 images [B, 3, H, W] of at least 11 px a side: [B]."""
    # its differences of squares do not survive 8 bits of mantissa
    with torch.autocast(predicted.device.type, enabled=False):
        similarity = structural_similarity_index_measure(
            predicted.float(), truth.float(), data_range=255.0, reduction="none"
        )
    return torch.as_tensor(similarity)


def colorfulness(images: Tensor, form: Literal["signed", "absolute"] = "signed") -> Tensor:
    """Colorfulness of uint8 images [B, 3, H, W]: [B], 0 is grey, above 80 very colourful.

    ``signed`` is Hasler and Suesstrunk 2003, section 7. ``absolute`` takes the absolute values of the
    opponent colours first, as the evaluation code of CT2 and DDColor does; the tables of 2022 and later hold
    that one.
    """
    red, green, blue = images.float().flatten(2).unbind(1)
    opponent = torch.stack([red - green, (red + green) / 2 - blue])
    if form == "absolute":
        opponent = opponent.abs()
    std, mean = torch.std_mean(opponent, dim=2, correction=0)
    return std.norm(dim=0) + 0.3 * mean.norm(dim=0)


class AbsoluteMean(Mean):
    """The absolute value of the mean. Of the differences between predicted and true colorfulness it is the
    dCF of DDColor and MultiColor; others take the mean of the absolute differences, which is larger."""

    def compute(self) -> Tensor | None:
        mean = super().compute()
        return mean if mean is None else mean.abs()


class AbHistogram(Metric):
    """How often each ab occurs in answer and truth: int64 [2, 44, 44], cells of 5 x 5 from -110 to 110, a
    first."""

    full_state_update = False
    counts: Tensor
    cell = SPACING // 2
    cells = 44

    def __init__(self) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(2, self.cells**2, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """ab [B, 2, H, W] each."""
        for row, ab in enumerate((predicted, truth)):
            a, b = ((ab + 110) / self.cell).floor().clamp(0, self.cells - 1).long().unbind(1)
            self.counts[row] += torch.bincount((a * self.cells + b).flatten(), minlength=self.cells**2)

    def compute(self) -> Tensor:
        return self.counts.view(2, self.cells, self.cells)


def draw_histogram(counts: Tensor, scale: int = 6) -> Tensor:
    """Predicted and true colours side by side on the ab plane, uint8 [3, h, w]: a to the right, b upwards.

    A cell has its own colour, as light as it is frequent (logarithmic), within the bins of the gamut; black
    outside.
    """
    cells = counts.shape[-1]
    centre = (torch.arange(cells, device=counts.device) + 0.5) * AbHistogram.cell - 110
    a, b = torch.meshgrid(centre, centre, indexing="ij")
    frequency = counts.double() / counts.sum((1, 2), keepdim=True).clamp_min(1)
    # 1e-6 of the pixels is the least that shows
    level = (1 + (frequency.clamp_min(1e-6).log10() / 6)).float()
    lightness = torch.where(counts > 0, 20 + 80 * level, 0)
    visible = counts > 0
    lab = torch.stack([lightness, a.expand_as(lightness) * visible, b.expand_as(lightness) * visible], dim=1)
    inside = torch.cdist(torch.stack([a, b], -1).view(-1, 2).cpu(), ab_bins()).amin(1).view(cells, cells) < 6
    lab[:, 0] += 12 * (inside.to(counts.device) & ~visible)  # the gamut, dark grey
    pictures = lab_to_rgb(lab).transpose(2, 3).flip(2)
    pictures = pictures.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    predicted, truth = pictures.unbind(0)
    return torch.cat([predicted, predicted.new_full((3, predicted.shape[1], scale), 255), truth], dim=2)

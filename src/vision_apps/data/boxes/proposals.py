"""Region proposals: selective search and dense windows."""

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vision_apps.core.errors import ConfigError
from vision_apps.data import opencv

Mode = Literal["single", "fast", "quality"]

# Raised when the same pixels get other proposals, so that caches of before are not read as ours.
VERSION = 1

_LEAST = 2  # px: the least side of a proposal


def selective_search(image: Tensor, mode: Mode = "fast", limit: int = 2000) -> Tensor:
    """Proposals by merging alike neighbouring segments (Uijlings et al. 2013, through OpenCV).

    The paper's order, large regions first and shuffled in part, is drawn anew here: OpenCV's comes from the C
    library's generator and so depends on what ran before. `ConfigError` where OpenCV's contributed modules
    are not installed, or there is no such mode.

    Args:
        image: uint8 [3, H, W].
        mode: of OpenCV: ``single`` one grouping, ``fast`` 8, ``quality`` 80.
        limit: the most proposals.

    Returns:
        float32 [p, 4], each once, the same for the same pixels.
    """
    search = _opencv().createSelectiveSearchSegmentation()
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).flip(-1).numpy())  # BGR
    search.setBaseImage(pixels)
    switch = {
        "single": search.switchToSingleStrategy,
        "fast": search.switchToSelectiveSearchFast,
        "quality": search.switchToSelectiveSearchQuality,
    }
    if mode not in switch:
        raise ConfigError(f"data.proposals: expected one of {', '.join(switch)} or null, not {mode!r}")
    switch[mode]()
    found = np.unique(np.asarray(search.process(), np.int64).reshape(-1, 4), axis=0)  # x, y, width, height
    found = found[(found[:, 2] >= _LEAST) & (found[:, 3] >= _LEAST)]
    ranks = np.empty(len(found))
    ranks[np.argsort(-found[:, 2] * found[:, 3], kind="stable")] = np.arange(1, len(found) + 1)
    chosen = found[np.argsort(ranks * np.random.default_rng(0).random(len(found)), kind="stable")[:limit]]
    boxes = np.concatenate([chosen[:, :2], chosen[:, :2] + chosen[:, 2:]], axis=1)
    return torch.from_numpy(boxes.astype(np.float32))


def _opencv() -> ModuleType:
    cause: ImportError | None = None
    try:
        cv2 = opencv.load()
        found: ModuleType | None = getattr(getattr(cv2, "ximgproc", None), "segmentation", None)
        if found is not None:
            return found
        why = f"the installed OpenCV {cv2.__version__} is without its contributed modules"
    except ImportError as error:
        why, cause = "OpenCV is not installed", error
    raise ConfigError(
        f"data.proposals: selective search needs opencv-contrib, and {why}: "
        "pip install 'vision-apps[proposals]' (after pip uninstall of any other opencv-python), "
        "or take windows, which need nothing"
    ) from cause


def dense_windows(
    height: int,
    width: int,
    sizes: Sequence[float],
    aspects: Sequence[float] = (1.0,),
    overlap: float = 0.8,
) -> Tensor:
    """Windows on a regular grid that reaches all edges.

    Args:
        sizes: square roots of the windows' areas, px; a side that is longer than the picture is cut to it.
        aspects: width / height.
        overlap: of neighbours along an axis, a share in [0, 1).

    Returns:
        float32 [p, 4], each once.
    """
    if not 0 <= overlap < 1:
        raise ConfigError(f"overlap: expected a share of at least 0 and less than 1, not {overlap}")
    found = []
    for size in sizes:
        for aspect in aspects:
            w, h = min(width, size * math.sqrt(aspect)), min(height, size / math.sqrt(aspect))
            lefts, tops = _starts(width, w, overlap), _starts(height, h, overlap)
            y, x = torch.meshgrid(tops, lefts, indexing="ij")
            found.append(torch.stack([x, y, x + w, y + h], -1).reshape(-1, 4))
    return torch.cat(found).unique(dim=0).float() if found else torch.zeros(0, 4)


def _starts(length: int, side: float, overlap: float) -> Tensor:
    steps = math.ceil((length - side) / (side * (1 - overlap)) - 1e-9)
    return torch.linspace(0, length - side, steps + 1, dtype=torch.float64)

"""Figures of a whole evaluation: precision over recall, and the average precision of every class."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from vision_apps.core import figures

NAMED = 20  # classes whose curves are told apart


def precision_recall(curve: Tensor, class_ap50: Tensor, class_names: Sequence[str]) -> Tensor:
    """Precision over recall at IoU .5, one line a class, as a picture uint8 [3, h, w]; of more than 20
    classes only the best and worst are named.

    Args:
        curve: float [101, K], precision at recall 0, .01, ..., 1; NaN columns are left out.
        class_ap50: float [K].
    """
    from matplotlib import colormaps

    figure, axes = figures.page(7.5, 4.8)
    recall = np.linspace(0, 1, len(curve))
    ranked = [k for k in class_ap50.nan_to_num(-1).argsort(descending=True).tolist() if class_ap50[k] >= 0]
    half = NAMED // 2
    named = set(ranked if len(ranked) <= NAMED else ranked[:half] + ranked[-half:])
    few = colormaps["tab10"](range(len(named)))
    colors = iter(few if len(named) <= 10 else colormaps["turbo"](np.linspace(0.05, 0.95, len(named))))
    for k in ranked:
        if k in named:
            label = f"{figures.short(class_names[k])}  {class_ap50[k]:.3f}"
            axes.plot(recall, curve[:, k].numpy(), color=next(colors), linewidth=1.6, label=label)
        else:
            axes.plot(recall, curve[:, k].numpy(), color="0.85", linewidth=0.8, zorder=1)
    if ranked:
        mean = curve[:, ranked].mean(1).numpy()
        label = f"mean  {float(class_ap50[ranked].mean()):.3f}"
        axes.plot(recall, mean, color="black", linewidth=2.4, label=label)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8, title="AP50")
    axes.set(xlabel="recall", ylabel="precision", title="precision over recall at IoU 0.5")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figures.pixels(figure)


def class_table(class_ap: Tensor, class_ap50: Tensor, objects: Tensor, class_names: Sequence[str]) -> Tensor:
    """AP over IoU .5 to .95 and AP50 of each class as bars, best first, with the number of its objects, as a
    picture uint8 [3, h, w]; of more than 40 classes the 20 best and the 20 worst.

    Args:
        class_ap, class_ap50: float [K]; NaN classes are left out.
        objects: int64 [K].
    """
    ranked = [k for k in class_ap.nan_to_num(-1).argsort(descending=True).tolist() if class_ap[k] >= 0]
    shown = ranked if len(ranked) <= 2 * NAMED else ranked[:NAMED] + ranked[-NAMED:]
    figure, axes = figures.page(6.5, max(2.0, 1.2 + 0.26 * len(shown)))
    rows = np.arange(len(shown))
    axes.barh(rows, class_ap50[shown].numpy(), color="#c6dbef")
    axes.barh(rows, class_ap[shown].numpy(), color="#2171b5", height=0.45)
    for row, k in enumerate(shown):
        axes.text(1.01, row, f"{class_ap[k]:.3f}  {class_ap50[k]:.3f}", va="center", fontsize=8)
    axes.set_yticks(rows, [f"{figures.short(class_names[k])}  ({objects[k]:,})" for k in shown], fontsize=8)
    axes.set(xlim=(0, 1), ylim=(max(1, len(shown)) - 0.5, -0.5), title="class (objects): AP dark, AP50 light")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    return figures.pixels(figure)

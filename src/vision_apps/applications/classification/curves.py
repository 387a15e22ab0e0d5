"""Precision by recall and the receiver operating characteristic, as a figure."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from vision_apps.applications.classification.per_class import FIGURES, ClassCurve
from vision_apps.core import figures

# of Okabe and Ito 2008, which the colour-blind tell apart, those that are seen on white
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def of(measured: Mapping[str, Any], class_names: Sequence[str]) -> dict[str, Tensor]:
    """The figure of what `per_class.PerClass` computed, by its name, where it was computed."""
    if "class_curves" not in measured:
        return {}
    return {"curves": draw(measured["class_curves"], measured["class_figures"], class_names)}


def draw(drawn: Sequence[ClassCurve], class_figures: Tensor, class_names: Sequence[str]) -> Tensor:
    """Both curves of each class beside each other, uint8 [3, h, w], with AP and AUC in the legend and their
    means over all classes in the titles, which say how many of the classes are drawn.

    Args:
        drawn: best class first.
        class_figures: float64 [K, 6], see `per_class.PerClass`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 4.9), dpi=figures.DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    ap, auc = (class_figures[:, FIGURES.index(name)] for name in ("ap", "auc"))
    half = (len(drawn) + 1) // 2
    for place, (k, precision, recall, false, true) in enumerate(drawn):
        # where not all are drawn the worse half is dashed
        style = {"color": COLORS[place % len(COLORS)], "linestyle": "-" if place < len(COLORS) else "--"}
        label = f"{figures.short(class_names[k])}  {ap[k]:.3f}  {auc[k]:.3f}"
        left.step(recall.numpy(), precision.numpy(), where="post", linewidth=1.5, **style)
        right.plot(false.numpy(), true.numpy(), linewidth=1.5, label=label, **style)
    right.plot((0, 1), (0, 1), color="0.7", linewidth=1, linestyle=":", zorder=0)
    defined = int((~auc.isnan()).sum())
    told = f"{len(drawn)} of {len(class_names):,} classes"
    if len(drawn) < defined:
        told += f": the {half} of largest and the {len(drawn) - half} of least AP"
    figure.suptitle(told, fontsize=10)
    for axes, x, y, title, values in (
        (left, "recall", "precision", "AP", ap),
        (right, "false positive rate", "true positive rate", "AUC", auc),
    ):
        mean = f", mean {title} {values.nanmean():.3f}" if defined else ""
        axes.set(xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1.02))
        axes.set_title(f"{y} by {x}{mean}", fontsize=10)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    if drawn:
        right.legend(
            loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8, title="class  AP  AUC"
        )
    return figures.pixels(figure)

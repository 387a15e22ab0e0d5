"""What is said, and what is not, of configurations whose runs are folds of cross-validation."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vision_apps.compare.reading import Run, fingerprint
from vision_apps.core.data import SPLITS

if TYPE_CHECKING:
    from vision_apps.compare.comparison import Row


def share_test_samples(runs: Sequence[Run], metric: str) -> bool:
    """Whether the metric was measured by all folds on one test split: how its values differ says nothing of
    other samples."""
    tested = {run.repeat: fingerprint(run, "test") for run in runs if run.folds}
    first = next(iter(tested.values()), None)
    several = len(tested) > 1 and first is not None
    return several and metric.startswith("test/") and all(found == first for found in tested.values())


def notes(rows: Sequence["Row"], metrics: Sequence[str]) -> list[str]:
    """Sentences on the configurations with folds, none without."""
    folded = [row for row in rows if row.folds]
    if not folded:
        return []
    found = [
        "folds share training samples and are no independent runs: their intervals and p-values are those of "
        "the corrected resampled t-test (Nadeau and Bengio 2003), which makes up for it roughly: no estimate "
        "of that variance is without bias (Bengio and Grandvalet 2004)"
    ]
    for row in folded:
        if row.repeats < (row.folds or 0):
            found.append(f"{row.label}: {row.repeats} of {row.folds} folds, so not every sample was measured")
        counts = {_samples(run) for run in row.runs}
        if len(counts) > 1:
            found.append(
                f"{row.label}: the folds are of data that changed ({min(counts)} to {max(counts)} samples)"
            )
    shared = [row.label for row in folded if any(share_test_samples(row.runs, metric) for metric in metrics)]
    if shared:
        found.append(
            f"the folds of {', '.join(shared)} were tested on one test split of the data's own: the spread "
            "of test/... over them is that of other training samples alone, so it has no interval and no test"
        )
    return found


def _samples(run: Run) -> int:
    """Of all splits."""
    known = run.folder.mapping("data.json")
    return sum(int(known.get(split, {}).get("samples", 0)) for split in SPLITS)

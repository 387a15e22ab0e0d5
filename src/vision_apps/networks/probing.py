"""A last layer that tells classes apart by what a network says of them before it learns anything."""

import torch
import torch.nn.functional as F
from torch import Tensor

PROBED = 1000  # training pictures that the layer is fitted to
FEW = 64  # training pictures, below which learning them by heart spoils what is known and what is fitted
_STRENGTH = 10  # of pictures against the penalty; chosen by draws such as experiments/own_data/draws.py makes
_STEPS = 500  # at most
_SHORTEST = 1e-12  # of features that say anything: of shorter ones, as of zeros, nothing is learned


def probed(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """The weights of a linear layer without bias, by multinomial logistic regression: fitted first, it does
    not bend the features when all is trained (Kumar et al. 2022, arXiv:2202.10054).

    Each picture's features count by their direction alone, and so does the class that is answered. Of few
    pictures nobody can tell which feature varies how much, so none is scaled by itself. All classes count
    alike, however many pictures they have.

    Args:
        features: float [N, D], what the layer is given; finite.
        labels: int64 [N].

    Returns:
        Float [K, D], for features as long as these are on average.
    """
    exact = features.double()  # in which no length overflows
    length = exact.norm(dim=1).mean().clamp_min(_SHORTEST)
    directions = F.normalize(exact, dim=1, eps=_SHORTEST)
    counts = labels.bincount(minlength=num_classes)
    balanced = len(labels) / (counts.count_nonzero() * counts.clamp_min(1)).to(exact.dtype)  # [K]
    with torch.enable_grad():
        weights = exact.new_zeros(num_classes, features.shape[1]).requires_grad_()
        solver = torch.optim.LBFGS(
            [weights], max_iter=_STEPS, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
        )

        def loss() -> Tensor:
            solver.zero_grad()
            said = F.cross_entropy(directions @ weights.T, labels, balanced, reduction="sum")
            total = (said + weights.square().sum() / (2 * _STRENGTH)) / len(labels)
            total.backward()
            return total

        solver.step(loss)
    return (weights.detach() / length).to(features.dtype)

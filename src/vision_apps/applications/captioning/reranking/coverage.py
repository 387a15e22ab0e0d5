"""How much of the picture a caption has looked at."""

from torch import Tensor

from vision_apps.applications.captioning.reranking.scorer import Candidates, Scorer


class Coverage(Scorer):
    """The attention that each place (or region) has had over all words, up to 1, averaged over the places: 0
    to 1. Looking at one place for several words covers it once. After the coverage penalty of Wu et al.
    (arXiv:1609.08144, 2016, equation 14), whose logarithm a place that no word needs would make minus
    infinity.
    """

    def forward(self, candidates: Candidates) -> Tensor:
        had = (candidates.maps * candidates.said[..., None]).sum(2)  # [B, N, P]
        places = candidates.seen.there.sum(-1, keepdim=True)
        return had.clamp_max(1).sum(-1) / places

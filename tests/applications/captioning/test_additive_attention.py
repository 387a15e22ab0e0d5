"""The cheap form of additive attention is the one with a tanh for each pair, in value and in gradient."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vision_apps.applications.captioning.additive_attention import FARTHEST, exponential, fits


def maps(places: Tensor, states: Tensor, weights: Tensor) -> Tensor:
    """As Bahdanau et al. write it."""
    return ((places[:, None] + states[:, :, None]).tanh() @ weights).softmax(-1)


def cheap(places: Tensor, states: Tensor, weights: Tensor) -> Tensor:
    return fits(exponential(places), exponential(states), weights).softmax(-1)


def drawn(seed: int, size: float) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    shapes = (3, 5, 4), (3, 2, 4), (4,)
    places, states, weights = (torch.randn(shape, generator=generator) for shape in shapes)
    return size * places, size * states, weights


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([0.01, 1.0, 5.0, 12.0]))
def test_it_looks_where_a_tanh_looks(seed: int, size: float) -> None:
    given_ = drawn(seed, size)
    torch.testing.assert_close(cheap(*given_), maps(*given_), atol=2e-6, rtol=1e-5)


def test_its_gradients_are_those_of_a_tanh() -> None:
    for size in (0.3, 3.0):
        leaves = [[part.double().requires_grad_() for part in drawn(0, size)] for _ in range(2)]
        chosen = torch.rand(3, 2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        for way, own in zip((maps, cheap), leaves, strict=True):
            (way(*own) * chosen).sum().backward()
        for one, other in zip(*leaves, strict=True):
            torch.testing.assert_close(one.grad, other.grad)


def test_values_far_out_stay_numbers() -> None:
    """And are right but where both are beyond what is told apart, on opposite sides."""
    far = torch.tensor([-1e30, -1e4, -FARTHEST, -3.0, 0.0, 3.0, FARTHEST, 1e4, 1e30])
    places, states = far[None, :, None], torch.tensor([-5.0, 0.0, 5.0])[None, :, None]
    found = fits(exponential(places), exponential(states), torch.ones(1)) + 1
    torch.testing.assert_close(found, (places[:, None] + states[:, :, None]).tanh()[..., 0])
    assert (
        fits(exponential(far[None, :, None]), exponential(far[None, :, None]), torch.ones(1)).isfinite().all()
    )

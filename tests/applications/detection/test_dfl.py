import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_apps.applications.detection.dfl import distribution_focal_loss, expectation


def test_expectation_of_a_distribution_made_by_hand() -> None:
    probabilities = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.0, 1.0]])
    assert expectation((probabilities + 1e-12).log()).tolist() == pytest.approx([2.0, 3.0])


def test_expectation_is_exact_under_autocast() -> None:
    logits = torch.full((1, 17), -30.0)
    logits[0, 15], logits[0, 16] = 0.0, 0.0
    with torch.autocast("cpu", torch.bfloat16):
        value = expectation(logits.bfloat16())
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(15.5)  # bfloat16 has no number between 15.5 and 15.5625


@settings(deadline=None, max_examples=50)
@given(st.floats(-3, 12), st.integers(0, 1000))
def test_loss_is_the_cross_entropy_of_the_two_neighbours(distance: float, seed: int) -> None:
    logits = torch.randn(9, generator=torch.Generator().manual_seed(seed)).double()
    inside = min(max(distance, 0.0), 8.0)
    wanted = torch.zeros(9).double()
    lower = min(int(inside), 7)
    wanted[lower], wanted[lower + 1] = lower + 1 - inside, inside - lower
    expected = F.cross_entropy(logits[None], wanted[None])
    found = distribution_focal_loss(logits.float(), torch.tensor(distance))
    assert found.item() == pytest.approx(expected.item(), abs=1e-4)


def test_loss_of_half_precision_is_taken_in_full() -> None:
    logits = torch.randn(20, 17, generator=torch.Generator().manual_seed(0)).bfloat16()
    distances = torch.linspace(0, 16, 20)
    found = distribution_focal_loss(logits, distances)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, distribution_focal_loss(logits.float(), distances))


def test_loss_is_least_where_the_expectation_is_the_distance() -> None:
    logits = torch.zeros(1, 6, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(300):
        optimizer.zero_grad()
        distribution_focal_loss(logits, torch.tensor([2.25])).sum().backward()
        optimizer.step()
    assert expectation(logits).item() == pytest.approx(2.25, abs=0.02)
    assert logits.softmax(dim=-1)[0, 2:4].tolist() == pytest.approx([0.75, 0.25], abs=0.02)

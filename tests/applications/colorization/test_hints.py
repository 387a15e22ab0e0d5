import torch

from vision_apps.applications.colorization.hints import LARGEST, simulate_hints


def test_hints_show_the_true_color_where_it_is_uniform():
    truth = torch.tensor([12.0, -34.0]).view(1, 2, 1, 1).expand(64, 2, 24, 20)
    torch.manual_seed(0)
    ab, mask = simulate_hints(truth)
    assert torch.allclose(ab, truth * mask, atol=1e-4)
    assert set(mask.unique().tolist()) == {0.0, 1.0}


def test_a_hint_is_the_mean_of_its_square():
    torch.manual_seed(0)
    truth = torch.randn(256, 2, 16, 16) * 30
    ab, mask = simulate_hints(truth)
    alone = 0
    for image in range(256):
        rows, columns = mask[image, 0].nonzero().unbind(1)
        colors = ab[image][:, rows, columns]
        if len(rows) and (colors == colors[:, :1]).all():  # one hint
            assert (rows.max() - rows.min()) < LARGEST
            assert torch.allclose(colors[:, 0], truth[image][:, rows, columns].mean(1), atol=1e-3)
            alone += 1
    assert alone > 5


def test_the_number_of_hints_is_geometric_and_reproducible():
    truth = torch.zeros(1000, 2, 16, 16)
    torch.manual_seed(0)
    first = simulate_hints(truth).mask
    torch.manual_seed(0)
    assert torch.equal(simulate_hints(truth).mask, first)
    without = (first.flatten(1).sum(1) == 0).float().mean().item()
    assert 0.09 < without < 0.17  # one in eight images gets none


def test_works_on_pictures_smaller_than_a_hint():
    assert simulate_hints(torch.zeros(8, 2, 3, 5)).mask.shape == (8, 1, 3, 5)

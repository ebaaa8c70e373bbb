import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from optim.compress.sparsity.masks import (
    GROUP,
    keep_masked,
    lowest,
    magnitudes,
    mask_of,
    places,
    with_mask,
)
from optim.errors import RefusedError
from optim.recipe import Pattern, Scope


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.ReLU(),
        nn.Conv2d(16, 16, 3, groups=16), nn.ReLU(),
        nn.Conv2d(16, 12, 3), nn.ReLU(),
        nn.Conv2d(12, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "sparse"),
    [
        (Pattern.UNSTRUCTURED, ("4", "6", "9")),
        (Pattern.TWO_OF_FOUR, ("4", "6", "9")),
        (Pattern.FOUR_OF_EIGHT, ("4", "9")),  # 12 inputs are no multiple of 8
    ],
)
def test_the_first_layer_depthwise_ones_and_those_that_fit_no_group_stay_dense(pattern, sparse):
    found = places(network(), pattern, (3, 8, 8))
    assert found.sparse == sparse
    assert set(found.sparse) | set(found.dense) == {"0", "2", "4", "6", "9"}
    assert found.words() == f"{len(sparse)} layers become sparse, {5 - len(sparse)} stay dense"


def test_a_network_without_a_layer_that_fits_is_refused():
    narrow = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 6 * 3))
    narrow.append(nn.Linear(18, 2))
    assert places(narrow, Pattern.TWO_OF_FOUR, (1, 8, 8)).sparse == ("3",)
    with pytest.raises(RefusedError, match=r"multiple of 8 input channels.*unstructured"):
        places(
            nn.Sequential(nn.Conv2d(1, 6, 1), nn.Conv2d(6, 2, 1)), Pattern.FOUR_OF_EIGHT, (1, 8, 8)
        )
    with pytest.raises(RefusedError, match="first layer"):
        places(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), Pattern.UNSTRUCTURED, (1, 8, 8))


@settings(deadline=None)
@given(st.floats(0.01, 0.99), st.integers(0, 10**6))
def test_each_layer_gets_the_share_that_was_asked_to_one_weight(share, seed):
    torch.manual_seed(seed)
    scores = {"a": torch.rand(7, 5, 3), "b": torch.rand(11, 4)}
    zeros = lowest(scores, share, Pattern.UNSTRUCTURED, Scope.UNIFORM)
    for name, score in scores.items():
        assert zeros[name].sum() == round(share * score.numel())
        if 0 < zeros[name].sum() < score.numel():
            assert score[zeros[name]].max() <= score[~zeros[name]].min()


@settings(deadline=None)
@given(st.floats(0.01, 0.99))
def test_the_whole_network_gets_its_share_and_no_layer_runs_dry(share):
    torch.manual_seed(0)
    scores = {"small": torch.rand(20, 50) / 100, "large": torch.rand(30, 50) + 1}
    zeros = lowest(scores, share, Pattern.UNSTRUCTURED, Scope.GLOBAL)
    assert sum(int(zero.sum()) for zero in zeros.values()) == round(share * 2500)
    assert (~zeros["small"]).sum() >= 10
    assert (~zeros["large"]).sum() >= 15
    if share < 0.39:
        assert not zeros["large"].any()


@pytest.mark.parametrize("pattern", list(GROUP))
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_of_each_group_of_inputs_at_most_half_are_zero(pattern, share):
    size = GROUP[pattern]
    torch.manual_seed(0)
    score = torch.rand(6, 16, 3, 3)
    zero = lowest({"w": score}, share, pattern, Scope.UNIFORM)["w"]
    assert zero.sum() == round(share * score.numel())
    for output in range(6):
        for row in range(3):
            for column in range(3):
                for start in range(0, 16, size):
                    place = (output, slice(start, start + size), row, column)
                    gone = int(zero[place].sum())
                    assert gone <= size // 2
                    if share == 0.5:
                        assert gone == size // 2
                        assert score[place][zero[place]].max() < score[place][~zero[place]].min()


def test_a_layer_of_equal_weights_still_has_the_pattern():
    zero = lowest({"w": torch.ones(3, 8)}, 0.5, Pattern.TWO_OF_FOUR, Scope.UNIFORM)["w"]
    assert (zero.reshape(3, 2, 4).sum(-1) == 2).all()


def test_held_places_are_zero_again_after_a_step():
    dense = network()
    names = places(dense, Pattern.UNSTRUCTURED, (3, 8, 8)).weights
    zeros = lowest(magnitudes(dense, names), 0.5, Pattern.UNSTRUCTURED, Scope.UNIFORM)
    sparse = with_mask(dense, zeros)
    assert mask_of(dense) == {}
    with torch.no_grad():
        for parameter in sparse.parameters():
            parameter.add_(0.1)
    keep_masked(zeros)(0.5, sparse)
    found = mask_of(sparse)
    assert found.keys() == zeros.keys()
    assert all(torch.equal(found[name], zero) for name, zero in zeros.items())

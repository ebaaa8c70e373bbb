from __future__ import annotations

import pytest

from optim.recipe import Precision, recipe_of
from optim.search.control import Verdict, compressed_beats_control
from tests.dashboard.factories import candidate, control


@pytest.mark.parametrize(
    ("lost_by_pruning", "lost_by_control", "verdict"),
    [
        (50, 300, Verdict.COMPRESSED),
        (300, 50, Verdict.CONTROL),
        (240, 245, Verdict.TIED),
    ],
)
def test_the_control_is_compared_honestly(
    lost_by_pruning: int, lost_by_control: int, verdict: Verdict
) -> None:
    pruned = candidate(recipe_of(pruning_ratio=0.75), speedup=14.0, lost=lost_by_pruning, better=60)
    small = candidate(control(0.75), speedup=14.3, lost=lost_by_control, better=60)
    (found,) = compressed_beats_control([candidate(recipe_of()), pruned, small])
    assert found.verdict is verdict
    assert found.difference == pytest.approx((lost_by_control - lost_by_pruning) / 10_000)
    assert "1 epoch of fine-tuning against 6 epochs of training" in found.words


def test_a_control_of_other_speed_or_precision_is_not_compared() -> None:
    pruned = candidate(recipe_of(pruning_ratio=0.75), speedup=14.0)
    slow = candidate(control(0.5), speedup=4.0)
    whole = candidate(control(0.75, Precision.INT8), speedup=14.0)
    assert compressed_beats_control([pruned, slow, whole]) == ()


def test_a_control_stands_beside_its_own_shape_whatever_the_clock_says() -> None:
    wide, thin = (
        candidate(recipe_of(pruning_ratio=ratio), speedup=speedup)
        for ratio, speedup in ((0.7, 14.0), (0.75, 18.0))
    )
    small = candidate(control(0.75), speedup=14.0, lost=300)
    (found,) = compressed_beats_control([wide, thin, small])
    assert found.compressed is thin

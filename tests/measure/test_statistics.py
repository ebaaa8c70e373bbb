"""Against published and hand-computed values, and against simulation."""

import math

import numpy as np
import pytest

from optim.measure.statistics import (
    bootstrap_median_interval,
    mcnemar_p,
    mean_interval,
    mean_p,
    paired_difference_interval,
    t_quantile,
    t_tails,
    wilson_interval,
)


def test_wilson_agrees_with_published_values():
    # Newcombe 1998, table I: 81 of 263 and 15 of 148, score method without continuity correction.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson_interval(20, 20)[1] == 1.0


def test_wilson_bounds_solve_the_equation_they_come_from():
    """|share - p| = z sqrt(p (1 - p) / n) at both ends."""
    for p in wilson_interval(37, 50):
        assert abs(37 / 50 - p) == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / 50), rel=1e-5)


@pytest.mark.parametrize(("worse", "better"), [(0, 0), (1, 0), (9, 5), (5, 9), (30, 12), (0, 10)])
def test_mcnemar_equals_the_sum_over_all_outcomes(worse, better):
    n = worse + better
    likelihood = [math.comb(n, k) / 2**n for k in range(n + 1)]
    distance = abs(worse - better)
    at_least_as_far = sum(p for k, p in enumerate(likelihood) if abs(2 * k - n) >= distance)
    assert mcnemar_p(worse, better) == pytest.approx(min(1.0, at_least_as_far))


def test_the_large_sample_form_of_mcnemar_continues_the_exact_one():
    assert mcnemar_p(540, 461) == pytest.approx(mcnemar_p(539, 460), rel=0.1)
    assert 0.0 < mcnemar_p(900, 300) < 1e-20


@pytest.mark.parametrize(("worse", "better"), [(30, 10), (200, 200), (3, 0)])
def test_the_paired_interval_holds_the_truth_about_95_times_in_100(worse, better):
    n = 1000
    rng = np.random.default_rng(0)
    truth = (better - worse) / n
    draws = rng.multinomial(n, [worse / n, better / n, 1 - (worse + better) / n], size=1000)
    hits = 0
    for w, b, _ in draws:
        low, high = paired_difference_interval(int(w), int(b), n)
        hits += low <= truth <= high
    assert hits / 1000 > 0.93


def test_the_bootstrap_interval_is_that_of_the_median():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        low, high = bootstrap_median_interval(rng.normal(size=25))
        hits += low <= 0.0 <= high
    assert 0.88 < hits / 200 <= 1.0
    assert bootstrap_median_interval(np.array([2.0])) == (2.0, 2.0)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (5, 4), (-1, 3)])
def test_impossible_counts_are_refused(successes, n):
    with pytest.raises(ValueError, match="need 0 <= successes <= n"):
        wilson_interval(successes, n)


def test_student_t_is_that_of_the_tables() -> None:
    """Percentage points of Student's t: Fisher and Yates, table III."""
    for freedom, expected in ((1, 12.706), (2, 4.303), (5, 2.571), (30, 2.042), (120, 1.980)):
        assert t_quantile(freedom) == pytest.approx(expected, abs=5e-4)
    assert t_quantile(10, tails=0.01) == pytest.approx(3.169, abs=5e-4)
    assert t_tails(0.0, 7) == pytest.approx(1.0)
    assert t_tails(1.0, 1) == pytest.approx(0.5, abs=1e-9)  # Cauchy's distribution


def test_a_mean_of_equal_values_is_certain_and_one_value_says_nothing() -> None:
    assert mean_interval(2.0, 0.0, 10) == (2.0, 2.0)
    assert mean_p(2.0, 0.0, 10) == 0.0
    assert mean_p(0.0, 0.0, 10) == 1.0
    assert mean_p(2.0, 0.0, 1) == 1.0

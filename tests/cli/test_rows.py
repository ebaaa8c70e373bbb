from dataclasses import replace

from optim.cli.rows import candidate_card
from optim.recipe import recipe_of
from tests.dashboard.factories import candidate


def test_a_card_tells_system_load() -> None:
    made = candidate(recipe_of(precision="int8"), speedup=3.0)
    assert made.latency is not None
    assert "Other programs" not in candidate_card(made, None)
    latency = replace(made.latency, usual_ms=made.latency.baseline_quiet_ms / 1.5)
    card = candidate_card(replace(made, latency=latency), None)
    assert "the original took 1.5 times as long as usual" in card

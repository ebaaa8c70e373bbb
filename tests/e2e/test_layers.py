"""The Layers page in a real browser: look inside, choose precisions and channels, measure."""

from __future__ import annotations

from contextlib import suppress

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from optim.candidate import Candidate
from optim.engines.profile import Profile
from optim.jobs.job import JobKind
from optim.recipe import MixedPrecision, Precision, Prune, Recipe, recipe_of
from optim.store.analyses import Analyses, AnalysisKind
from tests.dashboard.layer_factories import sensitivity, waterfall
from tests.e2e.conftest import TASK, App, OpenTab, ready, wait_until
from tests.e2e.test_explore import address

INT8 = recipe_of(precision="int8")
ROW_PX, HEADER_PX = 34, 34
"""Of the table at the page's font size."""


@pytest.fixture
def int8(app: App) -> Candidate:
    """The prebuilt INT8 candidate, profiled; what would take minutes to find out is filled in."""
    found = app.workspace.candidate_of(TASK, INT8)
    parent = app.workspace.candidate_of(TASK, Recipe())
    assert found is not None
    assert parent is not None
    if app.workspace.analysis_of(found.id, AnalysisKind.PROFILE) is None:
        environment = app.workspace.environment.fingerprint
        analyses = Analyses(app.workspace.path)
        app.workspace.analyse(found.id, AnalysisKind.PROFILE)
        profile = app.workspace.analyse(parent.id, AnalysisKind.PROFILE)
        assert isinstance(profile, Profile)
        layers = {o.layer: o.operator for o in profile.operators if o.layer}
        for candidate, kind, content in (
            (parent, AnalysisKind.SENSITIVITY, sensitivity(layers)),
            (found, AnalysisKind.WATERFALL, waterfall()),
        ):
            analyses.add(candidate.id, kind, environment, content.to_dict())
    return found


def choose(page: Page, row: int, precision: str) -> None:
    """Open the precision of a row of the table, and pick another one.

    A canvas has no cell to wait for, and a click that lands while it draws is lost.
    """
    table = page.get_by_test_id("stDataFrame").locator("canvas").first
    cell = page.locator(f'[data-testid="glide-cell-1-{row}"]')
    place = {"x": 230, "y": HEADER_PX + ROW_PX * row + ROW_PX / 2}
    option = page.get_by_role("option", name=precision)
    for _ in range(5):
        expect(table).to_be_visible(timeout=60_000)
        table.scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        table.click(position=place, force=True)
        page.wait_for_timeout(300)
        page.keyboard.press("Enter")
        with suppress(TimeoutError):
            option.click(timeout=8_000)
            break
    ready(page)
    expect(cell).to_have_text(precision)


def test_a_precision_is_chosen_in_the_table_and_the_mix_measured(
    tab: OpenTab, app: App, int8: Candidate
) -> None:
    page = tab("/layers", model=TASK, candidate=int8.id)
    expect(page.locator("h1")).to_have_text("Layers")
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    choose(page, 0, "FP32")
    expect(page.locator(".st-key-mix")).to_contain_text("in FP32")
    page.get_by_role("button", name="Measure this mix").click()
    wait_until(
        lambda: any(
            j.kind is JobKind.MAKE and "mixed" in str(j.payload) for j in app.workspace.jobs()
        ),
        "the mix is asked for",
    )
    page.wait_for_function("old => !location.search.includes(old)", arg=int8.id, timeout=480_000)
    ready(page)
    made = app.workspace.candidate(address(page)["candidate"])
    step = made.recipe.step(MixedPrecision)
    assert step is not None
    assert {precision for _, precision in step.layers} == {Precision.FP32}
    expect(page.get_by_text("Against INT8")).to_be_visible()
    page.get_by_role("link", name="See it on the front").click()
    page.wait_for_url(f"**candidate={made.id}*")
    ready(page)
    expect(page.locator(".st-key-card h2")).to_have_text("INT8, 1 layer in FP32")


def test_looking_inside_is_one_click(tab: OpenTab, app: App) -> None:
    wanted = app.workspace.candidate_of(TASK, recipe_of(precision="int4"))
    assert wanted is not None
    page = tab("/layers", model=TASK, candidate=wanted.id)
    page.get_by_role("button", name="Look inside").click()
    expect(page.get_by_role("progressbar").first).to_be_visible()

    def profiled() -> bool:
        found = app.workspace.analysis_of(wanted.id, AnalysisKind.PROFILE)
        return isinstance(found, Profile)

    wait_until(profiled, "the file is profiled")
    for job in app.workspace.jobs():
        if job.live:
            app.workspace.cancel(job.id)
    expect(page.get_by_role("heading", name="Layer by layer")).to_be_visible()


def test_a_budget_of_channels_is_planned_from_curves_and_the_network_measured(
    tab: OpenTab, app: App
) -> None:
    source, original = (app.workspace.candidate_of(TASK, r) for r in (INT8, Recipe()))
    assert source is not None
    assert original is not None
    page = tab("/layers", model=TASK, candidate=source.id)
    page.get_by_text("Channels", exact=True).click()
    ready(page)
    page.get_by_role("button", name="Measure the pruning curves").click()
    wait_until(
        lambda: app.workspace.analysis_of(original.id, AnalysisKind.PRUNING) is not None,
        "the curves are measured",
    )
    expect(page.get_by_role("heading", name="Redundant layers")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(1)
    page.get_by_role("button", name="Fill the sliders").click()
    expect(page.locator(".st-key-cuts")).to_contain_text("loses")
    page.wait_for_url("**cuts=*")
    page.reload()
    ready(page)
    expect(page.locator(".st-key-cuts")).to_contain_text("loses")
    page.get_by_role("button", name="Measure this network").click()
    page.wait_for_function("old => !location.search.includes(old)", arg=source.id, timeout=480_000)
    ready(page)
    made = app.workspace.candidate(address(page)["candidate"]).recipe
    step = made.step(Prune)
    assert step is not None
    assert step.layers
    assert made.precision is Precision.INT8
    expect(page.get_by_text("Against INT8")).to_be_visible()

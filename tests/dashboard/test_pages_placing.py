"""The Layers page leaves in float what is slower in integers, and proves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from streamlit.testing.v1 import AppTest

from optim.candidate import Candidate
from optim.engines.profile import Profile
from optim.errors import Refusal
from optim.jobs.job import JobKind
from optim.recipe import MixedPrecision, Precision, Recipe, recipe_of
from optim.store.analyses import AnalysisKind
from tests.dashboard.factories import candidate
from tests.dashboard.fake_workspace import FakeWorkspace
from tests.dashboard.layer_factories import profile_of, slower_profile
from tests.dashboard.test_pages import button, has_button, row, texts

Open = Callable[..., AppTest]
LAYERS_PAGE = "views/layers.py"
INT8 = recipe_of(precision="int8")
QUICK = profile_of(Precision.INT8, scale=0.5)


def profiled(fake: FakeWorkspace, profile: Profile) -> Candidate:
    """The INT8 candidate and its float parent have profiles, and nothing else is known."""
    int8 = row(fake, INT8)
    fake.found(row(fake, Recipe()).id, AnalysisKind.PROFILE, profile_of(Precision.FP32))
    fake.found(int8.id, AnalysisKind.PROFILE, profile)
    return int8


def left_in_float(fake: FakeWorkspace) -> tuple[str, ...]:
    """What the newest job is to leave in FP32."""
    job = fake.queue[-1]
    assert job.kind is JobKind.MAKE
    step = Recipe.from_dict(job.payload["recipe"]).step(MixedPrecision)
    assert step is not None
    assert {precision for _, precision in step.layers} == {Precision.FP32}
    return tuple(name for name, _ in step.layers)


def end(fake: FakeWorkspace, speedup: float) -> None:
    """The newest job is done, and its file is so many times as fast as the original."""
    made = fake.finish(fake.queue[-1].id)
    fast = candidate(made.recipe, speedup=speedup)
    fake.rows[made.id] = replace(made, latency=fast.latency)
    fake._version += 1


def test_that_nothing_is_slower_is_a_result(open_page: Open, fake: FakeWorkspace) -> None:
    page = open_page(LAYERS_PAGE, candidate=profiled(fake, QUICK).id)
    assert "Nothing is slower in INT8 here" in texts(page)
    assert not has_button(page, "place")


def test_a_float_candidate_has_nothing_to_leave_in_float(
    open_page: Open, fake: FakeWorkspace
) -> None:
    profiled(fake, slower_profile("head"))
    page = open_page(LAYERS_PAGE, candidate=row(fake, Recipe()).id)
    assert not has_button(page, "place")


def test_without_both_profiles_nothing_is_claimed(open_page: Open, fake: FakeWorkspace) -> None:
    int8 = row(fake, INT8)
    fake.found(int8.id, AnalysisKind.PROFILE, QUICK)
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    assert "slower in INT8" not in texts(page)
    assert not has_button(page, "place")


def test_layers_that_are_slower_are_left_in_float_by_one_click(
    open_page: Open, fake: FakeWorkspace
) -> None:
    int8 = profiled(fake, slower_profile("head", "block.conv2"))
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    assert "2 layers (head, block.conv2) are slower in INT8 than in FP32" in texts(page)
    asked = button(page, "place")
    assert asked.label == "Leave in float what is slower in INT8, and prove it"
    asked.click().run()
    assert left_in_float(fake) == ("block.conv2", "head")
    assert not has_button(page, "place")


def test_what_is_really_faster_ends_the_attempts(open_page: Open, fake: FakeWorkspace) -> None:
    int8 = profiled(fake, slower_profile("head", "block.conv2"))
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    button(page, "place").click().run()
    end(fake, speedup=9.0)
    page.run()
    said = texts(page)
    assert "x as fast as INT8 throughout" in said
    assert said.count(": faster.") == 1
    assert not has_button(page, "place")


def test_the_worse_half_is_next_if_all_of_them_did_not_help(
    open_page: Open, fake: FakeWorkspace
) -> None:
    int8 = profiled(fake, slower_profile("head", "block.conv2"))
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    button(page, "place").click().run()
    end(fake, speedup=2.0)
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    assert "not faster beyond what measuring varies" in texts(page)
    button(page, "place").click().run()
    assert left_in_float(fake) == ("head",)
    end(fake, speedup=2.0)
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    assert "So INT8 throughout is the fastest that was found." in texts(page)
    assert not has_button(page, "place")


def test_an_attempt_that_cannot_be_made_says_why(open_page: Open, fake: FakeWorkspace) -> None:
    int8 = profiled(fake, slower_profile("head"))
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    button(page, "place").click().run()
    name = Recipe.from_dict(fake.queue[-1].payload["recipe"]).fingerprint[:12]
    refusal = Refusal(reason="The weights were trained for eight bits.")
    fake.rows[name] = replace(fake.rows[name], refusal=refusal)
    fake._version += 1
    fake.fail(fake.queue[-1].id, str(refusal))
    page.run()
    assert "cannot be made: The weights were trained for eight bits." in texts(page)

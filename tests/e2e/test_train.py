"""Distill & train in a real browser: a narrow student is trained with a teacher and without."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from dashboard.state.chosen import Chosen
from dashboard.state.training_settings import Student, TrainingSettings
from optim.jobs.job import JobKind
from optim.recipe import Recipe
from optim.recipe.edit import without_teacher
from optim.task.task import load_task
from tests.e2e.conftest import TASK, App, OpenTab, ready, settled, wait_until
from tests.e2e.test_explore import address

LINK = {
    "model": TASK, "train_student": str(Student.NARROWER), "train_width": "15",
    "train_epochs": "1", "temperature": "6",
}  # fmt: skip
MEANT = TrainingSettings(
    student=Student.NARROWER, width=15, epochs=1, chosen=Chosen.of("distill", temperature=6.0)
)


def recipes_asked_for(app: App) -> list[Recipe]:
    jobs = [job for job in app.workspace.jobs() if job.kind is JobKind.MAKE]
    return [Recipe.from_dict(job.payload["recipe"]) for job in jobs]


def epochs_box(page: Page) -> Locator:
    return page.get_by_role("spinbutton", name="Epochs", exact=True)


def lines(page: Page) -> int:
    """Curves of the first chart that have data."""
    found: int = page.evaluate(
        """() => document.querySelector('.js-plotly-plot').data
          .filter(t => t.customdata && !t.name.endsWith(', end')).length"""
    )
    return found


def test_a_student_is_trained_with_and_without_a_teacher_and_the_page_says_who_wins(
    tab: OpenTab, app: App
) -> None:
    page = tab("/train", **LINK)
    expect(page.locator("h1")).to_have_text("Distill & train")
    page.get_by_role("button", name="Train both, with and without").click()
    taught = MEANT.recipe(load_task(TASK))
    both = {taught, without_teacher(taught)}
    wait_until(lambda: both <= set(recipes_asked_for(app)), "both trainings are asked for")
    expect(page.get_by_role("progressbar").first).to_be_visible()
    wait_until(lambda: settled(app.workspace), "both are trained and measured")
    verdict = page.locator(".st-key-verdict")
    expect(verdict).to_contain_text("the network with a teacher has", timeout=60_000)
    expect(verdict).to_contain_text("One seed, n = 1,576 validation examples")
    ready(page)
    assert lines(page) >= 2
    expect(page.locator(".st-key-training_panel")).to_contain_text("both: trained and measured")


def test_a_link_shows_the_same_settings(tab: OpenTab) -> None:
    page = tab("/train", **LINK)
    box = epochs_box(page)
    expect(box).to_have_value("1")
    box.fill("3")
    page.keyboard.press("Enter")
    page.wait_for_function("location.search.includes('train_epochs=3')")
    ready(page)
    again = tab(page.url)
    expect(epochs_box(again)).to_have_value("3")
    width = again.get_by_role("slider", name="Width, % of the original")  # of a narrower one alone
    expect(width).to_have_value("15")
    assert float(address(again)["temperature"]) == 6

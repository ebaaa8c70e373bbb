"""From a file and pictures to measured candidates, by mouse alone."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

from playwright.sync_api import expect

from tests.e2e.conftest import App, OpenTab, ready, wait_until
from tests.intake.test_bring import classifier, pictures


def test_a_dropped_network_becomes_a_task_that_is_measured(
    tab: OpenTab, app: App, tmp_path: Path
) -> None:
    model, data = tmp_path / "colours.onnx", tmp_path / "data.zip"
    model.write_bytes(classifier("side").SerializeToString())
    with ZipFile(data, "w") as archive:
        for path in sorted(pictures(tmp_path / "data").rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path / "data"))
    page = tab("/models")
    page.locator("input[type=file]").first.set_input_files(model)
    expect(page.get_by_text("takes pixels float32")).to_be_visible()
    page.get_by_role("spinbutton", name="Size side").fill("16")
    page.locator("input[type=file]").nth(1).set_input_files(data)
    expect(page.get_by_text("data.zip")).to_be_visible()
    page.get_by_role("button", name="Bring it").click()
    page.wait_for_url("**/?*model=colours*")
    ready(page)
    expect(page.get_by_text("colours is a task now", exact=False).first).to_be_visible()
    wait_until(
        lambda: sum(c.measured for c in app.workspace.candidates("colours")) >= 5,
        "its usual ways are measured",
    )
    page.reload()
    ready(page)
    expect(page.get_by_text("18 test examples").first).to_be_visible()


def test_a_file_that_is_no_network_is_refused_in_a_sentence(tab: OpenTab, tmp_path: Path) -> None:
    model = tmp_path / "broken.onnx"
    model.write_bytes(b"no network at all")
    page = tab("/models")
    page.locator("input[type=file]").first.set_input_files(model)
    expect(page.get_by_text("not a readable ONNX model")).to_be_visible()

"""The real dashboard in a real browser: streamlit as `edge-optim dashboard` starts it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)
from playwright.sync_api import Error as PlaywrightError

from optim.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
TASK, IMAGES = "motion-cnn", "fashion-resnet"
"""The first is measured within seconds; the second has images to show."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--force-color-profile=srgb",
]  # fmt: skip
PATIENCE = 900
"""Seconds for a test: on a busy machine a network is made, timed and drawn slowly."""
LOADING = "[data-testid=stSkeleton]"
READY = '[data-testid="stApp"][data-test-script-state="notRunning"]'
FRAMEWORK_PROBE = re.compile(r"/\w+/_stcore/(health|host-config)$")
"""Opened below a page's own path, streamlit's front end looks for its server there first."""


expect.set_options(timeout=30_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(PATIENCE))


@dataclass(frozen=True, kw_only=True)
class App:
    """A running dashboard."""

    url: str
    workspace: Workspace


@contextmanager
def running_app(folder: Path) -> Iterator[App]:
    """Start the dashboard on a free port, and end it with every process it has left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "optim", "--workspace", str(folder), "dashboard"]
    process = subprocess.Popen([*command, "--port", str(port), "--no-browser"], cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/_stcore/health", process)
        yield App(url=url, workspace=Workspace(folder))
    finally:
        process.terminate()
        process.wait(20)
        _end_workers(folder)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            pytest.fail(f"the dashboard ended with exit code {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the dashboard did not answer within a minute")


def _end_workers(folder: Path) -> None:
    """The worker outlives the dashboard on purpose; here nobody needs it any more."""
    for process in psutil.process_iter(["cmdline"]):
        if "optim.jobs.worker" in (words := process.info["cmdline"] or []) and str(folder) in words:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """One dashboard for all tests, its prebuilt candidates measured."""
    with running_app(tmp_path_factory.mktemp("e2e") / "workspace") as running:
        running.workspace.start_task(TASK)
        wait_until(lambda: settled(running.workspace), "the prebuilt candidates are measured")
        yield running


@pytest.fixture
def fresh_app(tmp_path: Path) -> Iterator[App]:
    """A dashboard that nobody has opened yet."""
    with running_app(tmp_path / "workspace") as running:
        yield running


def settled(workspace: Workspace) -> bool:
    return not any(job.live for job in workspace.jobs())


def wait_until(holds: Callable[[], bool], what: str, *, seconds: float = 480.0) -> None:
    """Poll; fail with the words of what did not come about."""
    for _ in range(int(seconds / 0.25)):
        if holds():
            return
        time.sleep(0.25)
    pytest.fail(f"waited {seconds:.0f} s in vain until {what}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium as the environment names it, from the PATH, or Playwright's own; never skipped."""
    named = os.environ.get("EDGE_OPTIM_BROWSER")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        try:
            running = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        except PlaywrightError as error:
            pytest.fail(
                f"these tests need Chromium, and there is none: no {', '.join(NAMES)} on the "
                "PATH, and none that Playwright has installed. Run `playwright install chromium`, "
                f"or install the system's package. ({str(error).splitlines()[0]})"
            )
        yield running
        running.close()


OpenTab = Callable[..., Page]


@pytest.fixture
def tab(browser: Browser, app: App) -> Iterator[OpenTab]:
    """Open a page of the app in a new tab; afterwards no tab may have written an error."""
    with tabs(browser, app) as opened:
        yield opened


@contextmanager
def tabs(browser: Browser, app: App) -> Iterator[OpenTab]:
    errors: list[str] = []
    contexts: list[BrowserContext] = []

    def note(message: ConsoleMessage) -> None:
        where = message.location.get("url", "")
        if message.type == "error" and not FRAMEWORK_PROBE.search(where):
            errors.append(f"{message.text} ({where})")

    def opened(
        path: str = "/", *, width: int = 1280, height: int = 800, theme: str = "light", **query: str
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(str(error)))
        values = "&".join(f"{key}={value}" for key, value in query.items())
        page.goto(path if path.startswith("http") else f"{app.url}{path}?{values}")
        ready(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


def ready(page: Page) -> None:
    """Wait until the page is drawn, the code of each widget included, and its script rests."""
    page.wait_for_selector("h1")
    page.wait_for_selector(READY)
    page.wait_for_timeout(300)
    page.wait_for_selector(READY)
    page.wait_for_function(f"document.querySelector('{LOADING}') === null")

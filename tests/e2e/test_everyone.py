"""Phones, keyboards, screen readers, both themes; and who may not connect."""

from __future__ import annotations

import http.client
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from dashboard.pages import PAGES
from tests.e2e.conftest import TASK, App, OpenTab, ready

ADDRESSES = ("/", *(f"/{Path(each.path).stem}" for each in PAGES[1:]))
TABS = 80


@pytest.mark.parametrize("path", ADDRESSES)
def test_a_phone_needs_no_sideways_scrolling(tab: OpenTab, path: str) -> None:
    page = tab(path, width=390, height=844, model=TASK)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    main = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{main}.scrollWidth <= {main}.clientWidth")


def test_in_a_narrow_window_the_plot_comes_before_the_limits(tab: OpenTab) -> None:
    page = tab(width=390, height=844, model=TASK)
    plot = page.locator(".js-plotly-plot").first
    page.wait_for_function(
        """() => {
          const top = selector => document.querySelector(selector)?.getBoundingClientRect().top;
          return top('.js-plotly-plot') < top('.st-key-limits_panel');
        }"""
    )
    box = plot.bounding_box()
    assert box is not None
    assert box["width"] <= 390
    page.set_viewport_size({"width": 1280, "height": 800})
    page.wait_for_function(
        """() => document.querySelector('.st-key-limits_panel').getBoundingClientRect().right
          < document.querySelector('.js-plotly-plot').getBoundingClientRect().left"""
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ADDRESSES)
def test_axe_finds_nothing_serious(tab: OpenTab, path: str, theme: str) -> None:
    page = tab(path, model=TASK, theme=theme)
    found = serious(page)
    if found:  # a page that draws itself anew is faded for a moment: only what stays counts
        page.wait_for_timeout(2000)
        ready(page)
        found = serious(page)
    assert found == []


def serious(page: Page) -> list[str]:
    """What axe finds critical or serious on a page as it is."""
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in Axe().run(page).response["violations"]
        if each["impact"] in ("critical", "serious")
    ]


def test_measure_is_reached_by_keyboard(tab: OpenTab) -> None:
    page = tab(model=TASK, prune="55")
    focused = "document.activeElement.textContent"
    reached = []
    for _ in range(TABS):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(focused))
        if "Measure this" in reached[-1]:
            return
    pytest.fail(f"{TABS} presses of Tab did not reach the button; the last were {reached[-3:]}")


@pytest.mark.parametrize("header", ["Origin", "Host"])
def test_foreign_sites_may_not_connect(app: App, header: str) -> None:
    place = urlsplit(app.url)
    assert place.hostname is not None

    def handshake(**changed: str) -> int:
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
        headers = {
            "Host": place.netloc,
            "Origin": app.url,
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        } | changed
        connection.request("GET", "/_stcore/stream", headers=headers)
        status = connection.getresponse().status
        connection.close()
        return status

    assert handshake() == 101
    assert handshake(**{header: "http://evil.example" if header == "Origin" else "evil"}) == 403

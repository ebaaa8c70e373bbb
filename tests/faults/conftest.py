"""Collects what the campaigns count, and prints it at the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.tally import TALLIES, Tally


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Callable[[str], Tally]:
    """Begin the row of a campaign; it is printed whether the test passes or not."""

    def begin(fault: str) -> Tally:
        made = Tally(fault)
        request.config.stash.setdefault(TALLIES, []).append(made)
        return made

    return begin


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """The table of the campaigns that ran in this process."""
    if not (rows := config.stash.get(TALLIES, [])):
        return
    terminalreporter.section("faults")
    terminalreporter.write_line("| fault | tried | lost | duplicated | wrong |")
    terminalreporter.write_line("| --- | --- | --- | --- | --- |")
    for row in rows:
        terminalreporter.write_line(
            f"| {row.fault} | {row.tried:,} | {row.lost} | {row.duplicated} | {len(row.wrong)} |"
        )

"""The tree holds no binaries that docs/weight.md does not account for.

``python tests/test_weight.py`` prints what is tracked, for its table.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_GROW_MB = 5.0
ROW = re.compile(r"^\| `([^`]+)` \| ([0-9.]+) \|", re.MULTILINE)


def accounted_mb(page: str) -> dict[str, float]:
    """Folder and megabytes of each row of the table."""
    return {folder: float(figure) for folder, figure in ROW.findall(page)}


def tracked_mb() -> dict[str, float]:
    """Megabytes of tracked binaries, by the first two folders of their path."""
    listed = subprocess.run(
        ["git", "ls-files", "--eol", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    found: Counter[str] = Counter()
    for line in filter(None, listed.split("\0")):
        facts, name = line.split("\t")
        path = ROOT / name
        if path.exists() and {"i/-text", "w/-text"} & set(facts.split()):
            found["/".join(Path(name).parent.parts[:2])] += path.stat().st_size
    return {folder: size / 1e6 for folder, size in sorted(found.items())}


def complaint(tracked: dict[str, float], accounted: dict[str, float]) -> str | None:
    """What is wrong with the account, in one sentence; None if nothing is."""
    difference = sum(tracked.values()) - sum(accounted.values())
    if abs(difference) <= MAY_GROW_MB:
        return None
    folders = {*tracked, *accounted}
    change = {name: tracked.get(name, 0.0) - accounted.get(name, 0.0) for name in folders}
    most = max(change, key=lambda name: abs(change[name]))
    return (
        f"tracked binaries take {sum(tracked.values()):.1f} MB and docs/weight.md accounts for "
        f"{sum(accounted.values()):.1f} MB ({most}: {change[most]:+.1f} MB). Make at first need "
        "what can be made, or correct the table there and say why."
    )


def test_every_megabyte_of_binaries_is_accounted_for():
    page = (ROOT / "docs" / "weight.md").read_text()
    assert complaint(tracked_mb(), accounted_mb(page)) is None


def test_each_row_names_a_folder_with_binaries():
    page = (ROOT / "docs" / "weight.md").read_text()
    assert set(accounted_mb(page)) <= set(tracked_mb())


@pytest.mark.parametrize(
    ("tracked", "accounted", "told"),
    [
        ({"a": 4.9}, {}, None),
        ({"a": 10.0, "b": 2.0}, {"a": 6.0, "b": 2.0}, None),
        ({"a": 12.0, "b": 2.0}, {"a": 6.0, "b": 2.0}, r"14\.0 MB.*8\.0 MB \(a: \+6\.0 MB\)"),
        ({"a": 6.0, "new": 5.1}, {"a": 6.0}, r"\(new: \+5\.1 MB\)"),
        ({"a": 6.0}, {"a": 12.0}, r"\(a: -6\.0 MB\)"),
    ],
)
def test_a_tree_that_grows_by_more_than_five_megabytes_is_refused(tracked, accounted, told):
    found = complaint(tracked, accounted)
    assert found is None if told is None else re.search(told, found)


if __name__ == "__main__":
    for folder, size in tracked_mb().items():
        print(f"| `{folder}` | {size:.1f} |")

"""Print the path of a Chromium for the browser tests, installing one if none is there.

    one that is there -> `playwright install chromium` -> `apt-get install chromium`

Progress goes to standard error. If all ways fail, one sentence says so and the exit code is 1: the
browser tests are never skipped in silence.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

VARIABLE = "EDGE_OPTIM_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """Path of a browser that starts: named in the environment, on the PATH, or Playwright's."""
    return next((path for path in _candidates() if _starts(path)), None)


def _candidates() -> Iterator[str]:
    yield from filter(None, [os.environ.get(VARIABLE), *map(shutil.which, NAMES)])
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if Path(path).exists():
        yield path


def _starts(path: str) -> bool:
    """True if the browser can say its version: a stub, or one without its libraries, cannot."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _install_with_playwright() -> bool:
    return _run([sys.executable, "-m", "playwright", "install", "chromium"])


def _install_with_apt() -> bool:
    if shutil.which("apt-get") is None:
        return False
    as_root: list[str] = []
    if os.geteuid() != 0:
        as_root = ["sudo", "-n"]
        if shutil.which("sudo") is None or not _run([*as_root, "true"]):
            return False
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    return _run([*apt, "update"]) and _run([*apt, "install", "-y", "chromium"])


def _run(command: Sequence[str]) -> bool:
    """Run a command with its output on standard error; True if it went well."""
    return subprocess.run(command, stdout=sys.stderr).returncode == 0


def main() -> int:
    """Find or install, print the path, and return the exit code."""
    path = find_browser()
    for install, words in (
        (_install_with_playwright, "with Playwright"),
        (_install_with_apt, "from the system's packages"),
    ):
        if path is None:
            print(f"No Chromium is found; installing one {words} ...", file=sys.stderr)
            path = find_browser() if install() else None
    if path is None:
        print(
            "The browser tests need Chromium: none is found, and neither Playwright nor apt-get "
            "could install one. Install Chromium or Google Chrome, or name one in "
            f"{VARIABLE}, and run `make test` again.",
            file=sys.stderr,
        )
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())

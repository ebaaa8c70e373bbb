"""What a campaign of faults adds up to: tried, lost, duplicated, wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest


@dataclass
class Tally:
    """The row of one campaign.

    Attributes:
        fault: what was done to the product.
        tried: how often.
        lost: work that was asked for and never came to an end.
        duplicated: work that was done twice.
        wrong: what was neither the right result nor one sentence, in words.
    """

    fault: str
    tried: int = 0
    lost: int = 0
    duplicated: int = 0
    wrong: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Fail unless everything but ``tried`` is zero."""
        assert self.tried > 0
        assert (self.lost, self.duplicated, self.wrong[:5]) == (0, 0, [])


TALLIES = pytest.StashKey[list[Tally]]()


def sizes(short: int, full: int) -> pytest.MarkDecorator:
    """Run a campaign with few tries in `make test` and with many in `make test-faults`."""
    return pytest.mark.parametrize(
        "tries",
        [
            pytest.param(short, id="short"),
            pytest.param(full, id="full", marks=[pytest.mark.faults, pytest.mark.timeout(3600)]),
        ],
    )

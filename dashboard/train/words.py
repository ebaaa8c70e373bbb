"""Sentences on trainings: the distillation gain, its uncertainty, rounds, and data efficiency."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.charts.training import epochs, network_name
from dashboard.words import words
from optim.training_history.data_efficiency import (
    DataEfficiency,
    DataPoint,
    Supervision,
    supervision_of,
)
from optim.training_history.distillation_gain import Comparison, Pair, interval
from optim.training_history.history import Standing, Training
from optim.training_history.pruning_rounds import PruningPath

HELPS = "the teacher helps"


def verdict(pair: Pair, n: int) -> str:
    """Return whether the teacher was worth it, at the same time and after as many epochs.

    The accuracies are those of the best epoch by then, which is the network that is kept.
    """
    time, same = pair.at_equal_time(n), pair.at_equal_epochs(n)
    if same is None:
        return "The first epochs are on their way; a verdict needs one of each."
    after_epochs = epochs(same.first.epoch)
    if not pair.timed_alike:
        return (
            f"{_compared(f'After {after_epochs}', same)} Their seconds do not compare: what came "
            "with the sample was trained at different hours."
        )
    if time is None:
        return (
            f"{_compared(f'After {after_epochs}', same)} At equal time there is nothing to "
            "compare: when the one had ended, the other had no epoch of its last step yet."
        )
    seconds = words.duration(min(_end(pair.with_teacher), _end(pair.without_teacher)))
    if (time.first.kept, time.second.kept) == (same.first.kept, same.second.kept):
        return _compared(f"After {seconds}, and after {after_epochs} as well", time)
    at_time = _compared(f"After {seconds}", time)
    return f"{at_time} {_compared(f'After {after_epochs}', same)}"


def finding(pair: Pair, n: int) -> str:
    """Return the verdict in a word or two, at equal time where that is known."""
    found = pair.at_equal_time(n) or pair.at_equal_epochs(n)
    if found is None:
        return "not known yet"
    if found.tied:
        return "tied"
    return HELPS if found.gain > 0 else "the teacher hurts"


def doubt(pair: Pair, n: int) -> str:
    """Return the reservations about a verdict: one seed, intervals, unequal epochs."""
    same = pair.at_equal_epochs(n)
    parts = [f"One seed, n = {n:,} validation examples"]
    if same is not None:
        low, high = interval(same.first.kept, n)
        parts[0] += f": each accuracy is good to ± {50 * (high - low):.1f} points (95 %)"
    if not pair.over:
        parts.append("they still train, and the learning rate falls to the last epoch")
    elif Standing.STOPPED in (pair.with_teacher.standing, pair.without_teacher.standing):
        parts.append("one was stopped before its end")
    elif pair.with_teacher.planned_epochs != pair.without_teacher.planned_epochs:
        parts.append(
            f"planned were {epochs(pair.with_teacher.planned_epochs)} with and "
            f"{epochs(pair.without_teacher.planned_epochs)} without, so one learning rate fell "
            "sooner"
        )
    cost = _cost(pair)
    return "; ".join([*parts, *([cost] if cost else [])]) + "."


def gain(pair: Pair, n: int) -> str:
    """Return the distillation gain after as many epochs, in a few words."""
    same = pair.at_equal_epochs(n)
    if same is None:
        return "not known yet"
    return words.points(same.gain, n=n) + (", tied" if same.tied else "")


def title(pair: Pair) -> str:
    """Return the network that a verdict is about."""
    network = network_name(pair.with_teacher.network)
    share = pair.with_teacher.data_share
    of = "" if share == 1 else f" on {words.percent(share)} of the data"
    labels = "" if pair.with_teacher.labelled else ", the teacher without labels"
    return f"{network[0].upper()}{network[1:]}{of}{labels}"


def rounds_verdict(path: PruningPath, n: int) -> str:
    """Return the gain of pruning in rounds over pruning at once."""
    done = sum(each.over for each in path.rounds)
    if done < len(path.rounds) or path.training.final is None:
        return f"{done} of {len(path.rounds)} rounds are done."
    last = path.training.final
    if path.at_once is None or path.at_once.final is None:
        return f"In {len(path.rounds)} rounds it comes to {words.percent(last.kept, n=n)}."
    once = path.at_once.final
    compared = Comparison(first=last, second=once, n=n)
    rounds = (
        f"In {len(path.rounds)} rounds it comes to {words.percent(last.kept, n=n)} "
        f"({epochs(last.epoch)}, {words.duration(last.seconds)}), at once "
        f"{words.percent(once.kept, n=n)} ({epochs(once.epoch)}, {words.duration(once.seconds)})"
    )
    return f"{rounds}: {_worth(compared, 'rounds give')}"


def data_efficiency_verdict(data: DataEfficiency) -> str:
    """Return the distillation gain for each share of the data, and where epochs differ."""
    known = {(p.supervision, p.share): p for p in data.points}
    parts = []
    for share in data.shares:
        both, labels = (known.get((s, share)) for s in (Supervision.BOTH, Supervision.LABELS))
        if share < 1 and both and labels:
            gain = words.points(both.score - labels.score, n=data.n)
            overlap = both.interval[0] <= labels.interval[1]
            overlap = overlap and labels.interval[0] <= both.interval[1]
            tied = ", tied" if overlap else ""
            parts.append(f"From {words.percent(share)} of the data the teacher gives {gain}{tied}.")
    uneven = [share for share in data.shares if len({p.epochs for p in _at(data, share)}) > 1]
    if uneven:
        told = ", ".join(words.percent(share) for share in uneven)
        parts.append(f"Not all have as many epochs at {told}.")
    return " ".join(parts)


def table(rows: Sequence[Training], n: int) -> dict[str, list[str]]:
    """Return every training as a row, newest first."""
    newest = list(reversed(rows))
    ends = [row.moments[-1] if row.moments else None for row in newest]
    return {
        "Network": [network_name(row.network) for row in newest],
        "Learns from": [_learns_from(row) for row in newest],
        "Validation": [words.percent(end.kept if end else None, n=n) for end in ends],
        "Epochs": [
            f"{end.epoch if end else 0} of {row.planned_epochs}"
            for row, end in zip(newest, ends, strict=True)
        ],
        "Time": [words.duration(end.seconds if end else None) for end in ends],
        "Parameters": [words.count(row.parameters) for row in newest],
        "Test": [_tested(row) for row in newest],
        "Stands": [str(row.standing) for row in newest],
    }


def _compared(moment: str, found: Comparison) -> str:
    own, twin = (words.percent(each.kept, n=found.n) for each in (found.first, found.second))
    return (
        f"{moment}, the network with a teacher has {own}, without {twin}: "
        f"{_worth(found, 'the teacher gives')}"
    )


def _worth(found: Comparison, who_gives: str) -> str:
    gain = words.points(found.gain, n=found.n)
    if found.gain == 0:
        return "no difference, tied."
    if found.tied:
        return f"{gain} on validation, but the intervals overlap: tied."
    return f"{who_gives} {gain} on validation."


def _cost(pair: Pair) -> str:
    """Return the seconds of an epoch with and without a teacher if they differ by over a tenth."""
    ends = pair.with_teacher.final, pair.without_teacher.final
    if None in ends or not pair.timed_alike:
        return ""
    own, twin = (end.seconds / end.epoch for end in ends if end is not None)
    if abs(own - twin) <= 0.1 * twin:
        return ""
    with_teacher, without = words.duration(own), words.duration(twin)
    return f"an epoch takes {with_teacher} with the teacher and {without} without"


def _end(row: Training) -> float:
    return row.final.seconds if row.final is not None else 0.0


def _learns_from(row: Training) -> str:
    share = row.data_share
    return str(supervision_of(row)) + ("" if share == 1 else f", {words.percent(share)} of data")


def _tested(row: Training) -> str:
    if not row.tested:
        return words.NOTHING
    precision, accuracy = next(iter(row.tested.items()))
    return f"{words.score(accuracy)} ({precision.upper()})"


def _at(data: DataEfficiency, share: float) -> list[DataPoint]:
    return [point for point in data.points if point.share == share]

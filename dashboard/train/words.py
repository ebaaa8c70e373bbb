"""What trainings say, in sentences: was the teacher worth it, and how sure is that."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.charts.training import epochs, network_name
from dashboard.words import words
from optim.training_history.data_efficiency import DataPoint, Lesson, LittleData, lesson_of
from optim.training_history.history import Standing, Training
from optim.training_history.pruning_rounds import PruningPath
from optim.training_history.teacher_gain import Comparison, Pair, interval

HELPS = "the teacher helps"


def verdict(pair: Pair, n: int) -> str:
    """Whether the teacher was worth it, at the same time and after as many epochs.

    The accuracies are those of the best epoch by then, which is the network that is kept.
    """
    time, same = pair.at_equal_time(n), pair.at_equal_epochs(n)
    if same is None:
        return "The first epochs are on their way; a verdict needs one of each."
    after_epochs = epochs(same.taught.epoch)
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
    seconds = words.duration(min(_end(pair.taught), _end(pair.alone)))
    if (time.taught.kept, time.alone.kept) == (same.taught.kept, same.alone.kept):
        return _compared(f"After {seconds}, and after {after_epochs} as well", time)
    at_time = _compared(f"After {seconds}", time)
    return f"{at_time} {_compared(f'After {after_epochs}', same)}"


def finding(pair: Pair, n: int) -> str:
    """The verdict in a word or two, at equal time where that is known."""
    found = pair.at_equal_time(n) or pair.at_equal_epochs(n)
    if found is None:
        return "not known yet"
    if found.tied:
        return "tied"
    return HELPS if found.gain > 0 else "the teacher hurts"


def doubt(pair: Pair, n: int) -> str:
    """What speaks against taking the verdict for granted."""
    same = pair.at_equal_epochs(n)
    parts = [f"One seed, n = {n:,} validation examples"]
    if same is not None:
        low, high = interval(same.taught.kept, n)
        parts[0] += f": each accuracy is good to ± {50 * (high - low):.1f} points (95 %)"
    if not pair.over:
        parts.append("they still train, and the learning rate falls to the last epoch")
    elif Standing.STOPPED in (pair.taught.standing, pair.alone.standing):
        parts.append("one was stopped before its end")
    elif pair.taught.planned_epochs != pair.alone.planned_epochs:
        parts.append(
            f"planned were {epochs(pair.taught.planned_epochs)} with and "
            f"{epochs(pair.alone.planned_epochs)} without, so one learning rate fell sooner"
        )
    cost = _cost(pair)
    return "; ".join([*parts, *([cost] if cost else [])]) + "."


def gain(pair: Pair, n: int) -> str:
    """What the teacher gives after as many epochs, in a few words."""
    same = pair.at_equal_epochs(n)
    if same is None:
        return "not known yet"
    return words.points(same.gain, n=n) + (", tied" if same.tied else "")


def title(pair: Pair) -> str:
    """Which network a verdict is about."""
    network = network_name(pair.taught.network)
    share = pair.taught.data_share
    of = "" if share == 1 else f" on {words.percent(share)} of the data"
    labels = "" if pair.taught.labelled else ", the teacher without labels"
    return f"{network[0].upper()}{network[1:]}{of}{labels}"


def rounds_verdict(path: PruningPath, n: int) -> str:
    """What rounds give against one cut."""
    done = sum(each.over for each in path.rounds)
    if done < len(path.rounds) or path.training.final is None:
        return f"{done} of {len(path.rounds)} rounds are done."
    last = path.training.final
    if path.at_once is None or path.at_once.final is None:
        return f"In {len(path.rounds)} rounds it comes to {words.percent(last.kept, n=n)}."
    once = path.at_once.final
    compared = Comparison(taught=last, alone=once, n=n)
    rounds = (
        f"In {len(path.rounds)} rounds it comes to {words.percent(last.kept, n=n)} "
        f"({epochs(last.epoch)}, {words.duration(last.seconds)}), at once "
        f"{words.percent(once.kept, n=n)} ({epochs(once.epoch)}, {words.duration(once.seconds)})"
    )
    return f"{rounds}: {_worth(compared, 'rounds give')}"


def little_data_verdict(data: LittleData) -> str:
    """What a teacher gives where data is scarce, and the least share that is as good as all."""
    known = {(p.lesson, p.share): p for p in data.points}
    parts = []
    for share in data.shares:
        taught, alone = known.get((Lesson.BOTH, share)), known.get((Lesson.LABELS, share))
        if share < 1 and taught and alone:
            gain = words.points(taught.score - alone.score, n=data.n)
            overlap = taught.interval[0] <= alone.interval[1]
            overlap = overlap and alone.interval[0] <= taught.interval[1]
            tied = ", tied" if overlap else ""
            parts.append(f"From {words.percent(share)} of the data the teacher gives {gain}{tied}.")
    uneven = [share for share in data.shares if len({p.epochs for p in _at(data, share)}) > 1]
    if uneven:
        told = ", ".join(words.percent(share) for share in uneven)
        parts.append(f"Not all have as many epochs at {told}.")
    return " ".join(parts)


def table(rows: Sequence[Training], n: int) -> dict[str, list[str]]:
    """Every training as a row, newest first."""
    newest = list(reversed(rows))
    ends = [row.moments[-1] if row.moments else None for row in newest]
    return {
        "Network": [network_name(row.network) for row in newest],
        "Learns from": [_lesson(row) for row in newest],
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
    taught, alone = (words.percent(each.kept, n=found.n) for each in (found.taught, found.alone))
    return (
        f"{moment}, the network with a teacher has {taught}, without {alone}: "
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
    """Seconds of an epoch with and without a teacher, where they differ by more than a tenth."""
    ends = pair.taught.final, pair.alone.final
    if None in ends or not pair.timed_alike:
        return ""
    taught, alone = (end.seconds / end.epoch for end in ends if end is not None)
    if abs(taught - alone) <= 0.1 * alone:
        return ""
    with_teacher, without = words.duration(taught), words.duration(alone)
    return f"an epoch takes {with_teacher} with the teacher and {without} without"


def _end(row: Training) -> float:
    return row.final.seconds if row.final is not None else 0.0


def _lesson(row: Training) -> str:
    share = row.data_share
    return str(lesson_of(row)) + ("" if share == 1 else f", {words.percent(share)} of data")


def _tested(row: Training) -> str:
    if not row.tested:
        return words.NOTHING
    precision, accuracy = next(iter(row.tested.items()))
    return f"{words.accuracy(accuracy)} ({precision.upper()})"


def _at(data: LittleData, share: float) -> list[DataPoint]:
    return [point for point in data.points if point.share == share]

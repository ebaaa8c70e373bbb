"""One network, every way to make it smaller without training, one answer.

    fused, FP16, dynamic, weights alone, INT8, INT4 -> measured against the original
    INT8 below its promise -> the layers that hurt, in float -> measured as well

What is advised keeps the promise of its metric, is not slower, and is really smaller or faster.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optim.candidate import Candidate
from optim.errors import OptimError, Refusal, RefusedError
from optim.progress import Progress, part
from optim.recipe import Activations, Fuse, Precision, Quantize, Recipe
from optim.recipe.edit import keep_in_float
from optim.report.record import candidate_record
from optim.store.analyses import AnalysisKind
from optim.task.metric import Metric
from optim.task.metric_words import lost_words, value_words
from optim.words import megabytes, milliseconds, times
from optim.workspace import Workspace

SLOWER = 0.98
"""A speed-up whose interval ends below this is slower: a hundredth is the timing's own noise."""
SMALLER = 1.02
LEAST_DB = 20.0
"""Signal to noise that a file must keep: a tenth of the amplitude is noise."""
LARGEST_LOSS = 0.01
MIXES_WITHIN_S = 120.0
"""No further mix is begun after so long: the next one doubles the layers in float."""
REPORT_NAME = "report.json"

WAYS: tuple[Recipe, ...] = (
    Recipe(steps=(Fuse(),)),
    Recipe(steps=(Quantize(precision=Precision.FP16),)),
    Recipe(steps=(Quantize(activations=Activations.DYNAMIC),)),
    Recipe(steps=(Quantize(activations=Activations.FLOAT),)),
    Recipe(steps=(Quantize(),)),
    Recipe(steps=(Quantize(precision=Precision.INT4),)),
)
"""In the order in which they are tried; INT8 is the last but one."""
INT8 = WAYS[-2]


@dataclass(frozen=True, kw_only=True)
class Try:
    """One way.

    Attributes:
        recipe: what was asked.
        candidate: what came of it, measured; None if it was refused.
        refusal: why not.
    """

    recipe: Recipe
    candidate: Candidate | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """Every way that was tried on one task.

    Attributes:
        task: its name.
        metric: what scores it.
        original: the network as it came, measured.
        tries: in the order in which they were made.
    """

    task: str
    metric: Metric
    original: Candidate
    tries: tuple[Try, ...]

    @property
    def best(self) -> Candidate | None:
        """The fastest that keeps its promise; of those that time cannot tell apart the smallest."""
        kept = [c for c in self._made() if self.is_worth_it(c)]
        if not kept:
            return None
        lead = max(_speed(c)[0] for c in kept)
        level = [c for c in kept if _speed(c)[2] >= lead or _speed(c)[0] >= lead]
        return min(level, key=lambda c: (_size(c), -_speed(c)[0]))

    def is_worth_it(self, candidate: Candidate) -> bool:
        """True if it keeps the promise, is not slower, and is smaller or faster."""
        low, high = _speed(candidate)[1:]
        gains = self.size_ratio(candidate) >= SMALLER or low > 1 / SLOWER
        return self.keeps_promise(candidate) and high >= SLOWER and gains

    def keeps_promise(self, candidate: Candidate) -> bool:
        """True if its answers are near enough to the original's, in the metric's own terms."""
        score, base = candidate.score, self.original.score
        if score is None or base is None:
            return False
        match self.metric.name:
            case "accuracy":
                return score.difference >= -LARGEST_LOSS
            case "agreement":
                return score.value >= 1 - LARGEST_LOSS
            case "sqnr":
                return score.value >= LEAST_DB
            case _:
                loss = score.difference * (-1 if self.metric.higher_is_better else 1)
                return loss <= 0.05 * abs(base.value)

    def size_ratio(self, candidate: Candidate) -> float:
        """Factor by which it is smaller than the original."""
        return _size(self.original) / _size(candidate)

    @property
    def why(self) -> str:
        """The advice in a sentence or two."""
        best = self.best
        if best is None:
            return (
                "Keep the original: nothing that was tried keeps its answers, is not slower, and "
                f"is smaller or faster. {_promise_words(self.metric)}"
            )
        speed, low, high = _speed(best)
        faster = "as fast" if low <= 1 / SLOWER and high >= SLOWER else f"{times(speed)} as fast"
        return (
            f"Take {best.words()}: {times(self.size_ratio(best))} smaller, {faster} "
            f"({times(low)} to {times(high)}), {self.metric.title.lower()} "
            f"{self._score_words(best)}."
        )

    def _score_words(self, candidate: Candidate) -> str:
        """Return the score, and beside labels what was lost."""
        score = candidate.score
        if score is None:
            return "not scored"
        told = value_words(self.metric, score.value, score.n)
        if not self.metric.needs_labels or candidate is self.original:
            return told
        return f"{told} ({lost_words(self.metric, score.difference, score.n)})"

    def rows(self) -> list[dict[str, str]]:
        """Return every way as a table, the original first."""
        return [self._row(c) for c in (self.original, *self._made())]

    def _row(self, candidate: Candidate) -> dict[str, str]:
        speed, low, high = _speed(candidate)
        latency = candidate.latency
        original = candidate is self.original
        if original:
            verdict = ""
        elif candidate.id == (self.best.id if self.best else ""):
            verdict = "best"
        else:
            verdict = "" if self.is_worth_it(candidate) else self._fault(candidate)
        return {
            "recipe": candidate.words(),
            "size": megabytes(_size(candidate)),
            "smaller": times(self.size_ratio(candidate)),
            "latency": milliseconds(latency.p50_ms) if latency else "",
            "speed-up": "" if original else f"{times(speed)} ({times(low)} to {times(high)})",
            self.metric.title.lower(): self._score_words(candidate),
            "": verdict,
        }

    def _fault(self, candidate: Candidate) -> str:
        """Return why a candidate is not worth it."""
        if not self.keeps_promise(candidate):
            return "answers too far off"
        return "slower" if _speed(candidate)[2] < SLOWER else "neither smaller nor faster"

    def refusals(self) -> list[str]:
        """Return what could not be done, a line each."""
        return [f"{t.recipe.words()}: {t.refusal}" for t in self.tries if t.refusal is not None]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for ``--json`` and the report."""
        best = self.best
        return {
            "task": self.task,
            "original": candidate_record(self.original),
            "candidates": [self._record(each) for each in self.tries],
            "best": None if best is None else best.recipe.to_dict(),
            "why": self.why,
        }

    def _record(self, tried: Try) -> dict[str, Any]:
        made, refusal = tried.candidate, tried.refusal
        score = None if made is None else made.score
        speed = (None, None, None) if made is None else _speed(made)
        artifact = None if made is None else made.artifact
        return {
            "recipe": tried.recipe.to_dict(),
            "words": tried.recipe.words(),
            "file": None if artifact is None else str(artifact.path),
            "size_bytes": None if made is None else _size(made),
            "size_ratio": None if made is None else self.size_ratio(made),
            "speedup": speed[0],
            "speedup_low": speed[1],
            "speedup_high": speed[2],
            "fidelity": {"metric": self.metric.name, "value": score.value if score else None},
            "keeps_promise": made is not None and self.keeps_promise(made),
            "refusal": refusal and {"reason": refusal.reason, "remedy": refusal.remedy},
        }

    def write(self, workspace: Workspace, folder: Path) -> None:
        """Write the report, and the best file with its recipe and card.

        Raises:
            OptimError: if the folder cannot be written.
        """
        if self.best is not None:
            workspace.export(self.best.id, folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self.to_dict(), indent=2, default=str)
            (folder / REPORT_NAME).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise OptimError(
                f"the report cannot be written to {folder}: {error.strerror}."
            ) from error

    def _made(self) -> list[Candidate]:
        return [t.candidate for t in self.tries if t.candidate is not None]


def shrink(
    workspace: Workspace, task: str, *, progress: Progress = lambda share, words: None
) -> Shrunk:
    """Try every way on a task.

    Raises:
        OptimError: if the original itself cannot be made or measured.
    """
    original = workspace.make(task, Recipe(), progress=part(progress, 0.0, 0.1))
    tries: list[Try] = []
    step = 0.6 / len(WAYS)
    for i, recipe in enumerate(WAYS):
        doing = part(progress, 0.1 + i * step, 0.1 + (i + 1) * step)
        tries.append(_tried(workspace, task, recipe, doing))
    found = Shrunk(
        task=task, metric=workspace.task(task).metric, original=original, tries=tuple(tries)
    )
    int8 = next(t.candidate for t in tries if t.recipe == INT8)
    if int8 is None or found.keeps_promise(int8):
        return found
    mixes = _mixes(workspace, found, int8, part(progress, 0.7, 1.0))
    return Shrunk(task=task, metric=found.metric, original=original, tries=(*tries, *mixes))


def _tried(workspace: Workspace, task: str, recipe: Recipe, progress: Progress) -> Try:
    """Make and measure, or the refusal; whatever else goes wrong is a refusal here, too."""
    try:
        return Try(recipe=recipe, candidate=workspace.make(task, recipe, progress=progress))
    except RefusedError as error:
        return Try(recipe=recipe, refusal=error.refusal)
    except OptimError as error:
        return Try(recipe=recipe, refusal=Refusal(reason=str(error)))


def _mixes(
    workspace: Workspace, found: Shrunk, int8: Candidate, progress: Progress
) -> Iterator[Try]:
    """Yield INT8 with more and more of the most sensitive layers in float, until it suffices."""
    begun = time.monotonic()
    try:
        layers = _worst_first(workspace, int8, part(progress, 0.0, 0.5))
    except OptimError as error:
        yield Try(recipe=keep_in_float(int8.recipe, ["?"]), refusal=Refusal(reason=str(error)))
        return
    many = 1
    while many < len(layers) and time.monotonic() - begun < MIXES_WITHIN_S:
        recipe = keep_in_float(int8.recipe, layers[:many])
        tried = _tried(workspace, found.task, recipe, part(progress, 0.5, 1.0))
        yield tried
        if tried.candidate is not None and found.keeps_promise(tried.candidate):
            return
        many *= 2


def _worst_first(workspace: Workspace, int8: Candidate, progress: Progress) -> list[str]:
    """Return the layers by what they cost in INT8, the worst first."""
    from optim.analysis.sensitivity import Sensitivity

    known = workspace.analyse(int8.id, AnalysisKind.SENSITIVITY, progress=progress)
    assert isinstance(known, Sensitivity)
    rows = [row for row in known.rows if row.precision is Precision.INT8]
    gain = {row.layer: row.alone_in_float_gain_db or 0.0 for row in rows}
    return sorted(gain, key=lambda layer: -gain[layer])


def _speed(candidate: Candidate) -> tuple[float, float, float]:
    """Return the speed-up over the original, and the ends of its interval."""
    latency = candidate.latency
    assert latency is not None  # made is measured here
    return latency.speedup, *latency.speedup_interval


def _size(candidate: Candidate) -> int:
    assert candidate.artifact is not None
    return candidate.artifact.size_bytes


def _promise_words(metric: Metric) -> str:
    """Return what a candidate must keep."""
    match metric.name:
        case "accuracy":
            return f"It may lose {100 * LARGEST_LOSS:.0f} point."
        case "agreement":
            return f"It must agree in {100 * (1 - LARGEST_LOSS):.0f} of 100 answers."
        case "sqnr":
            return f"It must keep {LEAST_DB:.0f} dB."
        case _:
            return "Its error may grow by a twentieth."

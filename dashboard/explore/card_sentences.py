"""The sentences of a card: why this candidate, what its figures mean, what it keeps of promises."""

from __future__ import annotations

from dashboard import loaders
from dashboard.words import story
from dashboard.words.markup import plain
from optim.candidate import Candidate, Role
from optim.recipe import Replace
from optim.report.sparse_words import sparse_words
from optim.search.named_presets import outcome
from optim.search.pareto import Front
from optim.search.recommend import Recommendation
from optim.task.task import Task


def sentences(candidate: Candidate, front: Front, advice: Recommendation | None, task: Task) -> str:
    """Return the meaning of the figures in words; markdown."""
    said = []
    if advice is not None:
        said += [f"**Why this one:** {plain(advice.reason)}"]
        said += [plain(advice.price), plain(advice.doubt)]
    broken = front.broken.get(candidate.id, ())
    if broken:
        said.append(f"Out of your limits: it {plain('; '.join(broken))}.")
    if candidate.role is not Role.BASELINE and candidate.score is not None:
        said.append(_difference(candidate))
    latency = candidate.latency
    if advice is None and latency is not None:
        said.append(latency.noise_words())
    tied = front.tied_with(candidate.id)
    known = {c.id: c.words() for c in front.measured}
    said += _promises(candidate, front.baseline, task)
    if candidate.recipe.step(Replace) is not None and candidate.role is not Role.CONTROL:
        said.append(plain(story.another_architecture(candidate.recipe)))
    if front.baseline is not None:
        said.append(plain(sparse_words(candidate, front.baseline)))
    if tied:
        others = ", ".join(plain(known[name]) for name in tied[:3] if name in known)
        said.append(f"Not distinguishable from: {others}.")
    return " ".join(filter(None, said))


def _promises(candidate: Candidate, baseline: Candidate | None, task: Task) -> list[str]:
    """Return whether this candidate keeps here what its named preset promises."""
    found = (outcome(each, candidate, baseline) for each in loaders.named_presets(task))
    return [
        f":material/{'verified' if each.kept else 'error'}: {plain(each.words).capitalize()}."
        for each in found
        if each is not None
    ]


def _difference(candidate: Candidate) -> str:
    score = candidate.score
    assert score is not None  # asked by the caller
    name = score.scored_by.title.lower()
    if score.changed == 0:
        return "Every answer is as before."
    chance = f"p = {score.p_value:.2g}" if score.p_value >= 1e-6 else "p < 0.000001"
    if score.tied_with_baseline:
        return f"The {name} is **tied** with the original: the difference may be luck ({chance})."
    kind = "loss" if score.drop > 0 else "gain"
    return f"The {kind} of {name} is **real**, not luck ({chance})."

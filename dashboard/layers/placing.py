"""What is slower in whole numbers stays in float, and the clock says whether that was worth it.

Profiles name the layers; each trial is an ordinary candidate, made and measured in the background.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard import loaders
from dashboard.layers.inside import Inside
from dashboard.layers.layer_mix import measure
from dashboard.words import words
from dashboard.words.markup import plain
from optim.analysis.layer_rows import layer_rows
from optim.analysis.placement import Trial, compared, tries
from optim.candidate import Candidate
from optim.jobs.job import JobKind
from optim.recipe import INTEGER_PRECISIONS, MixedPrecision, Precision, Recipe
from optim.recipe.edit import precisions_of, with_precisions
from optim.store.analyses import AnalysisKind
from optim.task.task import Task

MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Some layers of a candidate in FP32.

    Attributes:
        layers: the greatest loss first.
        recipe: that leaves them in FP32.
        candidate: of that recipe, if the workspace knows it.
        trial: how fast it is against the candidate with none in FP32; None before it is measured.
    """

    layers: tuple[str, ...]
    recipe: Recipe
    candidate: Candidate | None
    trial: Trial | None


def panel(task: Task, found: Inside) -> None:
    """What was tried, what it gave, and the button for the next attempt."""
    source = _source(found.candidate)
    if source is None:
        return
    attempts = _attempts(found, source)
    if attempts is None:
        return
    with st.container(border=True, gap="small", key="placement"):
        for sentence in sentences(source, attempts):
            st.markdown(plain(sentence))
        following = _next(attempts)
        if following is not None and not _under_way(task, following.recipe):
            st.button(
                f"Leave in float what is slower in {source.recipe.precision.upper()}, and prove it",
                key="place",
                icon=":material/timer:",
                on_click=measure,
                args=(task.name, following.recipe, source.id),
            )


def sentences(source: Candidate, attempts: tuple[Attempt, ...]) -> list[str]:
    """What is known of the attempts, in words; one sentence for each that is settled."""
    name = source.recipe.precision.upper()
    if not attempts:
        return [f"Nothing is slower in {name} here: no layer takes longer than in FP32."]
    said = [_settled(attempt, name) for attempt in attempts if _is_settled(attempt)]
    following = _next(attempts)
    if following is not None:
        said.append(
            f"By the profiles {_named(following.layers)} slower in {name} than in FP32. Profiles "
            "do not show what conversions around them would cost: only a measured file does."
        )
    elif not any(attempt.trial and attempt.trial.faster for attempt in attempts):
        said.append(f"So {name} throughout is the fastest that was found.")
    return said


def _settled(attempt: Attempt, name: str) -> str:
    trial = attempt.trial
    if trial is None:
        assert attempt.candidate is not None  # settled, so it was refused
        return f"{_count(attempt.layers)} in FP32 cannot be made: {attempt.candidate.refusal}"
    low, speedup, high = (
        f"{words.digits(value, figures=3)}x"
        for value in (trial.interval[0], trial.speedup, trial.interval[1])
    )
    told = f"With {_count(attempt.layers)} in FP32 it is {speedup} as fast as {name} throughout"
    told += f" ({low} to {high})"
    return f"{told}: {'faster' if trial.faster else 'not faster beyond what measuring varies'}."


def _is_settled(attempt: Attempt) -> bool:
    refused = attempt.candidate is not None and attempt.candidate.refusal is not None
    return attempt.trial is not None or refused


def _next(attempts: tuple[Attempt, ...]) -> Attempt | None:
    """The first that is not settled, as long as none was faster."""
    if any(attempt.trial and attempt.trial.faster for attempt in attempts):
        return None
    return next((attempt for attempt in attempts if not _is_settled(attempt)), None)


def _source(candidate: Candidate) -> Candidate | None:
    """The measured candidate with whole numbers throughout that this one is, or is a mix of."""
    if candidate.recipe.precision not in INTEGER_PRECISIONS:
        return None
    source = loaders.candidate_of(candidate.task, candidate.recipe.without(MixedPrecision))
    return source if source is not None and source.measured else None


def _attempts(found: Inside, source: Candidate) -> tuple[Attempt, ...] | None:
    """What is worth trying with a candidate; None as long as a profile is missing."""
    own = loaders.analysis(source, AnalysisKind.PROFILE)
    if own is None or found.float_profile is None:
        return None
    layers = [row.layer for row in layer_rows(source.recipe, own, found.float_profile, None)]
    precisions = precisions_of(source.recipe, layers)
    made = []
    for left in tries(found.float_profile, own):
        mix = {**precisions, **dict.fromkeys(left, Precision.FP32)}
        recipe = with_precisions(source.recipe, mix)
        known = loaders.candidate_of(source.task, recipe)
        made.append(
            Attempt(layers=left, recipe=recipe, candidate=known, trial=_trial(left, known, source))
        )
    return tuple(made)


def _trial(layers: tuple[str, ...], known: Candidate | None, source: Candidate) -> Trial | None:
    if known is None or known.latency is None or source.latency is None:
        return None
    return compared(layers, known.latency, source.latency)


def _under_way(task: Task, recipe: Recipe) -> bool:
    wanted = recipe.to_dict()
    return any(
        job.payload.get("recipe") == wanted for job in loaders.live_jobs(task.name, JobKind.MAKE)
    )


def _named(layers: tuple[str, ...]) -> str:
    if len(layers) == 1:
        return f"the layer {layers[0]} is"
    more = ", ..." if len(layers) > MOST_NAMED else ""
    return f"{len(layers)} layers ({', '.join(layers[:MOST_NAMED])}{more}) are"


def _count(layers: tuple[str, ...]) -> str:
    return f"the layer {layers[0]}" if len(layers) == 1 else f"{len(layers)} layers"

"""Placement: layers that are slower in INT8 stay in float, if the clock confirms it.

Profiles name the layers; each trial is an ordinary candidate, made and measured in the background.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard import loaders
from dashboard.layers.inside import Inside
from dashboard.layers.layer_mix import measure
from dashboard.words import words
from dashboard.words.markup import plain
from optim.analysis.placement_attempts import Attempt, attempts, following
from optim.candidate import Candidate
from optim.jobs.job import JobKind
from optim.recipe import INTEGER_PRECISIONS, MixedPrecision, Recipe
from optim.store.analyses import AnalysisKind
from optim.task.task import Task

MOST_NAMED = 3


def panel(task: Task, found: Inside) -> None:
    """Draw the attempts, what they gave, and the button for the next one."""
    source = _source(found.candidate)
    if source is None:
        return
    made = _attempts(found, source)
    if made is None:
        return
    with st.container(border=True, gap="small", key="placement"):
        for sentence in sentences(source, made):
            st.markdown(plain(sentence))
        upcoming = following(made)
        if upcoming is not None and not _under_way(task, upcoming.recipe):
            st.button(
                f"Leave in float what is slower in {source.recipe.precision.upper()}, and prove it",
                key="place",
                icon=":material/timer:",
                on_click=measure,
                args=(task.name, upcoming.recipe, source.id),
            )


def sentences(source: Candidate, made: tuple[Attempt, ...]) -> list[str]:
    """Return what is known of the attempts in words; one sentence for each that is settled."""
    name = source.recipe.precision.upper()
    if not made:
        return [f"Nothing is slower in {name} here: no layer takes longer than in FP32."]
    said = [_settled(attempt, name) for attempt in made if attempt.is_settled]
    upcoming = following(made)
    if upcoming is not None:
        said.append(
            f"By the profiles {_named(upcoming.layers)} slower in {name} than in FP32. Profiles "
            "do not show what conversions around them would cost: only a measured file does."
        )
    elif not any(attempt.is_faster for attempt in made):
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


def _source(candidate: Candidate) -> Candidate | None:
    """Return the measured candidate with integers throughout that this one is, or is a mix of."""
    if candidate.recipe.precision not in INTEGER_PRECISIONS:
        return None
    source = loaders.candidate_of(candidate.task, candidate.recipe.without(MixedPrecision))
    return source if source is not None and source.measured else None


def _attempts(found: Inside, source: Candidate) -> tuple[Attempt, ...] | None:
    """Return what is worth trying with a candidate; None as long as a profile is missing."""
    own = loaders.analysis(source, AnalysisKind.PROFILE)
    if own is None or found.float_profile is None:
        return None
    known = partial(loaders.candidate_of, source.task)
    return attempts(source, own, found.float_profile, known)


def _under_way(task: Task, recipe: Recipe) -> bool:
    return any(job.recipe == recipe for job in loaders.live_jobs(task.name, JobKind.MAKE))


def _named(layers: tuple[str, ...]) -> str:
    if len(layers) == 1:
        return f"the layer {layers[0]} is"
    more = ", ..." if len(layers) > MOST_NAMED else ""
    return f"{len(layers)} layers ({', '.join(layers[:MOST_NAMED])}{more}) are"


def _count(layers: tuple[str, ...]) -> str:
    return f"the layer {layers[0]}" if len(layers) == 1 else f"{len(layers)} layers"

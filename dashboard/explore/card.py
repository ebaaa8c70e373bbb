"""The card of one candidate: its figures beside the original's, its file, and how to make it."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from dashboard import loaders
from dashboard.explore.card_buttons import buttons, layers_link
from dashboard.explore.card_figures import facts, metrics
from dashboard.explore.card_sentences import sentences
from dashboard.state import keys as state
from dashboard.words import story, words
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.candidate import Candidate
from optim.search.pareto import Front
from optim.search.recommend import Recommendation
from optim.task.task import Task

BADGE_COLOURS: dict[str, Literal["green", "blue", "gray", "orange"]] = {
    "on the front": "green",
    "tied with the front": "blue",
    "dominated": "gray",
    "out of limits": "orange",
    "not measured": "gray",
}


def card(candidate: Candidate, front: Front, advice: Recommendation | None, task: Task) -> None:
    """Draw the card."""
    baseline = front.baseline
    recommended = advice is not None and advice.candidate == candidate
    with st.container(border=True, key="card", gap="small"):
        _title(candidate, front, recommended=recommended)
        if candidate.refusal is not None:
            st.warning(plain(str(candidate.refusal)), icon=":material/block:")
            return
        if candidate.artifact is None:
            st.caption("This candidate is not made yet; its job is on the Jobs page.")
            return
        metrics(candidate, baseline)
        st.markdown(sentences(candidate, front, advice if recommended else None, task))
        _why_slower(candidate, task)
        _rounds(candidate, task)
        buttons(candidate, task)
        _details(candidate, baseline)


def _title(candidate: Candidate, front: Front, *, recommended: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        name = candidate.words()
        st.markdown(f"## {plain(name[0].upper() + name[1:])}", width="content")
        provenance = words.provenance(candidate)
        recorded = provenance != "measured"
        st.badge(
            provenance,
            icon=":material/history:" if recorded else ":material/verified:",
            color="orange" if recorded else "green",
            help=what_is("Recorded") if recorded else None,
        )
        place = story.standing(candidate, front)
        st.badge(place, color=BADGE_COLOURS[place])
        if recommended:
            st.badge("recommended", icon=":material/thumb_up:", color="primary")


def _why_slower(candidate: Candidate, task: Task) -> None:
    """Explain a quantized file that is slower than its own float parent, always."""
    parent = loaders.candidate_of(task.name, candidate.recipe.training_prefix())
    ratio = story.slower_than_float(candidate, parent)
    if ratio is None:
        return
    diagnosis = loaders.diagnosis(candidate)
    told = diagnosis.sentences[0] if diagnosis else story.WHY_WHOLE_NUMBERS_MAY_BE_SLOW
    with st.container(border=True, gap="xsmall", key="slower"):
        st.markdown(
            f":material/speed: **{words.times(ratio)} slower than the same network in FP32.** "
            f"{plain(told)}"
        )
        layers_link(candidate, task, "Find out why, layer by layer")


def _rounds(candidate: Candidate, task: Task) -> None:
    """Draw links to the rounds of pruning before this one: each is a candidate of its own."""
    earlier, found = candidate.recipe.earlier_round(), []
    while earlier is not None:
        known = loaders.candidate_of(task.name, earlier)
        found += [known] if known is not None and known.measured else []
        earlier = earlier.earlier_round()
    if not found:
        return
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key="earlier_rounds"
    ):
        st.caption("Earlier rounds:", width="content")
        for each in reversed(found):
            lost = words.score_lost(each.score)
            st.button(
                f"{words.percent(each.recipe.pruning_ratio, n=100)}: {lost}",
                key=f"round_{each.id}",
                type="tertiary",
                icon=":material/history:",
                on_click=state.select,
                args=(each.id,),
            )


def _details(candidate: Candidate, baseline: Candidate | None) -> None:
    with st.expander("What changed, and how it was measured", key="details"):
        for sentence in story.what_changed(candidate.recipe):
            st.markdown(f"- {plain(sentence)}")
        st.table(facts(candidate, baseline), border="horizontal", hide_header=True)

"""The card of one candidate: its figures beside the original's, its file, and how to make it."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from dashboard import live, loaders
from dashboard.form import recipe_popover
from dashboard.state import keys as state
from dashboard.words import story, words
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.candidate import Candidate, Role
from optim.errors import OptimError
from optim.recipe import Recipe, Replace
from optim.report.sparse_words import sparse_words
from optim.search.headlines import outcome
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
        _metrics(candidate, baseline)
        _sentences(candidate, front, advice if recommended else None, task)
        _why_slower(candidate, task)
        _rounds(candidate, task)
        _buttons(candidate, task)
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


def _metrics(candidate: Candidate, baseline: Candidate | None) -> None:
    accuracy, latency, artifact = candidate.score, candidate.latency, candidate.artifact
    original = candidate.role is Role.BASELINE
    unrest = latency is not None and latency.unrest > 1
    boxes = st.columns(4, gap="small")
    boxes[0].metric(
        "Accuracy",
        words.accuracy(accuracy),
        None if original or not accuracy else words.lost(accuracy.difference, n=accuracy.n),
        delta_color="off",
        delta_arrow="off",
        help=f"{what_is('Accuracy')} {words.accuracy_interval(accuracy)}.",
    )
    boxes[1].metric(
        "Latency, p50",
        words.latency(latency.p50_ms if latency else None),
        None if original or not latency else words.faster(latency.speedup),
        delta_color="normal" if latency and latency.speedup > 1.05 and not unrest else "off",
        delta_arrow="off",
        help=f"{what_is('p50')} {words.latency_spread(latency)}.",
    )
    base = baseline.artifact if baseline else None
    ratio = base.size_bytes / artifact.size_bytes if base and artifact else None
    boxes[2].metric(
        "File",
        words.size(artifact.size_bytes if artifact else None),
        None if original else words.smaller(ratio),
        delta_color="normal" if ratio and ratio > 1.05 else "off",
        delta_arrow="off",
        help=what_is("File size"),
    )
    boxes[3].metric(
        "Changed answers",
        "–" if accuracy is None else f"{accuracy.changed:,}",
        None
        if original or not accuracy
        else f"{accuracy.worse:,} worse, {accuracy.better:,} better",
        delta_color="off",
        delta_arrow="off",
        help=what_is("Changed answers"),
    )


def _sentences(
    candidate: Candidate, front: Front, advice: Recommendation | None, task: Task
) -> None:
    """What the figures mean, in words."""
    sentences = []
    if advice is not None:
        sentences += [f"**Why this one:** {plain(advice.reason)}", plain(advice.doubt)]
    broken = front.broken.get(candidate.id, ())
    if broken:
        sentences.append(f"Out of your limits: it {plain('; '.join(broken))}.")
    if candidate.role is not Role.BASELINE and candidate.score is not None:
        sentences.append(_difference(candidate))
    latency = candidate.latency
    if advice is None and latency is not None:
        sentences.append(latency.unrest_words())
    tied = front.tied_with(candidate.id)
    known = {c.id: c.words() for c in front.measured}
    sentences += _promises(candidate, front.baseline, task)
    if candidate.recipe.step(Replace) is not None and candidate.role is not Role.CONTROL:
        sentences.append(plain(story.another_architecture(candidate.recipe)))
    if front.baseline is not None:
        sentences.append(plain(sparse_words(candidate, front.baseline)))
    if tied:
        others = ", ".join(plain(known[name]) for name in tied[:3] if name in known)
        sentences.append(f"Not distinguishable from: {others}.")
    st.markdown(" ".join(filter(None, sentences)))


def _promises(candidate: Candidate, baseline: Candidate | None, task: Task) -> list[str]:
    """Whether this candidate keeps on this machine what its headline promises."""
    found = (outcome(each, candidate, baseline) for each in loaders.headlines(task))
    return [
        f":material/{'verified' if each.kept else 'error'}: {plain(each.words).capitalize()}."
        for each in found
        if each is not None
    ]


def _rounds(candidate: Candidate, task: Task) -> None:
    """Links to the rounds of pruning before this one: each is a candidate of its own."""
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
            accuracy = each.score
            lost = words.lost(accuracy.difference, n=accuracy.n) if accuracy else words.NOTHING
            st.button(
                f"{words.percent(each.recipe.pruning_ratio, n=100)}: {lost}",
                key=f"round_{each.id}",
                type="tertiary",
                icon=":material/history:",
                on_click=state.select,
                args=(each.id,),
            )


def _why_slower(candidate: Candidate, task: Task) -> None:
    """A quantized file that is slower than its own float parent is explained, always."""
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
        _layers_link(candidate, task, "Find out why, layer by layer")


def _layers_link(candidate: Candidate, task: Task, label: str) -> None:
    st.page_link(
        state.LAYERS,
        label=label,
        icon=":material/layers:",
        query_params={state.MODEL: task.name, state.CANDIDATE: candidate.id},
    )


def _difference(candidate: Candidate) -> str:
    accuracy = candidate.score
    assert accuracy is not None  # asked by the caller
    if accuracy.changed == 0:
        return "Every answer is as before."
    chance = f"p = {accuracy.p_value:.2g}" if accuracy.p_value >= 1e-6 else "p < 0.000001"
    if accuracy.tied_with_baseline:
        return f"The accuracy is **tied** with the original: the difference may be luck ({chance})."
    kind = "loss" if accuracy.difference < 0 else "gain"
    return f"The {kind} of accuracy is **real**, not luck ({chance})."


def _buttons(candidate: Candidate, task: Task) -> None:
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key="card_buttons"
    ):
        st.download_button(
            "Download ONNX",
            lambda: _file(candidate),
            file_name=f"{task.name}-{candidate.id}.onnx",
            mime="application/octet-stream",
            key="download_onnx",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "Recipe",
            candidate.recipe.to_yaml,  # called on a click: a file made now may be gone by then
            file_name=f"{task.name}-{candidate.id}.yaml",
            mime="application/yaml",
            key="download_recipe",
            icon=":material/receipt_long:",
            on_click="ignore",
        )
        recipe_popover.command_popover(task, candidate.recipe)
        st.button(
            "Measure again",
            key="measure_again",
            type="tertiary",
            icon=":material/refresh:",
            on_click=_measure_again,
            args=(candidate.id,),
        )
        _layers_link(candidate, task, "Layers")
        if candidate.role is not Role.BASELINE:
            st.page_link(
                state.COMPARE,
                label="Compare with original",
                icon=":material/compare_arrows:",
                query_params=_comparison(candidate, task),
            )
            if state.fits_sliders(candidate.recipe, task):
                st.button(
                    "Use these settings",
                    key="use_settings",
                    type="tertiary",
                    icon=":material/tune:",
                    on_click=state.set_sliders,
                    args=(candidate.recipe, task),
                )


def _file(candidate: Candidate) -> bytes:
    """The very file that was measured: its hash is checked before it leaves."""
    artifact = candidate.artifact
    assert artifact is not None  # the button is drawn for made candidates only
    artifact.verify()
    return artifact.path.read_bytes()


def _measure_again(candidate_id: str) -> None:
    try:
        live.watch(loaders.workspace().submit_measure(candidate_id))
    except OptimError as error:
        live.say(str(error))


def _comparison(candidate: Candidate, task: Task) -> dict[str, str]:
    baseline = loaders.baseline(task.name)
    ids = [baseline.id] if baseline else []
    return {state.MODEL: task.name, state.IDS: ",".join([*ids, candidate.id])}


def _details(candidate: Candidate, baseline: Candidate | None) -> None:
    with st.expander("What changed, and how it was measured", key="details"):
        for sentence in story.what_changed(candidate.recipe):
            st.markdown(f"- {plain(sentence)}")
        st.table(facts(candidate, baseline), border="horizontal", hide_header=True)


def facts(candidate: Candidate, baseline: Candidate | None) -> dict[str, list[str]]:
    """Everything else that is known, as names and values."""
    latency, accuracy = candidate.latency, candidate.score
    artifact, graph = candidate.artifact, candidate.facts
    rows = {
        "Accuracy": words.accuracy_interval(accuracy),
        "Relative change": words.relative_change(accuracy, baseline.score if baseline else None),
        "Speed-up": words.speedup_interval(latency),
        "Latency": words.latency_spread(latency),
        "Noise floor (A/A)": words.noise_floor(latency),
        "Cold start": words.latency(latency.cold_start_ms if latency else None),
        "Compressed file": words.size(artifact.compressed_bytes if artifact else None),
        "Parameters": words.count(graph.parameters if graph else None),
        "Multiply-accumulates": words.count(graph.macs if graph else None),
        "Left in float": words.float_operators(graph),
        "Measured on": words.environment(latency.environment) if latency else words.NOTHING,
        "Made from": lineage(candidate.recipe),
        "Making took": words.duration(candidate.seconds),
        "Came with the sample": "yes" if candidate.starter else "no, made here",
        "SHA-256 of the file": artifact.sha256 if artifact else words.NOTHING,
        "Candidate": candidate.id,
    }
    return {"what": list(rows), "value": [plain(value) for value in rows.values()]}


def lineage(recipe: Recipe) -> str:
    """The chain of recipes that this one's file comes from."""
    chain = ["original, FP32"]
    prefix = recipe.training_prefix()
    for step in (prefix, recipe):
        if step.steps and step.words() != chain[-1]:
            chain.append(step.words())
    return " → ".join(chain)

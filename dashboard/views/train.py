"""Distill & train: how trainings go with and without a teacher, and whether it was worth it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from dashboard import live, loaders
from dashboard.charts import PLOT_CONFIG
from dashboard.charts.training import drawn, network_name, training_alt, training_figure
from dashboard.state import keys as state
from dashboard.state import training_keys as keys
from dashboard.train import controls as training_controls
from dashboard.train import learning_order, training_budgets
from dashboard.train import words as training_words
from dashboard.train.experiments import share_of
from dashboard.train.terms import what_it_is
from dashboard.words import words
from dashboard.words.markup import plain
from optim.candidate import Candidate
from optim.jobs.job import JobKind
from optim.recipe.edit import without_teacher
from optim.task.task import Task
from optim.training_history.distillation_gain import Pair, pairs
from optim.training_history.history import Training, network_words

MOST_VERDICTS = 6
# Colours of the badge; a teacher that hurts is orange.
FINDINGS: dict[str, Literal["green", "gray"]] = {training_words.HELPS: "green", "tied": "gray"}


def page() -> None:
    """Draw the page."""
    task = loaders.task(state.model())
    live.begin(task.name)
    st.title("Distill & train", anchor=False)
    st.caption(
        f"{plain(task.title)} · quantize first, then prune; a teacher gives back some of what that "
        "costs. Here it is seen how much."
    )
    live.show_note()
    if task.untrainable is not None:
        st.info(plain(str(task.untrainable)), icon=":material/block:")
        return
    rows = loaders.trainings(task.name)
    if state.is_narrow():  # where columns become rows, the answer comes before the controls
        answer, left, below = st.container(), st.container(), st.container()
    else:
        left, right = st.columns([0.3, 0.7], gap="medium")
        answer, below = right.container(), right.container()
    with left:
        training_controls.panel(task)
    with answer:
        live.jobs_panel(task.name, (JobKind.PREBUILT,), key="first_figures")
        _result(task)
        _verdict(task, rows)
        _curves(task, rows)
    with below:
        rounds, data = st.columns(2, gap="medium")
        with rounds:
            training_budgets.rounds_panel(task, rows)
        with data:
            training_budgets.data_efficiency_panel(task, rows)
    _table(task, rows)
    learning_order.strip(task)


def _result(task: Task) -> None:
    """Draw the result of the training that was asked for here last."""
    found = loaders.find(task.name, state.selected())
    if found is None or not found.measured or not found.recipe.training_steps():
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="result"):
        st.markdown(
            f":material/check_circle: **{plain(_title(found))}**: "
            f"{plain(words.versus_baseline(found, loaders.baseline(task.name)))}, measured on the "
            "test examples."
        )
        st.page_link(
            state.EXPLORE,
            label="See it on the front",
            icon=":material/scatter_plot:",
            query_params={state.MODEL: task.name, state.CANDIDATE: found.id},
        )


def _title(candidate: Candidate) -> str:
    name = candidate.words()
    return name[0].upper() + name[1:]


def _verdict(task: Task, rows: Sequence[Training]) -> None:
    """Draw the sentence on the pair that the controls are about, or on the newest one."""
    n = loaders.validation_examples(task.name)
    known = [pair for pair in pairs(rows) if pair.at_equal_epochs(n) is not None]
    st.header("Was the teacher worth it?", anchor=False)
    if not known:
        st.markdown(
            "Not known yet: no network of this model was trained both with a teacher and without. "
            "**Train both** runs one after the other, with the same data, epochs and seed."
        )
        return
    chosen = _chosen(task, known)
    with st.container(gap="xsmall", key="verdict"):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.markdown(f"**{plain(training_words.title(chosen))}**", width="content")
            found = training_words.finding(chosen, n)
            st.badge(found, color=FINDINGS.get(found, "orange"))
        st.markdown(_sentence(chosen, n))
        st.caption(plain(training_words.doubt(chosen, n)))
    others = [pair for pair in reversed(known) if pair is not chosen][:MOST_VERDICTS]
    if others:
        with st.expander(f"{len(others)} more pair{'s' if len(others) > 1 else ''}"):
            for pair in others:
                st.markdown(f"- **{plain(training_words.title(pair))}.** {_sentence(pair, n)}")


def _sentence(pair: Pair, n: int) -> str:
    return plain(training_words.verdict(pair, n))


def _chosen(task: Task, known: Sequence[Pair]) -> Pair:
    """Return the pair of the controls if trained, else one of the same network, else the newest."""
    recipe = keys.settings().recipe(task).training_prefix()
    own = [pair for pair in known if pair.with_teacher.recipe == recipe]
    network = network_words(recipe)
    alike = [pair for pair in known if pair.with_teacher.network == network]
    return (own or alike or list(known))[-1]


def _curves(task: Task, rows: Sequence[Training]) -> None:
    share = share_of(keys.settings()) / 100
    known = [row for row in rows if row.moments and row.data_share == share]
    if not known:
        _nothing_trained(task)
        return
    usual: keys.Axis = "epochs" if all(row.shipped for row in known) else "seconds"
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        against = st.segmented_control(
            "Against",
            keys.AXES,
            default=usual,
            required=True,
            key=keys.AGAINST,
            bind="query-params",
            persist_state="session",
            label_visibility="collapsed",
        )
        which = st.segmented_control(
            "Networks",
            (keys.ALL, keys.THIS),
            default=keys.ALL,
            required=True,
            key=keys.SHOWN,
            bind="query-params",
            persist_state="session",
            label_visibility="collapsed",
        )
    network = network_words(keys.settings().recipe(task))
    if which == keys.THIS:
        known = [row for row in known if row.network == network]
    shown = drawn(known, network)
    if not shown:
        st.info(
            f"No training of “{plain(network_name(network))}” yet. Press **Train both**.",
            icon=":material/school:",
        )
        return
    n, original = loaders.validation_examples(task.name), original_accuracy(task)
    st.plotly_chart(
        training_figure(
            shown,
            n=n,
            original=original,
            against=against,
            focus=network,
            narrow=state.is_narrow(),
            dark=state.is_dark(),
        ),
        theme=None,
        key="training",
        config=PLOT_CONFIG,
        alt=training_alt(shown, n=n, original=original),
    )
    st.caption(_where(task, n, left_out=len(known) - len(shown)))


def original_accuracy(task: Task) -> float:
    """Return the original's accuracy on validation, 0..1."""
    return task.validation_score


def _where(task: Task, n: int, *, left_out: int) -> str:
    """Return where the figures come from."""
    cpu = plain(loaders.environment().cpu)
    parts = [
        f"Accuracy on {n:,} validation examples, never on test examples; bars are 95 % intervals",
        f"seconds are those of training and validating on {cpu}, or where the sample's own "
        "networks were trained; the teacher's answers are asked once, before",
    ]
    if left_out:
        parts.append(f"{left_out} older trainings are in the table alone")
    share = share_of(keys.settings())
    if share < 100:
        parts.append(f"shown are those on {share} % of the data")
    return ". ".join(part[0].upper() + part[1:] for part in parts) + "."


def _nothing_trained(task: Task) -> None:
    recipe, share = keys.settings().recipe(task), share_of(keys.settings())
    with st.container(border=True, key="empty"):
        on_less = "" if share == 100 else f" on {share} % of the data"
        st.markdown(f"## No training{on_less} yet")
        st.markdown(
            "Here the accuracy of a small network grows, epoch by epoch, once with a teacher and "
            "once without. Choose a student, or take the one on the left."
        )
        st.button(
            "Train both now",
            key="begin",
            icon=":material/play_arrow:",
            on_click=training_controls.train,
            args=(task.name, (recipe, without_teacher(recipe))),
        )
        st.caption("You may close this tab: the work goes on, and this address shows it again.")


def _table(task: Task, rows: Sequence[Training]) -> None:
    if not rows:
        return
    with st.expander(f"All trainings: {len(rows)}", key="all_trainings"):
        st.dataframe(
            training_words.table(rows, loaders.validation_examples(task.name)),
            hide_index=True,
            key="training_table",
        )
        st.caption(what_it_is("Kept"))


if __name__ == "__main__":  # streamlit runs it so; a test imports it
    page()

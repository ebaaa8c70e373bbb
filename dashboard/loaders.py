"""The only file that caches.

Candidates and fronts are frozen values, shared by every session and never changed, so they are kept
as resources: a cache that copies would throw their computed intervals away on each rerun. What is
kept belongs to one version of the store; a new figure makes a new version. Models are never kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from dashboard.state import keys as state
from dashboard.words import story
from dashboard.words.story import Lesson
from optim.candidate import Candidate, Role
from optim.devices.environment import Environment
from optim.errors import OptimError
from optim.jobs.job import Job, JobKind, JobState
from optim.recipe import Recipe
from optim.search.hypervolume import HypervolumeStep, hypervolume_history
from optim.search.named_presets import NamedPreset
from optim.search.named_presets import named_presets as read_named_presets
from optim.search.pareto import Front, Limits, Objective, ranked_front
from optim.search.predict import Prediction, predict
from optim.search.recommend import Recommendation, recommend
from optim.store.analyses import AnalysisKind
from optim.task.datasets import Split
from optim.task.task import Task
from optim.training_history.history import Training
from optim.training_history.history import trainings as trainings_of
from optim.workspace import Workspace, default_folder

if TYPE_CHECKING:
    from optim.analysis.allocation import Allocation, Cost
    from optim.analysis.diagnosis import Diagnosis
    from optim.analysis.sensitivity import Sensitivity

MOST_JOBS = 200
MOST_BUDGETS = 25


def workspace() -> Workspace:
    """Return the workspace that ``dashboard.launch`` names, on the target that is chosen.

    Raises:
        WorkspaceError: read-only, full disk, or written by a newer version.
    """
    return _opened().on(state.target())


@st.cache_resource(show_spinner=False)
def _opened() -> Workspace:
    return Workspace(default_folder())


def task(name: str) -> Task:
    """Return a task by its name.

    Raises:
        UnknownTaskError: if there is none.
    """
    return workspace().task(name)


def task_titles() -> dict[str, str]:
    """Return the title of each task by name: samples first, then the workspace's own."""
    return {task.name: task.title for task in workspace().tasks()}


def environment() -> Environment:
    """Return the environment in which the shown figures are measured."""
    return workspace().environment


def candidates(task: str) -> tuple[Candidate, ...]:
    """Return every candidate of a task, baseline first, as of now."""
    return _candidates_now(task)[1]


def unread(task: str) -> str:
    """Return a sentence on what a newer version wrote and the pages leave out, or nothing."""
    now, _ = _candidates_now(task)
    return _unread(*now, task, _workspace=workspace())


def baseline(task: str) -> Candidate | None:
    """Return the network as it was trained, once the workspace knows it."""
    return next((c for c in candidates(task) if c.role is Role.BASELINE), None)


def find(task: str, candidate_id: str | None) -> Candidate | None:
    """Return a candidate of this task by its id."""
    return next((c for c in candidates(task) if c.id == candidate_id), None)


def candidate_of(task: str, recipe: Recipe) -> Candidate | None:
    """Return the candidate that this recipe gives, if the workspace knows it."""
    return next((c for c in candidates(task) if c.recipe == recipe), None)


def front(task: str, limits: Limits) -> Front:
    """Return the candidates of a task, ranked in latency, size and accuracy together."""
    now, rows = _candidates_now(task)
    return _front(*now, task, limits, _candidates=rows)


def recommendation(task: str, limits: Limits) -> Recommendation | None:
    """Return the recommendation within the limits, the runner-up, and what speaks against it."""
    now, rows = _candidates_now(task)
    return _recommendation(*now, task, limits, _candidates=rows)


def prediction(task: str, recipe: Recipe) -> Prediction | None:
    """Return the prediction for a recipe."""
    now, rows = _candidates_now(task)
    return _prediction(*now, task, recipe.fingerprint, recipe, _candidates=rows)


def volume_history(task: str) -> tuple[HypervolumeStep, ...]:
    """Return the hypervolume after each measured candidate."""
    now, rows = _candidates_now(task)
    return _history(*now, task, _candidates=rows)


def lessons(task: str) -> tuple[Lesson, ...]:
    """Return what the figures of this task teach."""
    now, rows = _candidates_now(task)
    return _lessons(*now, task, _workspace=workspace(), _candidates=rows)


def named_presets(task: Task) -> tuple[NamedPreset, ...]:
    """Return the named presets of a task; none if their file is broken, which the picker says."""
    try:
        return read_named_presets(task)
    except OptimError:
        return ()


def jobs() -> tuple[Job, ...]:
    """Return the queue, newest first; never cached, for progress is not part of the version."""
    return workspace().jobs(limit=MOST_JOBS)


def live_jobs(task: str, *kinds: JobKind) -> tuple[Job, ...]:
    """Return jobs of a task that wait or run, newest first."""
    return tuple(
        job for job in jobs() if job.live and job.kind in kinds and job.payload.get("task") == task
    )


def trainings(task: str) -> tuple[Training, ...]:
    """Return the epochs of every training of a task."""
    now, rows = _candidates_now(task)
    jobs = live_jobs(task, JobKind.MAKE)
    asked = tuple((job.id, job.state, job.recipe) for job in jobs if job.recipe is not None)
    return _trainings(*now, task, asked, _workspace=workspace(), _candidates=rows)


def analysis(candidate: Candidate | None, kind: AnalysisKind) -> Any:
    """Return an analysis of a candidate's file, of the type of its kind; None if there is none."""
    return None if candidate is None else workspace().analysis_of(candidate.id, kind)


def diagnosis(candidate: Candidate) -> Diagnosis | None:
    """Return why a file is as fast as it is; None if nobody has profiled it."""
    from optim.analysis.diagnosis import diagnose_candidate

    profile = analysis(candidate, AnalysisKind.PROFILE)
    if profile is None:
        return None
    parent = candidate_of(candidate.task, candidate.recipe.training_prefix())
    return diagnose_candidate(
        candidate,
        profile,
        parent,
        analysis(parent, AnalysisKind.PROFILE),
        workspace().target.load_engine().explainer,
        candidates(candidate.task),
    )


def allocations(parent: Candidate, sensitivity: Sensitivity, cost: Cost) -> tuple[Allocation, ...]:
    """Return the mixes of a float candidate with least error, from the cheapest to the dearest.

    Raises:
        RefusedError: if the budget is one of time, and layers were not timed.
    """
    return _allocations(*_now(workspace()), parent.id, str(cost), _sensitivity=sensitivity)


def predictions(candidate: Candidate) -> np.ndarray | None:
    """Return the predicted class of each test example, shape (n,); None if not known."""
    return workspace().predictions_of(candidate.id)


def _candidates_now(task: str) -> tuple[tuple[str, int], tuple[Candidate, ...]]:
    """Return the candidates of a task with what they belong to."""
    source = workspace()
    now = _now(source)
    return now, _candidates(*now, task, _workspace=source)


def _now(source: Workspace) -> tuple[str, int]:
    """Return what cached figures belong to: a workspace on a target, and its version."""
    return f"{source.path} on {source.environment.fingerprint}", source.version()


@st.cache_resource(show_spinner=False, max_entries=2)
def test_split(task: str) -> Split:
    """The test examples of a task."""
    return workspace().task(task).split("test")


@st.cache_resource(show_spinner=False)
def validation_examples(task: str) -> int:
    """Return the number of validation examples of a task."""
    return len(workspace().task(task).split("validation"))


@st.cache_resource(show_spinner=False, max_entries=16)
def _trainings(
    place: str,
    version: int,
    task: str,
    asked: tuple[tuple[str, JobState, Recipe], ...],
    *,
    _workspace: Workspace,
    _candidates: tuple[Candidate, ...],
) -> tuple[Training, ...]:
    return trainings_of(
        _workspace.task(task),
        _candidates,
        _workspace.training_log,
        running=[recipe for _, state, recipe in asked if state is JobState.RUNNING],
        waiting=[recipe for _, state, recipe in asked if state is not JobState.RUNNING],
    )


@st.cache_resource(show_spinner=False, max_entries=16)
def _candidates(
    place: str, version: int, task: str, *, _workspace: Workspace
) -> tuple[Candidate, ...]:
    return _workspace.candidates(task)


@st.cache_resource(show_spinner=False, max_entries=16)
def _unread(folder: str, version: int, task: str, *, _workspace: Workspace) -> str:
    return _workspace.unread(task)


@st.cache_resource(show_spinner=False, max_entries=32)
def _front(
    place: str, version: int, task: str, limits: Limits, *, _candidates: tuple[Candidate, ...]
) -> Front:
    return ranked_front(_candidates, tuple(Objective), limits)


@st.cache_resource(show_spinner=False, max_entries=32)
def _recommendation(
    place: str, version: int, task: str, limits: Limits, *, _candidates: tuple[Candidate, ...]
) -> Recommendation | None:
    return recommend(_candidates, limits)


@st.cache_resource(show_spinner=False, max_entries=256)
def _prediction(
    place: str,
    version: int,
    task: str,
    name: str,
    _recipe: Recipe,
    *,
    _candidates: tuple[Candidate, ...],
) -> Prediction | None:
    return predict(_recipe, _candidates)


@st.cache_resource(show_spinner=False, max_entries=8)
def _allocations(
    place: str, version: int, parent: str, cost: str, *, _sensitivity: Sensitivity
) -> tuple[Allocation, ...]:
    from optim.analysis.allocation import Cost, allocate

    return allocate(_sensitivity, Cost(cost)).spread(MOST_BUDGETS)


@st.cache_resource(show_spinner=False, max_entries=16)
def _history(
    place: str, version: int, task: str, *, _candidates: tuple[Candidate, ...]
) -> tuple[HypervolumeStep, ...]:
    return hypervolume_history(_candidates)


@st.cache_resource(show_spinner=False, max_entries=16)
def _lessons(
    place: str,
    version: int,
    task: str,
    *,
    _workspace: Workspace,
    _candidates: tuple[Candidate, ...],
) -> tuple[Lesson, ...]:
    loaded = _workspace.task(task)
    return story.lessons(_candidates, loaded.pruning.epochs, loaded.architecture)

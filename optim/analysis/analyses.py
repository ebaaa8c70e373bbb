"""Looking inside a candidate: the one place where a kind of analysis meets its algorithm."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from optim.analysis.pruning_curves import PruningCurves, measure_pruning_curves
from optim.analysis.sensitivity import Sensitivity, measure_sensitivity
from optim.analysis.waterfall import Waterfall, measure_waterfall
from optim.candidate import Candidate
from optim.engines.profile import Profile
from optim.errors import OptimError
from optim.measure.profile import profile
from optim.progress import Progress
from optim.store.analyses import Analyses, AnalysisKind
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.devices.target import Target
    from optim.store.results import Results

Analysis = Profile | Sensitivity | Waterfall | PruningCurves


def analyse(
    results: Results,
    task: Task,
    candidate: Candidate,
    kind: AnalysisKind,
    target: Target,
    *,
    progress: Progress = lambda share, words: None,
) -> Analysis:
    """Make an analysis of a finished candidate and keep it.

    Raises:
        OptimError: if the candidate has no file.
        RefusedError: if this analysis makes no sense for the candidate, with the reason.
    """
    if candidate.artifact is None:
        raise OptimError(f"{candidate.words()} has no file yet. Make it first, then look inside.")
    found: Analysis
    match kind:
        case AnalysisKind.PROFILE:
            example = task.example(target.batch)
            found = profile(candidate.artifact.path, example, target, progress=progress)
        case AnalysisKind.SENSITIVITY:
            found = measure_sensitivity(results, task, candidate, target, progress=progress)
        case AnalysisKind.WATERFALL:
            found = measure_waterfall(results, task, candidate, target, progress=progress)
        case AnalysisKind.PRUNING:
            found = measure_pruning_curves(results, task, candidate, target, progress=progress)
        case _:
            assert_never(kind)
    Analyses(results.folder).add(candidate.id, kind, target.fingerprint, found.to_dict())
    return found


def known_analysis(
    results: Results, candidate_id: str, kind: AnalysisKind, environment: str
) -> Analysis | None:
    """Return the newest analysis of this kind of the candidate's present file, or None."""
    content = Analyses(results.folder).get(candidate_id, kind, environment)
    if content is None:
        return None
    match kind:
        case AnalysisKind.PROFILE:
            return Profile.from_dict(content)
        case AnalysisKind.SENSITIVITY:
            return Sensitivity.from_dict(content)
        case AnalysisKind.WATERFALL:
            return Waterfall.from_dict(content)
        case AnalysisKind.PRUNING:
            return PruningCurves.from_dict(content)
        case _:
            assert_never(kind)

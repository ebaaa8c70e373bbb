from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from optim.artifact import Artifact, GraphFacts, store_artifact
from optim.candidate import Candidate, Role
from optim.devices.environment import Environment
from optim.errors import Refusal
from optim.jobs.job import JobKind
from optim.jobs.queue import JobQueue
from optim.measure.measurement import Latency, Moments, Score
from optim.recipe import Recipe, recipe_of
from optim.store import schema
from optim.store.results import Results
from optim.store.unread import unread_words

HERE = Environment(
    cpu="Test CPU",
    instructions=("avx2", "avx512_vnni"),
    cores=2,
    threads=1,
    engine="onnxruntime",
    engine_version="1.32.0",
)
THERE = replace(HERE, cpu="Another CPU")
FACTS = GraphFacts(parameters=1000, macs=5000, float_operators={"Conv": 2}, operators=7)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path)


def make(results: Results, name: str = "c0ffee000001", content: bytes = b"model") -> Artifact:
    results.add(name, "task", recipe_of(precision="int8"), Role.CANDIDATE, False)
    artifact = store_artifact(content, results.artifacts)
    results.finish(name, artifact, FACTS, 1.5)
    return artifact


def latency(*, value_ms: float = 1.0, environment: Environment = HERE, seed: int = 0) -> Latency:
    rng = np.random.default_rng(seed)
    samples = rng.normal(value_ms, 0.01, (3, 15, 20)).astype(np.float32)
    return Latency(
        baseline_ms=samples[0] * 3,
        candidate_ms=samples[1],
        null_ms=samples[2] * 3,
        baseline_sha256="b" * 64,
        cold_start_ms=12.5,
        environment=environment,
    )


def accuracy(*, correct: int = 90, recorded: bool = False, split: str = "test") -> Score:
    return Score(
        n=100,
        correct=correct,
        worse=4,
        better=2,
        changed=8,
        split=split,
        baseline_sha256="b" * 64,
        recorded=recorded,
    )


def only(results: Results, environment: Environment = HERE) -> Candidate:
    (candidate,) = results.candidates("task", environment.fingerprint)
    return candidate


def test_a_candidate_comes_back_whole(results: Results) -> None:
    artifact = make(results)
    results.add_latency("c0ffee000001", latency())
    results.add_score("c0ffee000001", accuracy(), None)
    found = only(results)
    assert (found.id, found.task, found.role) == ("c0ffee000001", "task", Role.CANDIDATE)
    assert found.recipe == recipe_of(precision="int8")
    assert (found.artifact, found.facts, found.seconds) == (artifact, FACTS, 1.5)
    assert found.score == accuracy()
    assert found.measured
    assert found.latency is not None
    for name in ("baseline_ms", "candidate_ms", "null_ms"):
        np.testing.assert_array_equal(getattr(found.latency, name), getattr(latency(), name))
    assert found.latency.environment == HERE
    assert found.latency.cold_start_ms == 12.5
    assert found.latency.usual_ms is None
    assert results.candidate("c0ffee000001", HERE.fingerprint).score == accuracy()
    assert results.candidate("unknown", HERE.fingerprint) is None


def test_adding_twice_is_adding_once(results: Results) -> None:
    make(results)
    before, version = only(results), results.version()
    results.add("c0ffee000001", "task", recipe_of(precision="int8"), Role.CANDIDATE, True)
    assert only(results) == before
    assert results.version() == version


def test_the_baseline_comes_first_and_tasks_stay_apart(results: Results) -> None:
    results.add("a", "task", recipe_of(precision="int8"))
    results.add("b", "task", Recipe(), Role.BASELINE)
    results.add("c", "other", Recipe(), Role.BASELINE)
    assert [candidate.id for candidate in results.candidates("task", None)] == ["b", "a"]


def test_a_latency_counts_only_in_its_own_environment(results: Results) -> None:
    make(results)
    results.add_latency("c0ffee000001", latency(value_ms=1.0))
    results.add_latency("c0ffee000001", latency(value_ms=5.0, environment=THERE))
    assert only(results, HERE).latency.p50_ms == pytest.approx(1.0, abs=0.1)
    assert only(results, THERE).latency.p50_ms == pytest.approx(5.0, abs=0.1)
    assert results.candidates("task", None)[0].latency is None
    assert results.environments("task") == (THERE, HERE)


def test_the_newest_latency_counts(results: Results) -> None:
    make(results)
    for value in (3.0, 1.0, 2.0):
        results.add_latency("c0ffee000001", latency(value_ms=value))
    assert only(results).latency.p50_ms == pytest.approx(2.0, abs=0.1)


def test_the_usual_time_of_a_baseline_is_the_least_of_its_latest_dozen(results: Results) -> None:
    make(results)
    assert results.usual_baseline_ms("b" * 64, HERE.fingerprint) is None
    for value in (1.0, *(2.0 + 0.1 * i for i in range(12))):
        results.add_latency("c0ffee000001", latency(value_ms=value))
    usual = results.usual_baseline_ms("b" * 64, HERE.fingerprint)
    assert usual == pytest.approx(3 * 2.0, abs=0.1)
    assert results.usual_baseline_ms("b" * 64, THERE.fingerprint) is None
    assert results.usual_baseline_ms("d" * 64, HERE.fingerprint) is None


def test_an_accuracy_measured_here_beats_a_recorded_one(results: Results) -> None:
    make(results)
    results.add_score("c0ffee000001", accuracy(correct=91), None)
    results.add_score("c0ffee000001", accuracy(correct=92), None)
    results.add_score("c0ffee000001", accuracy(correct=95, recorded=True), None)
    results.add_score("c0ffee000001", accuracy(correct=99, split="validation"), None)
    assert only(results).score.correct == 92


def test_figures_belong_to_the_file_they_were_taken_from(results: Results) -> None:
    make(results)
    results.add_latency("c0ffee000001", latency())
    results.add_score("c0ffee000001", accuracy(), np.zeros(100, np.int64))
    make(results, content=b"another model")
    assert only(results).latency is None
    assert only(results).score is None
    assert results.predictions("c0ffee000001") is None
    make(results, content=b"model")
    assert only(results).measured


def test_predictions_come_back_as_bytes(results: Results) -> None:
    make(results)
    assert results.predictions("c0ffee000001") is None
    classes = np.random.default_rng(0).integers(0, 10, 100)
    results.add_score("c0ffee000001", accuracy(recorded=True), np.zeros(100, np.int64))
    results.add_score("c0ffee000001", accuracy(), classes)
    found = results.predictions("c0ffee000001")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, classes)


def test_predictions_that_do_not_fit_are_refused(results: Results) -> None:
    make(results)
    wrong = np.zeros(99, int)
    with pytest.raises(ValueError, match="predict"):
        results.add_score("c0ffee000001", accuracy(), wrong)
    assert only(results).score is None


@pytest.mark.parametrize(
    ("predictions", "kept"),
    [
        (np.arange(100) * 7, np.uint16),
        (np.full(100, 255), np.uint8),
        (np.full(100, -1), np.int64),
        (np.linspace(-1, 1, 600, dtype=np.float32).reshape(100, 2, 3), np.float32),
    ],
)
def test_predictions_of_any_kind_come_back_as_they_went_in(
    results: Results, predictions: np.ndarray, kept: type
) -> None:
    make(results)
    results.add_score("c0ffee000001", accuracy(), predictions)
    found = results.predictions("c0ffee000001")
    assert found.dtype == kept
    np.testing.assert_array_equal(found, predictions)


def test_a_score_that_is_no_share_comes_back_whole(results: Results) -> None:
    make(results)
    moments = Moments(
        mean=0.25, deviation=0.5, mean_difference=0.125, deviation_of_differences=0.75
    )
    score = Score(
        n=100, worse=60, better=40, changed=100, split="test", baseline_sha256="b", metric="mae",
        moments=moments,
    )  # fmt: skip
    results.add_score("c0ffee000001", score, None)
    assert only(results).score == score


def test_a_metric_of_a_newer_version_is_told_in_one_sentence_and_kept(results: Results) -> None:
    make(results)
    results.add_score("c0ffee000001", accuracy(), None)
    with schema.writing(results.folder) as store:
        store.execute("UPDATE accuracies SET metric = 'mean_iou'")
    assert results.candidates("task", HERE.fingerprint) == ()
    told = unread_words(results.unread("task", HERE.fingerprint))
    assert "metric must be one of accuracy" in told
    assert "'mean_iou'" in told
    assert told.endswith("it is kept, and left out until you update.")
    with schema.reading(results.folder) as store:
        assert store.execute("SELECT metric FROM accuracies").fetchone()[0] == "mean_iou"


def test_a_refusal_is_kept_until_the_file_is_made(results: Results) -> None:
    results.add("c0ffee000001", "task", recipe_of(precision="int8"))
    refusal = Refusal(reason="no layer can be pruned", remedy="Leave the step out.")
    results.refuse("c0ffee000001", refusal)
    assert only(results).refusal == refusal
    make(results)
    assert only(results).refusal is None


def test_a_figure_without_a_file_and_an_unknown_candidate_are_refused(results: Results) -> None:
    results.add("a", "task", Recipe())
    with pytest.raises(ValueError, match="Finish it first"):
        results.add_latency("a", latency())
    with pytest.raises(ValueError, match="Finish it first"):
        results.add_score("unknown", accuracy(), None)
    with pytest.raises(ValueError, match="Add it first"):
        results.refuse("unknown", Refusal(reason="why"))


def test_a_file_outside_the_workspace_is_refused(results: Results, tmp_path: Path) -> None:
    results.add("a", "task", Recipe())
    outside = store_artifact(b"model", tmp_path.parent / "elsewhere")
    with pytest.raises(ValueError, match="must lie in the workspace"):
        results.finish("a", outside, FACTS, None)


def test_a_moved_workspace_finds_its_files(results: Results, tmp_path: Path) -> None:
    make(results)
    moved = tmp_path.parent / "moved workspace"
    os.rename(tmp_path, moved)
    (found,) = Results(moved).candidates("task", None)
    found.artifact.verify()


def test_checkpoints_are_kept_by_their_prefix(results: Results) -> None:
    assert results.checkpoint("prefix") is None
    first = store_artifact(b"weights", results.artifacts, suffix=".safetensors")
    results.add_checkpoint("prefix", first)
    assert results.checkpoint("prefix") == first
    second = store_artifact(b"better weights", results.artifacts, suffix=".safetensors")
    results.add_checkpoint("prefix", second)
    assert results.checkpoint("prefix") == second


def test_the_version_grows_with_candidates_and_figures_but_not_with_jobs(
    results: Results, tmp_path: Path
) -> None:
    seen = [results.version()]
    for change in (
        lambda: results.add("c0ffee000001", "task", recipe_of(precision="int8")),
        lambda: make(results),
        lambda: results.add_latency("c0ffee000001", latency()),
        lambda: results.add_score("c0ffee000001", accuracy(), None),
        lambda: results.refuse("c0ffee000001", Refusal(reason="why")),
    ):
        change()
        seen.append(results.version())
    assert seen == sorted(set(seen))
    queue = JobQueue(tmp_path)
    queue.submit(JobKind.MAKE, "key", {}, "words")
    job, token = queue.claim("w")
    queue.progress(job.id, token, 0.5, "half way")
    queue.finish(job.id, token)
    assert results.version() == seen[-1]


def test_a_thousand_candidates_come_back_by_three_statements(
    quick_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results(quick_folder)
    artifact = store_artifact(b"model", results.artifacts)
    for i in range(1000):
        name = f"{i:012x}"
        results.add(name, "task", recipe_of(pruning_ratio=(i % 90 + 1) / 100, seed=i))
        results.finish(name, artifact, FACTS, None)
        results.add_latency(name, latency(seed=i))
        results.add_score(name, accuracy(correct=i % 100), np.full(100, i % 10))
    statements: list[str] = []
    connect = schema.connect

    def traced(folder: Path) -> sqlite3.Connection:
        connection = connect(folder)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(schema, "connect", traced)
    found = results.candidates("task", HERE.fingerprint)
    assert len(statements) == 3  # the version, the rows, and the latencies of other targets
    assert results.unread("task", HERE.fingerprint) == ()
    assert len(statements) == 5  # the version, and the environments
    assert [candidate.recipe.seed for candidate in found] == list(range(1000))
    assert all(candidate.measured for candidate in found)
    assert [candidate.score.correct for candidate in found] == [i % 100 for i in range(1000)]

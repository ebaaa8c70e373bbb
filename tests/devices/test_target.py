"""What is measured on is a value: checked, kept under the same name as ever, read from old jobs."""

import hashlib
import json
import sqlite3

import numpy as np
import pytest

from optim.candidate import candidate_id
from optim.devices.device import usable_cores
from optim.devices.target import Target, thread_choices
from optim.errors import EngineError, OptimError, TargetError
from optim.jobs.job import Job, JobKind, JobState
from optim.jobs.run import run_job
from optim.pipeline.make import make_candidate
from optim.recipe import Recipe
from optim.store.schema import STORE_NAME
from optim.task.task import load_task
from optim.workspace import Workspace

CORES = usable_cores()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"threads": 0}, f"threads must be 1 to {CORES}, the cores that may be used here; got 0"),
        ({"threads": CORES + 1}, f"got {CORES + 1}. Choose {CORES} for all of them."),
        ({"batch": 0}, "batch must be at least 1, got 0."),
        ({"device": "a pi"}, "the device must be 'here', got 'a pi'."),
    ],
)
def test_an_impossible_target_is_refused_in_one_sentence(options, sentence):
    with pytest.raises(TargetError) as caught:
        Target(**options)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_engine_is_refused_with_the_known_ones():
    with pytest.raises(EngineError, match=r"no engine 'npu'.*onnxruntime.*newer version"):
        Target(engine="npu")


def test_it_goes_through_json_and_old_jobs_mean_the_usual_one():
    target = Target(threads=CORES, batch=4)
    assert Target.from_dict(json.loads(json.dumps(target.to_dict()))) == target
    assert Target.from_dict(None) == Target()


@pytest.mark.parametrize(
    "data", [{"queue": 3}, {"threads": "two"}, {"threads": 1.5}, {"engine": []}, 7]
)
def test_what_a_newer_version_wrote_is_one_sentence(data):
    with pytest.raises(TargetError, match="newer version"):
        Target.from_dict(data)


def test_one_two_and_all_threads_are_offered():
    assert thread_choices()[0] == 1
    assert thread_choices()[-1] == CORES
    assert len(set(thread_choices())) == len(thread_choices()) <= 3


def test_every_part_of_it_makes_other_figures():
    usual = Target()
    assert Target().fingerprint == usual.fingerprint
    assert Target(batch=2).fingerprint != usual.fingerprint
    if CORES > 1:
        assert Target(threads=2).fingerprint != usual.fingerprint


def _facts_as_before() -> dict[str, object]:
    """The environment as it was written before there were targets."""
    now = Target().environment
    return {
        "cpu": now.cpu, "instructions": list(now.instructions), "cores": now.cores, "threads": 1,
        "engine": "onnxruntime", "engine_version": now.engine_version, "governor": now.governor,
    }  # fmt: skip


def test_an_old_workspace_keeps_its_figures_under_the_usual_target(tmp_path):
    facts, task = _facts_as_before(), load_task("motion-cnn")
    text = json.dumps(facts, sort_keys=True)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:12]
    assert Target().fingerprint == fingerprint
    workspace = Workspace(tmp_path)
    made = make_candidate(workspace.results, task, Recipe())
    times = np.full((3, 5), 0.25, np.float32)
    with sqlite3.connect(tmp_path / STORE_NAME) as store:
        store.execute(
            "INSERT INTO latencies (candidate, sha256, environment, environment_facts, rounds, "
            "baseline_ms, candidate_ms, null_ms, baseline_sha256, cold_start_ms, created) "
            "VALUES (?, ?, ?, ?, 3, ?, ?, ?, ?, 1.0, 0.0)",
            (made.id, made.artifact.sha256, fingerprint, json.dumps(facts), *[times.tobytes()] * 3,
             made.artifact.sha256),
        )  # fmt: skip
    found = workspace.candidate(candidate_id(task, Recipe()))
    assert found.latency.p50_ms == 0.25
    assert found.latency_on(Target()) is found.latency
    if CORES > 1:
        there = workspace.on(Target(threads=2)).candidate(found.id)
        assert there.latency is None
        assert there.latency_on(Target()).p50_ms == 0.25


def test_a_job_of_a_newer_version_fails_with_one_sentence(tmp_path):
    for target in ({"engine": "npu"}, {"threads": CORES + 1}, {"queue": 1}):
        payload = {"task": "motion-cnn", "recipe": Recipe().to_dict(), "target": target}
        job = Job(id="0" * 12, kind=JobKind.MAKE, key="k", payload=payload, words="w",
            state=JobState.RUNNING)  # fmt: skip
        with pytest.raises(OptimError) as caught:
            run_job(tmp_path, job, lambda share, words: None)
        assert "\n" not in str(caught.value)


def test_a_job_says_its_target_unless_it_is_the_usual_one(tmp_path, monkeypatch):
    monkeypatch.setattr(Workspace, "ensure_worker", lambda self: None)
    workspace = Workspace(tmp_path)
    usual = workspace.submit("motion-cnn", Recipe())
    assert usual.key.count(":") == 1
    other = workspace.on(Target(batch=2)).submit("motion-cnn", Recipe())
    assert other.id != usual.id
    assert other.words == f"{usual.words} (ONNX Runtime, 1 thread, batch 2)"
    assert Target.from_dict(other.payload["target"]) == Target(batch=2)

"""From the click to the solid point the store is asked before and after, not in between."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from optim.devices.target import Target
from optim.jobs import run as jobs
from optim.jobs.job import JobKind
from optim.jobs.queue import JobQueue
from optim.jobs.run import make_and_measure, run_job
from optim.measure import latency
from optim.pipeline import make
from optim.recipe import Recipe, recipe_of
from optim.store import analyses, results, training_log
from optim.store.results import Results
from tests.small_task import small_task


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    folder = tmp_path / "task"
    folder.mkdir()
    task = small_task(folder, windows=64)
    monkeypatch.setattr(jobs, "load_task", lambda name, workspace: task)
    return task


@pytest.fixture
def asked(monkeypatch):
    """What is done to the store, in order."""
    done = []

    def counting(name, original):
        @contextmanager
        def counted(folder):
            done.append(name)
            with original(folder) as store:
                yield store

        return counted

    for module in (results, analyses, training_log):
        for name in ("reading", "writing"):
            monkeypatch.setattr(module, name, counting(name, getattr(module, name)))
    return done


def test_a_job_reads_before_and_after(tmp_path, tiny, asked):
    store, silent = Results(tmp_path / "workspace"), lambda share, words: None
    make_and_measure(store, tiny, Recipe(), Target(), silent)
    recipe = recipe_of(precision="int8")
    payload = {"task": tiny.name, "recipe": recipe.to_dict()}
    queue = JobQueue(store.folder)
    queue.submit(JobKind.MAKE, key="k", payload=payload, words="w")
    claimed = queue.claim("this test", 60.0)
    assert claimed is not None
    job, _ = claimed
    asked.clear()
    run_job(store.folder, job, silent)
    assert asked[0] == asked[-1] == "reading"
    assert asked[1:-1] == ["writing"] * 4  # the row, its file, its latency, its score


def test_nothing_is_made_while_it_is_measured(tmp_path, tiny, monkeypatch):
    store, silent = Results(tmp_path / "workspace"), lambda share, words: None
    measuring = latency.measure

    def measured(*arguments, **options):
        with monkeypatch.context() as patch:
            patch.setattr(make, "_build", None)
            return measuring(*arguments, **options)

    monkeypatch.setattr("optim.pipeline.measure.measure", measured)
    made = make_and_measure(store, tiny, recipe_of(precision="int8"), Target(), silent)
    assert made.measured

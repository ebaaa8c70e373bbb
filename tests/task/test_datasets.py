"""The shipped data: fixed, disjoint splits, split by person where windows of one would leak."""

from __future__ import annotations

import hashlib
from itertools import combinations
from typing import get_args

import numpy as np
import pytest

from optim.task import datasets
from optim.task.datasets import (
    CALIBRATION_EXAMPLES,
    DATASETS,
    MOTION_TEST_SUBJECTS,
    MOTION_VALIDATION_SUBJECTS,
    Split,
    SplitName,
    load_split,
    normalisation,
)

SIZES = {
    ("fashion-mnist", "train"): 55_000,
    ("fashion-mnist", "validation"): 5_000,
    ("fashion-mnist", "test"): 10_000,
    ("fashion-mnist", "calibration"): 512,
    ("motion", "train"): 3_510,
    ("motion", "validation"): 1_576,
    ("motion", "test"): 2_055,
    ("motion", "calibration"): 512,
}


def rows(split: Split) -> set[bytes]:
    return {hashlib.md5(example.tobytes()).digest() for example in split.inputs}


@pytest.mark.parametrize(("dataset", "name"), SIZES)
def test_splits_have_their_sizes_shapes_and_types(dataset: str, name: SplitName) -> None:
    split = load_split(dataset, name)
    assert len(split) == SIZES[dataset, name]
    assert split.inputs.shape[1:] == DATASETS[dataset].input_shape
    assert (split.inputs.dtype, split.targets.dtype) == (np.float32, np.int64)
    assert np.isfinite(split.inputs).all()
    assert set(np.unique(split.targets)) == set(range(len(DATASETS[dataset].labels)))


@pytest.mark.parametrize("dataset", DATASETS)
def test_train_validation_and_test_share_no_example(dataset: str) -> None:
    known = {name: rows(load_split(dataset, name)) for name in ("train", "validation", "test")}
    for a, b in combinations(known, 2):
        assert known[a].isdisjoint(known[b]), (a, b)


def test_the_images_of_train_and_validation_are_other_rows_of_the_same_file() -> None:
    images, _ = datasets._fashion_raw("train")
    order = np.random.default_rng(0).permutation(len(images))
    assert len(set(order[:55_000].tolist()) & set(order[55_000:].tolist())) == 0
    first = (images[order[0]].astype(np.float32) / 255 - 0.2860) / 0.3530
    assert np.array_equal(load_split("fashion-mnist", "train").inputs[0, 0], first)


@pytest.mark.parametrize("dataset", DATASETS)
def test_calibration_examples_come_from_the_training_split(dataset: str) -> None:
    calibration = load_split(dataset, "calibration")
    assert len(calibration) == CALIBRATION_EXAMPLES
    assert rows(calibration) <= rows(load_split(dataset, "train"))


def test_no_person_of_the_motion_data_is_in_two_splits() -> None:
    _, _, subjects = datasets._motion_raw()
    held_out = {*MOTION_TEST_SUBJECTS, *MOTION_VALIDATION_SUBJECTS}
    assert len(held_out) == len(MOTION_TEST_SUBJECTS) + len(MOTION_VALIDATION_SUBJECTS)
    assert held_out < set(subjects.tolist())


def test_the_motion_data_are_scaled_by_the_training_people_alone() -> None:
    recordings, _, subjects = datasets._motion_raw()
    held_out = {*MOTION_TEST_SUBJECTS, *MOTION_VALIDATION_SUBJECTS}
    training = np.concatenate(
        [r for r, s in zip(recordings, subjects, strict=True) if s not in held_out]
    )
    scale = normalisation("motion")
    assert np.allclose(scale["mean"], training.mean(0), atol=1e-6)
    assert np.allclose(scale["deviation"], training.std(0), atol=1e-6)


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_numbers_for_a_device_prepare_a_reading_as_the_splits_do(dataset: str) -> None:
    scale = {key: np.array(value) for key, value in normalisation(dataset).items()}
    split = load_split(dataset, "test")
    if dataset == "fashion-mnist":
        readings = datasets._fashion_raw("t10k")[0][:10, None].astype(np.float64)
        shape = (1, 1, 1)
    else:
        recordings, _, subjects = datasets._motion_raw()
        first = next(
            r for r, s in zip(recordings, subjects, strict=True) if s in MOTION_TEST_SUBJECTS
        )
        readings = first[None, : datasets.WINDOW].transpose(0, 2, 1)
        shape = (6, 1)
    prepared = (readings - scale["mean"].reshape(shape)) / scale["deviation"].reshape(shape)
    assert np.allclose(prepared, split.inputs[: len(prepared)], atol=1e-5)


def test_loading_twice_gives_the_same_examples() -> None:
    for dataset in DATASETS:
        a, b = load_split(dataset, "validation"), load_split(dataset, "validation")
        assert np.array_equal(a.inputs, b.inputs)
        assert np.array_equal(a.targets, b.targets)


def test_taking_examples_keeps_pairs_and_depends_on_the_seed_alone() -> None:
    split = Split(inputs=np.arange(20.0)[:, None], targets=np.arange(20))
    taken = split.take(5, seed=1)
    assert np.array_equal(taken.inputs[:, 0], taken.targets)
    assert np.array_equal(taken.targets, split.take(5, seed=1).targets)
    assert not np.array_equal(taken.targets, split.take(5, seed=2).targets)
    assert sorted(split.take(99).targets) == list(range(20))


def test_a_split_without_as_many_targets_as_inputs_is_refused() -> None:
    with pytest.raises(ValueError, match="got 3 inputs and 2 targets"):
        Split(inputs=np.zeros((3, 1)), targets=np.zeros(2))


def test_an_unknown_data_set_is_answered_with_the_choices() -> None:
    for function in (lambda: load_split("cifar", "test"), lambda: normalisation("cifar")):
        with pytest.raises(ValueError, match="must be one of fashion-mnist, motion; got 'cifar'"):
            function()


def test_every_data_set_has_a_card_and_a_licence_beside_it() -> None:
    for name, data in DATASETS.items():
        folder = datasets.SAMPLES / "data" / name
        assert data.source.split()[0] in (folder / "README.md").read_text(encoding="utf-8")
        assert (folder / "LICENSE").stat().st_size > 500
    assert len(get_args(SplitName)) == 4

"""The notebook's Pareto plot: every measured row is a point, the front is a staircase."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from optim import Workspace
from optim.report.figure import pareto_figure
from optim.sweeps import rows_of
from tests.dashboard.factories import sample_candidates


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pd.DataFrame:
    monkeypatch.setattr(Workspace, "candidates", lambda self, task: sample_candidates())
    return Workspace(tmp_path).frame("fashion-resnet")


def test_every_measured_row_is_a_point_with_its_interval(table: pd.DataFrame) -> None:
    table.loc[2, "latency_ms"] = None
    figure = pareto_figure(table, title="ResNet")
    points = [trace for trace in figure.data if trace.mode == "markers"]
    ids = [name for trace in points for name in trace.customdata]
    assert sorted(ids) == sorted(table["id"].drop(2))
    assert {trace.name for trace in points} == {"FP32", "FP16", "INT8", "INT4"}
    for trace in points:
        rows = table.set_index("id").loc[list(trace.customdata)]
        assert np.allclose(trace.y - trace.error_y.arrayminus, 100 * rows["accuracy_low"])
        assert np.allclose(trace.y + trace.error_y.array, 100 * rows["accuracy_high"])
        assert np.allclose(trace.x + trace.error_x.array, rows["latency_p90_ms"])
    assert len({(trace.marker.symbol, trace.marker.color) for trace in points}) == 4


def test_the_front_is_a_staircase_through_who_is_not_beaten(table: pd.DataFrame) -> None:
    staircase = pareto_figure(table).data[0]
    assert staircase.line.shape == "hv"
    assert list(staircase.x) == sorted(staircase.x)
    assert list(staircase.y) == sorted(staircase.y)
    for row in table.to_dict("records"):
        beaten = any(
            x <= row["latency_ms"] and y >= 100 * row["accuracy"]
            for x, y in zip(staircase.x, staircase.y, strict=True)
        )
        assert beaten  # by itself, if it is on the front


def test_a_wild_error_bar_does_not_squeeze_the_points(table: pd.DataFrame) -> None:
    table.loc[0, "latency_p90_ms"] = 100 * table["latency_ms"].max()
    for rows, kind in ((table, "log"), (table[table["pruning_ratio"] < 0.6], "linear")):
        axis = pareto_figure(rows).layout.xaxis
        assert axis.type == kind
        low, high = (10**limit if kind == "log" else limit for limit in axis.range)
        assert low < rows["latency_ms"].min()
        assert rows["latency_ms"].max() < high < 2 * rows["latency_ms"].max()


def test_larger_files_are_larger_points(table: pd.DataFrame) -> None:
    sizes = {
        name: size
        for trace in pareto_figure(table).data[1:]
        for name, size in zip(trace.customdata, trace.marker.size, strict=True)
    }
    ordered = table.sort_values("size_bytes")["id"]
    assert [sizes[name] for name in ordered] == sorted(sizes.values())


def test_a_table_without_figures_is_answered_with_what_to_do(table: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"no measured candidate\. Make some with optim\.sweep"):
        pareto_figure(table.assign(latency_ms=None))


def test_rows_come_in_the_order_of_the_candidates(table: pd.DataFrame, tmp_path: Path) -> None:
    some = sample_candidates()[5:2:-1]
    rows = rows_of(Workspace(tmp_path), "fashion-resnet", some)
    assert rows["id"].tolist() == [c.id for c in some]
    assert rows.index.tolist() == [0, 1, 2]

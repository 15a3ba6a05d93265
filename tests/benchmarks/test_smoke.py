"""The benchmarks run and say what they measured. How long anything took is not looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NAMES = {
    "at_head",
    "left_behind",
    "backup_beside",
    "behind",
    "create",
    "endure",
    "fan-out",
    "growth",
    "load",
    "log-lines",
    "lookup",
    "open_cold",
    "promote",
    "server-app",
    "server-nodes",
    "server-quota",
    "server-token",
    "split_many",
    "split_one",
    "stream-upsert",
    "token",
    "touch",
    "version",
    "vod-by-egress",
    "vod-page",
}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("benchmarks") / "measured.json"
    command = (sys.executable, "-m", "benchmarks", "--scale", "small", "--rounds", "1")
    done = subprocess.run(
        (*command, "--json", str(target)), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    return written


@pytest.mark.slow
def test_document_says_on_what_it_was_measured(document: dict[str, Any]) -> None:
    assert document["scale"] == "small"
    assert document["rounds"] == 1
    assert document["machine"].keys() == {
        "alembic",
        "cores",
        "date",
        "file_system",
        "kernel",
        "python",
        "sqlalchemy",
        "sqlite",
        "streamhub_orm",
    }


@pytest.mark.slow
def test_every_benchmark_measured_each_of_its_contestants_once(document: dict[str, Any]) -> None:
    assert document["benchmarks"].keys() == NAMES
    for measured in document["benchmarks"].values():
        assert measured.keys() == {"group", "about", "work", "results", "samples"}
        assert measured["results"]
        assert measured["samples"]
        for samples in measured["samples"].values():
            (sample,) = samples
            assert "seconds" in sample


@pytest.mark.slow
def test_every_result_holds_a_figure_against_its_floor(document: dict[str, Any]) -> None:
    for measured in document["benchmarks"].values():
        for result in measured["results"]:
            assert result.keys() == {
                "label",
                "ours",
                "floor",
                "unit",
                "ratio",
                "ratios",
                "goal",
                "met",
            }
            assert (result["floor"] is None) == (result["ratio"] is None)
            assert (result["goal"] is None) == (result["met"] is None)

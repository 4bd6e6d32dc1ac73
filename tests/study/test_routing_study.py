"""Shares, agreement and drift of routers are what their probabilities say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mtrans.core.settings import load_settings
from mtrans.report.study import routing_pictures
from mtrans.study.jobs import StudyError
from mtrans.study.routing_study import RoutingFound, layer_found, study_routing
from mtrans.study.routing_tables import routing_markdown, write_routing
from mtrans.study.run import run_study
from mtrans.train.run_folder import RunFolder


def test_shares_and_agreement_by_hand():
    one = np.array([[1.0, 0.0], [0.5, 0.5]])
    two = np.array([[0.0, 1.0], [0.5, 0.5]])
    model = load_settings().model
    found = layer_found("temporal", 2, {0: one, 1: two}, ["count", "way"], model)
    assert found.masks == ["all frames", "own frame"]
    assert found.shares == {"count": [0.5, 0.5], "way": [0.5, 0.5]}
    assert found.seeds == {0: [0.75, 0.25], 1: [0.25, 0.75]}
    assert found.agreement == pytest.approx(0.5)  # opposite on one question, alike on the other
    assert found.varies == pytest.approx(0.25)
    alone = layer_found("spatial", 3, {0: one}, ["count", "way"], model)
    assert alone.agreement is None
    assert alone.masks == ["all", "within a modality"]


def test_entropy_over_training_and_drift_are_by_router():
    model = load_settings().model
    even = {0: np.full((1, 2), 0.5), 1: np.full((1, 2), 0.5)}
    layers = [layer_found(family, 3, even, ["way"], model) for family in ("spatial", "temporal")]
    entropy = {0: [[0.1 * i, 0.5] for i in range(9)], 1: [[0.1 * i, 0.7] for i in range(9)]}
    drift = {0: [0.2, 0.0], 1: [0.3, 0.0]}
    page = routing_markdown([RoutingFound("x", 1, layers, list(range(9)), entropy, drift)])
    for line in (
        "| entropy | step 0 | step 2 | step 4 | step 6 | step 8 | drift |",
        "| spatial 3 | 0.00 | 0.20 | 0.40 | 0.60 | 0.80 | 0.20, 0.30 |",
        "| temporal 3 | 0.60 | 0.60 | 0.60 | 0.60 | 0.60 | 0.00, 0.00 |",
    ):
        assert line in page, line


def test_a_study_with_routers_is_tabled_and_one_without_is_an_error(make_plan, tmp_path):
    plan = make_plan(contenders=["mtrans", "mean"])
    run_study(plan, tmp_path, say=print)
    (found,) = study_routing(plan, tmp_path, per_type=3)
    assert found.contender == "mtrans"
    assert 0 < found.questions <= 3 * 2
    run = RunFolder(tmp_path / "squares/mtrans/seed-0")
    lines = map(json.loads, run.log_file.read_text().splitlines())
    logged = [line["routing_entropy"] for line in lines if "loss" in line]
    assert found.entropy[0] == logged
    assert found.layers, "the small backbone has a routed layer"
    for layer in found.layers:
        for shares in layer.shares.values():
            assert sum(shares) == pytest.approx(1)
            assert shares[0] > 0.8  # routers start on the unbounded mask
    page = routing_markdown([found])
    assert "| temporal 2 | all frames |" in page
    write_routing([found], tmp_path)
    assert (tmp_path / "routing.csv").read_text().startswith("contender,seed,step,router,entropy\n")
    ((name, svg),) = routing_pictures([found])
    assert name == "routing-mtrans.svg"
    assert "xmlns=" in svg
    assert found.routers[0] == "temporal 2"
    assert ">temporal 2</text>" in svg
    with pytest.raises(StudyError, match="no finished run with a router"):
        study_routing(make_plan(contenders=["mean"]), tmp_path)

"""Sample weights: a row of weight 2 is two rows, one of weight 0 is none."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from estimators import numbers, people, small

from vaelab.data import Batches
from vaelab.data.memory import distinct, in_memory
from vaelab.errors import UserError
from vaelab.models import build
from vaelab.recipes import Data, Model, Objective
from vaelab.training import Step, terms

X = numbers(40)


def test_the_gradient_of_weighted_rows_is_that_of_repeated_ones() -> None:
    """Exactly, where nothing is random: an autoencoder without dropout."""
    torch.manual_seed(0)
    settings = Model(posterior="point", likelihood="gaussian", network="mlp", hidden=(8,), latent=2)
    step = Step(build(settings, (3,), form="table"), Objective()).double()
    x, times = torch.from_numpy(X[:6]), torch.tensor([2, 1, 3, 0, 1, 1])

    def gradient(rows: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        step.zero_grad()
        loss, terms = step(rows, None, {"beta": 1.0}, weights)
        loss.backward()
        parts = [p.grad.flatten() for p in step.parameters() if p.grad is not None]
        return torch.cat([*parts, terms])

    weighted = gradient(x, times / times.double().mean())
    repeated = gradient(x.repeat_interleave(times, 0), None)
    torch.testing.assert_close(weighted, repeated)


def test_measured_terms_are_weighted_too() -> None:
    torch.manual_seed(0)
    settings = Model(posterior="point", likelihood="gaussian", hidden=(8,), latent=2)
    vae, x = build(settings, (3,), form="table"), torch.from_numpy(X).float()
    weights = torch.arange(40).double()
    cpu = torch.device("cpu")
    found = terms(vae, Batches(x, None, Data(), cpu, weights=weights), 0)
    each = [terms(vae, Batches(row, None, Data(), cpu), 0).distortion for row in x.split(1)]
    assert found.distortion == pytest.approx(np.average(each, weights=weights.numpy()), rel=1e-5)


def test_a_weight_is_a_number_of_copies_and_0_leaves_out() -> None:
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 4, len(X))
    order = rng.permutation(len(X))
    weighted = small(epochs=4, contamination=0.1).fit(X[order], sample_weight=weights[order])
    repeated = small(epochs=4, contamination=0.1).fit(X.repeat(weights, 0))
    for method in ("transform", "score_samples", "decision_function"):
        assert np.array_equal(getattr(weighted, method)(X), getattr(repeated, method)(X))
    scaled = small(epochs=4, contamination=0.1).fit(X, sample_weight=weights * 7.0)
    np.testing.assert_allclose(scaled.transform(X), weighted.transform(X), rtol=1e-3, atol=1e-4)


def test_weights_move_the_density_to_where_they_are() -> None:
    x = np.random.default_rng(0).normal(size=(200, 2))
    x[100:] += 3
    heavy = np.where(np.arange(200) < 100, 1.0, 20.0)
    one, other = (
        small(epochs=60).fit(x, sample_weight=weights) for weights in (heavy, heavy[::-1])
    )
    assert one.score(x[100:]) > other.score(x[100:]) + 0.3
    assert one.score(x[:100]) < other.score(x[:100]) - 0.3


def test_data_frames_are_told_apart_by_their_cells() -> None:
    frame = people(30)
    twice = frame.loc[frame.index.repeat(2)].sample(frac=1, random_state=0)
    rows, weights = distinct(twice, np.ones(60))
    again, _ = distinct(frame, np.ones(30))
    assert rows.equals(again)
    assert (weights == 2).all()


def test_equal_numbers_are_equal_rows() -> None:
    x = np.array([[0.0, np.nan], [-0.0, -np.nan], [1.0, 2.0]])
    rows, weights = distinct(x, np.array([1.0, 2.0, 0.0]))
    assert rows.shape == (1, 2)
    assert weights.tolist() == [3.0]


def test_weights_that_cannot_be_are_refused() -> None:
    for weights, message in ((np.zeros(40), "weights"), (-np.ones(40), "negative")):
        with pytest.raises(ValueError, match=message):
            small().fit(X, sample_weight=weights)
    with pytest.raises(UserError, match="all weights are zero"):
        distinct(X, np.zeros(40))


def test_held_out_rows_keep_their_weights() -> None:
    settings = msgspec.structs.replace(Data(), validation=0.2, test=0.0)
    rows, weights = distinct(X, np.arange(1.0, 41.0))
    data = in_memory(rows.copy(), settings, weights)
    keys = [row.astype(np.float32).tobytes() for row in rows]
    known = dict(zip(keys, weights, strict=True))
    for split in (data.train, data.validation):
        assert split.weights is not None
        assert [known[row.numpy().tobytes()] for row in split.x] == split.weights.tolist()

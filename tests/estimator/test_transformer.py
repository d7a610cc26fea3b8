"""VAETransformer: rows in and out, scores, samples, and its place among other tools."""

from __future__ import annotations

import io
import pickle
import pickletools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars
import pytest
import torch
from estimators import numbers, people, small
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from vaelab.errors import UserError
from vaelab.estimator import VAETransformer
from vaelab.estimator.thresholds import lowest
from vaelab.models import VAE

X = numbers()


@pytest.fixture(scope="module")
def fitted() -> VAETransformer:
    return small(epochs=5).fit(X)


@pytest.fixture(scope="module")
def of_people() -> VAETransformer:
    return small(epochs=5).fit(people())


# --- scores


def test_a_score_depends_on_no_other_row_and_is_that_of_the_model(fitted: VAETransformer) -> None:
    whole = fitted.score_samples(X)
    assert np.array_equal(fitted.score_samples(X[7:9]), whole[7:9])
    vae: VAE = fitted.model_.vae
    found = vae.score_samples(X.astype(np.float32), samples=5, seed=0)
    np.testing.assert_allclose(whole, found, rtol=1e-12)
    assert fitted.score(X) == pytest.approx(whole.mean())


def test_scores_are_in_the_units_of_x() -> None:
    """In millimetres a column of metres has log 1000 more nats, at any state of training."""
    scaled = X * [1.0, 1000.0, 1.0]
    metres, millimetres = (small().fit(x).score_samples(x) for x in (X, scaled))
    # Rows are trained in an order that depends on their bytes, so only the constant is compared.
    assert metres.mean() - millimetres.mean() == pytest.approx(np.log(1000), abs=0.7)


def test_an_empty_cell_is_left_out_of_the_score(fitted: VAETransformer) -> None:
    holes = X[:3].copy()
    holes[0, 1] = np.nan
    assert np.isfinite(fitted.transform(holes)).all()
    assert np.isfinite(fitted.score_samples(holes)).all()
    assert fitted.score_samples(holes)[0] != fitted.score_samples(X[:3])[0]


def test_odd_rows_are_outliers(fitted: VAETransformer) -> None:
    odd = np.array([[9.0, 50.0, 9.0]])
    assert fitted.predict(odd) == [-1]
    assert fitted.decision_function(odd)[0] == fitted.score_samples(odd)[0] - fitted.offset_ < 0


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_a_contamination_is_the_share_of_the_rows_below_the_threshold(share: float) -> None:
    assert (small(contamination=share).fit_predict(X) == -1).mean() == pytest.approx(share)


def test_auto_calls_at_most_a_twentieth_of_usual_rows_outliers() -> None:
    """In expectation, which the mean of several data sets shows within three standard errors."""
    rates = []
    for seed in range(5):
        vae = small(epochs=1, random_state=seed).fit(numbers(300, seed))
        rates.append((vae.predict(numbers(100, 100 + seed)) == -1).mean())
    assert np.mean(rates) < 0.05 + 3 * np.std(rates) / np.sqrt(len(rates))


def test_lowest_counts_weights_and_not_rows() -> None:
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 1.0])
    assert [lowest(values, weights, mass) for mass in (0, 1.9, 2, 3, 9)] == [1, 1, 2, 3, 3]


def test_an_autoencoder_has_codes_and_no_scores() -> None:
    vae = small(settings={"model.variant": "ae"}).fit(X)
    assert vae.transform(X).shape == (60, 2)
    with pytest.raises(UserError, match="no likelihood"):
        vae.predict(X)


# --- random numbers, threads, pickles


def test_the_same_seed_gives_the_same_estimator() -> None:
    before = torch.get_rng_state()
    first, again, other = (small(random_state=seed).fit(X).transform(X) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert torch.equal(before, torch.get_rng_state())


def test_random_states_are_those_of_scikit_learn() -> None:
    one, two = (small(random_state=np.random.RandomState(3)).fit(X).score(X) for _ in range(2))
    assert one == two
    state = np.random.RandomState(3)
    get_tags(small(random_state=state))  # does not draw from it
    assert state.randint(100) == np.random.RandomState(3).randint(100)
    free = small(random_state=None)
    assert free.fit(X).score(X) != free.fit(X).score(X)


def test_samples_have_the_seed_of_the_estimator_unless_told(fitted: VAETransformer) -> None:
    assert np.array_equal(fitted.sample(3), fitted.sample(3))
    assert np.array_equal(fitted.sample(3, 5), fitted.sample(3, random_state=5))
    assert not np.array_equal(fitted.sample(3), fitted.sample(3, 5))
    many = fitted.sample(500)
    assert (many >= X.min(0) - 1e-4).all()
    assert (many <= X.max(0) + 1e-4).all()


def test_threads_get_the_results_of_one_after_the_other() -> None:
    def work(seed: int) -> tuple[np.ndarray, np.ndarray]:
        vae = small(epochs=4, random_state=seed).fit(X)
        return vae.score_samples(X), vae.sample(5)

    alone = [work(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = [*pool.map(work, range(4))]
    parallel = joblib.Parallel(2, backend="threading")(joblib.delayed(work)(s) for s in range(4))
    for one, two, three in zip(alone, together, parallel, strict=True):
        for a, b, c in zip(one, two, three, strict=True):
            assert np.array_equal(a, b)
            assert np.array_equal(a, c)


def test_a_pickle_is_plain_data_and_gives_the_same_numbers(fitted: VAETransformer) -> None:
    content = pickle.dumps(fitted)
    named = {arg for op, arg, _ in pickletools.genops(content) if "GLOBAL" in op.name and arg}
    named |= {arg for op, arg, _ in pickletools.genops(content) if op.name == "SHORT_BINUNICODE"}
    assert not any(str(name).startswith("torch") for name in named)
    buffer = io.BytesIO()
    joblib.dump(fitted, buffer)
    buffer.seek(0)
    for again in (pickle.loads(content), joblib.load(buffer)):
        assert np.array_equal(again.score_samples(X), fitted.score_samples(X))
        assert again.history_ == fitted.history_
        assert again.notes_ == fitted.notes_
    assert not hasattr(clone(fitted), "model_")


def test_nothing_is_printed_and_no_file_is_written(
    capfd: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAELAB_CACHE_DIR", str(tmp_path / "cache"))
    small().fit(X).predict(X)
    assert capfd.readouterr() == ("", "")
    assert [*tmp_path.iterdir()] == []


# --- training


def test_the_order_of_the_rows_makes_no_difference(fitted: VAETransformer) -> None:
    other = small(epochs=5).fit(X[::-1])
    assert np.array_equal(other.transform(X), fitted.transform(X))


def test_partial_fit_trains_epoch_by_epoch_and_goes_on_after_a_pickle() -> None:
    settings = {"model.hidden": [8], "train.batch": 4, "train.learning_rate": 0.01}
    whole, split = (small(settings=settings) for _ in range(2))
    for start in (0, 20, 40):
        whole.partial_fit(X[start : start + 20])
        split.partial_fit(X[start : start + 20])
        split = pickle.loads(pickle.dumps(split))
    assert whole.n_iter_ == split.n_iter_ == 3
    assert np.array_equal(whole.transform(X), split.transform(X))
    before = whole.score(X)
    for _ in range(5):
        whole.partial_fit(X)
    assert whole.score(X) > before


def test_partial_fit_goes_on_from_fit(fitted: VAETransformer) -> None:
    more = pickle.loads(pickle.dumps(fitted)).partial_fit(X)
    assert more.n_iter_ == fitted.n_iter_ + 1
    assert 0 < np.abs(more.transform(X) - fitted.transform(X)).max() < 0.5


def test_training_raises_the_likelihood_above_that_of_independent_columns() -> None:
    vae = small(epochs=100, samples=50, settings={"train.learning_rate": 5e-3}).fit(numbers(200))
    new = numbers(100, 1)
    mean, deviation = new.mean(0), new.std(0)
    independent = -0.5 * ((new - mean) / deviation) ** 2 - np.log(deviation * np.sqrt(2 * np.pi))
    assert vae.score(new) > independent.sum(1).mean() + 0.3


# --- data frames, images


def test_a_data_frame_comes_back_with_its_columns_and_types(of_people: VAETransformer) -> None:
    frame = people()
    for found in (of_people.sample(6), of_people.inverse_transform(of_people.transform(frame))):
        assert [*found.columns] == [*frame.columns]
        same = [name for name in frame.columns if name not in ("name", "seen", "city")]
        assert (found.dtypes[same] == frame.dtypes[same]).all()
        assert set(found["city"]) <= {"Faro", "Porto", "Lisboa"}
        assert found["name"].isna().all()
        assert (found["zone"] == 1).all()
    assert any("height" in note and "real" in note for note in of_people.notes_)
    assert np.isfinite(of_people.score_samples(frame)).all()


def test_a_cell_that_cannot_be_makes_an_outlier(of_people: VAETransformer) -> None:
    frame = people().head(2)
    frame.loc[0, "visits"] = -3
    scores = of_people.score_samples(frame)
    assert scores[0] == -np.inf
    assert np.isfinite(scores[1])
    assert of_people.predict(frame)[0] == -1


def test_other_columns_are_refused(of_people: VAETransformer) -> None:
    with pytest.raises(ValueError, match="feature names should match"):
        of_people.transform(people().drop(columns="city"))
    with pytest.raises(ValueError, match="feature names should match"):
        of_people.transform(people().rename(columns={"city": "town"}))


def test_pandas_comes_out_where_it_is_asked_for(of_people: VAETransformer) -> None:
    found = clone(of_people).set_output(transform="pandas").fit_transform(people())
    assert [*found.columns] == ["vaetransformer0", "vaetransformer1"]
    assert found.index.equals(people().index)


def test_images_are_rows_of_pixels_with_a_shape() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 48)).astype(np.uint8)
    for shape in ((6, 8), (3, 4, 4), (4, 4, 3)):
        vae = small(recipe="quickstart", shape=shape).fit(pixels)
        back = vae.inverse_transform(vae.transform(pixels))
        assert back.shape == vae.sample(40).shape == pixels.shape
        assert vae.score_samples(pixels[:2]).shape == (2,)
    with pytest.raises(ValueError, match="real values, the model learned 256"):
        vae.transform(pixels / 255)


def test_channels_last_come_back_last() -> None:
    colours = np.tile(np.array([0.9, 0.5, 0.1]), (60, 16))  # (N, 4 * 4 * 3), each pixel orange
    colours += np.random.default_rng(0).normal(size=colours.shape) * 0.01
    vae = small(
        recipe="quickstart", shape=(4, 4, 3), epochs=100, settings={"train.learning_rate": 0.02}
    ).fit(colours)
    back = vae.inverse_transform(vae.transform(colours)).mean(0).reshape(16, 3)
    np.testing.assert_allclose(back, np.tile([0.9, 0.5, 0.1], (16, 1)), atol=0.1)


def test_binarised_images_are_scored_by_the_same_random_numbers() -> None:
    grey = np.random.default_rng(0).random((30, 16))
    settings = {"data.treatment": "dynamic", "model.likelihood": "bernoulli"}
    vae = small(recipe="quickstart", shape=(4, 4), settings=settings).fit(grey)
    assert np.array_equal(vae.score_samples(grey)[4:], vae.score_samples(grey[4:]))


# --- parameters, searches, pipelines


@pytest.mark.parametrize("method", ["transform", "predict", "score_samples", "inverse_transform"])
def test_an_estimator_is_fitted_before_it_is_used(method: str) -> None:
    with pytest.raises(NotFittedError):
        getattr(small(), method)(X)


def test_parameters_that_do_not_go_together_are_refused() -> None:
    for parameters, message in (
        ({"contamination": 0.7}, "contamination: expected 'auto' or a share"),
        ({"settings": {"train.seed": 3}}, "train.seed has another place; use .* random_state"),
        ({"settings": {"objective.beta": 3}}, "use the parameter beta"),
        ({"settings": {"model.hiden": 3}}, "did you mean"),
        ({"recipe": "tabel"}, "did you mean 'table'"),
        ({"settings": {"model.variant": "cvae"}}, "no labels"),
        ({"settings": [3]}, "settings: expected a dictionary"),
        ({"recipe": 3}, "recipe: expected a name"),
        ({"beta": -1.0}, "objective.beta"),
        ({"samples": 2.5}, "samples: expected a whole number of at least 1, got 2.5"),
        ({"shape": (3, 1)}, "shape: the recipe reads rows by columns"),
        ({"shape": (2, 2), "recipe": "quickstart"}, "shape: .* rows of 3 values"),
        ({"shape": 3, "recipe": "quickstart"}, "shape: expected a tuple"),
    ):
        with pytest.raises(ValueError, match=message):
            small(**parameters).fit(X)


@pytest.mark.parametrize("n", [0, 2.5, "3"])
def test_a_number_of_samples_is_a_whole_number(n: object) -> None:
    with pytest.raises(ValueError, match="expected a number of samples of at least 1"):
        small().fit(X).sample(n)  # type: ignore[arg-type]  # wrong on purpose


def test_a_search_over_beta_and_latent() -> None:
    grid = {"beta": np.array([0.5, 2], np.float32), "latent": np.array([1, 3])}
    search = GridSearchCV(small(), grid, cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.transform(X).shape[1] == search.best_params_["latent"]


def test_a_pipeline_with_a_column_transformer() -> None:
    frame = people()
    columns = ColumnTransformer(
        [("vae", small(), ["height", "visits", "city"]), ("as it is", "passthrough", ["member"])]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(frame, frame["member"])
    assert model.score(frame, frame["member"]) == 1.0
    names = columns.fit(frame).get_feature_names_out()
    assert [*names] == ["vae__vaetransformer0", "vae__vaetransformer1", "as it is__member"]


def test_columns_of_an_array_may_be_of_other_kinds() -> None:
    """Counts, two values and a constant in an array come back as numbers of their kind."""
    rng = np.random.default_rng(0)
    x = np.stack([rng.poisson(3, 80), rng.integers(5, 7, 80), np.full(80, 2.5)], 1).astype(float)
    made = small().fit(x).sample(30)
    assert (made[:, 0] == made[:, 0].round()).all()
    assert set(made[:, 1]) <= {5.0, 6.0}
    assert (made[:, 2] == 2.5).all()


def test_the_frame_need_not_be_that_of_pandas() -> None:
    frame = people().drop(columns=["size"])
    vae = small().fit(polars.from_pandas(frame))
    codes = vae.set_output(transform="polars").transform(polars.from_pandas(frame))
    assert codes.columns == ["vaetransformer0", "vaetransformer1"]
    assert isinstance(vae.sample(2), pd.DataFrame)

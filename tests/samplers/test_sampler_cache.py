"""Fitted samplers in files: used again if they are the very ones, fitted anew if anything differs."""

import numpy as np
import pytest

from glo.samplers import SAMPLERS, cache, flow, imle
from glo.samplers.cache import fitted
from glo.samplers.held_out import split


@pytest.fixture
def codes():
    return (np.random.default_rng(0).standard_normal((300, 3)) * [0.3, 0.5, 0.2]).astype(np.float32)


@pytest.fixture
def fits(monkeypatch):
    """The names of samplers that were fitted, not read."""
    names = []
    fit = cache._fit
    monkeypatch.setattr(cache, "_fit", lambda name, *args: names.append(name) or fit(name, *args))
    for module in (flow, imle):
        monkeypatch.setattr(module, "STEPS", 5)
        monkeypatch.setattr(module, "WIDTH", 16)
    return names


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_fit_is_used_again(name, codes, fits, tmp_path):
    file = tmp_path / "samplers" / "one.npz"
    first = fitted(file, name, codes, 0, "ball")
    second = fitted(file, name, codes, 0, "ball")
    assert fits == [name]
    np.testing.assert_array_equal(first.draw(40, 1, "ball"), second.draw(40, 1, "ball"))
    scores = ("name", "log_likelihood", "seconds", "components")
    assert [getattr(first, score) for score in scores] == [getattr(second, score) for score in scores]
    assert first.energy_distance(0, "ball", 0.7) == second.energy_distance(0, "ball", 0.7)
    assert [path.name for path in file.parent.iterdir()] == ["one.npz"]


def test_what_is_drawn_from_is_fitted_to_all_codes(codes, tmp_path):
    found = fitted(tmp_path / "one.npz", "gaussian", codes, 4, "none")
    np.testing.assert_allclose(found.sampler.mean, codes.mean(axis=0), rtol=1e-5)
    mixture = fitted(tmp_path / "two.npz", "gmm", codes, 4, "none")
    assert mixture.components == len(mixture.sampler.weights) == len(mixture.scored.weights)
    assert found.components is None


def test_the_energy_distance_is_that_of_the_temperature(codes, tmp_path):
    found = fitted(tmp_path / "one.npz", "gaussian", codes, 4, "none")
    narrow, wide = (found.energy_distance(4, "none", temperature) for temperature in (0.1, 3.0))
    assert min(narrow, wide) > 5 * abs(found.energy_distance(4, "none"))


def test_scores_are_of_codes_that_were_held_out(codes, tmp_path):
    found = fitted(tmp_path / "one.npz", "gaussian", codes, 4, "none")
    train, held_out = split(len(codes), 4)
    np.testing.assert_allclose(found.scored.mean, codes[train].mean(axis=0), rtol=1e-5)
    assert found.log_likelihood == found.scored.log_likelihood(codes[held_out])
    assert abs(found.energy_distance(4, "none")) < 0.05
    assert fitted(tmp_path / "unit.npz", "unit", codes * 0.1, 4, "none").energy_distance(4, "none") > 0.5
    for name in ("imle", "flow"):
        assert (SAMPLERS[name].log_likelihood(None, codes)) is None


@pytest.mark.parametrize("projection", ["ball", "sphere", "none"])
def test_each_vector_is_projected_as_in_training(projection, codes, tmp_path):
    found = fitted(tmp_path / "one.npz", "gaussian", codes * 2, 0, projection)
    raw, drawn = found.draw(100, 7, "none"), found.draw(100, 7, projection)
    norms = np.linalg.norm(raw, axis=1, keepdims=True)
    expected = {"ball": raw / np.maximum(1, norms), "sphere": raw / norms, "none": raw}[projection]
    np.testing.assert_allclose(drawn, expected, rtol=1e-5)
    assert not np.array_equal(drawn, found.draw(100, 8, projection))


def test_anything_that_differs_is_fitted_anew(codes, fits, tmp_path):
    file = tmp_path / "one.npz"
    moved = codes.copy()
    moved[7, 1] += 1e-3
    asked = [
        ("gmm", codes, 0, "ball", {}),
        ("gmm", moved, 0, "ball", {}),
        ("gmm", moved, 1, "ball", {}),
        ("gmm", moved, 1, "sphere", {}),
        ("gmm", moved, 1, "sphere", {"components": 2}),
        ("kde", moved, 1, "sphere", {}),
    ]
    for number, arguments in enumerate(asked, start=1):
        found = fitted(file, *arguments)
        assert len(fits) == number
        again = fitted(file, *arguments)
        assert len(fits) == number
        assert again.name == found.name == arguments[0]
    assert len(fitted(file, *asked[4]).sampler.weights) == 2


@pytest.mark.parametrize(
    "damage",
    [
        {"sampler.mean": np.zeros(4)},
        {"sampler.mean": np.zeros((3, 1))},
        {"sampler.mean": np.array([0, np.nan, 0])},
        {"sampler.mean": np.zeros(3, np.int64)},
        {"sampler.mean": np.array([None, 1, 2])},
        {"sampler.covariance": np.zeros((3, 4))},
        {"scored.mean": np.array([0, np.nan, 0])},
        {"scores": np.zeros(3)},
        {"fingerprint": np.array(["a", "b"])},
    ],
)
def test_damaged_files_are_not_trusted(damage, codes, fits, tmp_path):
    file = tmp_path / "one.npz"
    sound = fitted(file, "gaussian", codes, 0, "ball")
    with np.load(file) as stored:
        arrays = {name: stored[name] for name in stored}
    np.savez(file, **{**arrays, **damage})
    again = fitted(file, "gaussian", codes, 0, "ball")
    assert len(fits) == 2
    np.testing.assert_array_equal(again.sampler.mean, sound.sampler.mean)


@pytest.mark.parametrize("kept", [0, 10, 300, -30])
def test_truncated_files_are_not_trusted(kept, codes, fits, tmp_path):
    file = tmp_path / "one.npz"
    fitted(file, "gaussian", codes, 0, "ball")
    file.write_bytes(file.read_bytes()[:kept])
    fitted(file, "gaussian", codes, 0, "ball")
    assert len(fits) == 2
    fitted(file, "gaussian", codes, 0, "ball")  # it was repaired
    assert len(fits) == 2


def test_a_folder_that_refuses_writes_is_a_warning(codes, fits, tmp_path, caplog):
    (tmp_path / "samplers").touch()  # a file where the folder should be
    found = fitted(tmp_path / "samplers" / "one.npz", "gaussian", codes, 0, "ball")
    assert found.draw(3, 0, "ball").shape == (3, 3)
    assert "cannot write" in caplog.text


@pytest.mark.parametrize(
    ("name", "forged"),
    [
        ("gmm", {"covariances": lambda old: -old}),
        ("gmm", {"weights": lambda old: old * [-1, 1, 1]}),
        ("gmm", {"weights": lambda old: 0 * old}),
        ("gmm", {"root": lambda old: 0 * old}),
        ("gmm", {"mean": lambda old: old + 1e300}),
        ("kde", {"root": lambda old: 0 * old}),
        ("flow", {"first": lambda old: old[:2]}),
        ("flow", {"last": lambda old: old.astype(np.float64)}),
        ("imle", {"first": lambda old: old[:2]}),
    ],
)
@pytest.mark.parametrize("part", ["sampler", "scored"])
def test_forged_files_are_no_tracebacks(name, forged, part, codes, fits, tmp_path):
    """Right shapes, or shapes that no rule forbids, and the right fingerprint, but no distribution."""
    file = tmp_path / "one.npz"
    options = {"components": 3} if name == "gmm" else {}
    sound = fitted(file, name, codes, 0, "ball", options)
    with np.load(file) as stored:
        arrays = {key: stored[key] for key in stored}
    np.savez(file, **{**arrays, **{f"{part}.{key}": change(arrays[f"{part}.{key}"]) for key, change in forged.items()}})
    again = fitted(file, name, codes, 0, "ball", options)
    assert fits == [name, name]
    np.testing.assert_array_equal(again.draw(5, 1, "ball"), sound.draw(5, 1, "ball"))


def test_samplers_of_dropped_checkpoints_are_swept(codes, tmp_path):
    folder = tmp_path / "samplers"
    folder.mkdir()
    (tmp_path / "model-20.json").touch()
    ours = ["gmm-10.npz", "flow-10-label-3.npz", "kde-7-label--1.npz", "gaussian-10-without-12.npz"]
    others = ["mine.npz", "gmm-10.txt", "gmm-10-copy.npz", "GMM-10.npz", "gmm-20.npz", "imle-20-attribute-0.npz"]
    for name in ours + others:
        (folder / name).write_text("kept")
    (folder / "gmm-11.npz").mkdir()  # cannot be removed, which is no reason to fail
    fitted(folder / "unit-20.npz", "unit", codes, 0, "ball")
    assert sorted(path.name for path in folder.iterdir()) == sorted([*others, "unit-20.npz", "gmm-11.npz"])

"""Saved samplers are read again; if anything differs, a sampler is fitted again."""

import os

import numpy as np
import pytest

from glo.samplers import SAMPLERS, cache, flow, imle, kde, leading
from glo.samplers.cache import fitted
from glo.samplers.held_out import split


@pytest.fixture
def codes():
    return (np.random.default_rng(0).standard_normal((300, 3)) * [0.3, 0.5, 0.2]).astype(np.float32)


@pytest.fixture
def fits(monkeypatch):
    """The names of samplers that were fitted rather than read, in order."""
    names = []
    fit = cache._fit
    monkeypatch.setattr(cache, "_fit", lambda name, *args: names.append(name) or fit(name, *args))
    for module in (flow, imle, leading):
        monkeypatch.setattr(module, "STEPS", 5)
        monkeypatch.setattr(module, "WIDTH", 16)
    return names


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory):
    """A folder in which the samplers that a test has fitted serve the next one."""
    return tmp_path_factory.mktemp("samplers")


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_fit_is_used_again(name, codes, fits, tmp_path):
    file = tmp_path / "samplers" / "one.npz"
    first = fitted(file, name, codes, 0, "ball")
    second = fitted(file, name, codes, 0, "ball")
    assert fits == [name]
    np.testing.assert_array_equal(first.draw(40, 1, "ball"), second.draw(40, 1, "ball"))
    scores = ("name", "log_likelihood", "fitted_log_likelihood", "seconds", "components", "bandwidth", "n")
    assert [getattr(first, score) for score in scores] == [getattr(second, score) for score in scores]
    assert first.energy_distance(0, "ball", 0.7) == second.energy_distance(0, "ball", 0.7)
    assert [path.name for path in file.parent.iterdir()] == ["one.npz"]


def test_components_are_those_of_mixtures(codes, tmp_path):
    mixture = fitted(tmp_path / "two.npz", "gmm", codes, 4, "none")
    assert mixture.components == len(mixture.sampler.weights)
    assert fitted(tmp_path / "one.npz", "gaussian", codes, 4, "none").components is None


def test_a_sampler_that_copies_overfits_and_a_smooth_one_does_not(codes, tmp_path, monkeypatch):
    gaussian = fitted(tmp_path / "one.npz", "gaussian", codes, 0, "none")
    rows, _ = split(len(codes), 0)
    assert gaussian.fitted_log_likelihood == pytest.approx(gaussian.sampler.log_likelihood(codes[rows]))
    assert not gaussian.overfits
    monkeypatch.setattr(kde, "BANDWIDTHS", np.array([0.02]))
    narrow = fitted(tmp_path / "two.npz", "kde", codes, 0, "none")
    assert narrow.bandwidth == pytest.approx(0.02)
    assert narrow.fitted_log_likelihood - narrow.log_likelihood > 3
    assert narrow.overfits


def test_half_of_the_codes_are_fitted_by_fewer_components(codes, tmp_path):
    mixture = fitted(tmp_path / "one.npz", "gmm", codes, 4, "none", {"components": 9})
    half, rows = mixture.fit_half(codes, 4)
    assert (half.components, half.n, mixture.n) == (5, 150, 270)
    assert len(np.unique(rows)) == 150
    gaussian, rows = fitted(tmp_path / "two.npz", "gaussian", codes, 4, "none").fit_half(codes, 4)
    np.testing.assert_allclose(gaussian.sampler.mean, codes[rows].mean(axis=0), rtol=1e-5)


def test_the_energy_distance_is_measured_at_the_temperature(codes, tmp_path):
    gaussian = fitted(tmp_path / "one.npz", "gaussian", codes, 4, "none")
    narrow, wide = (gaussian.energy_distance(4, "none", temperature) for temperature in (0.1, 3.0))
    assert min(narrow, wide) > 5 * abs(gaussian.energy_distance(4, "none"))


def test_scores_are_measured_on_held_out_codes(codes, tmp_path):
    gaussian = fitted(tmp_path / "one.npz", "gaussian", codes, 4, "none")
    train_rows, held_out_rows = split(len(codes), 4)
    np.testing.assert_allclose(gaussian.sampler.mean, codes[train_rows].mean(axis=0), rtol=1e-5)
    assert gaussian.log_likelihood == gaussian.sampler.log_likelihood(codes[held_out_rows])
    assert abs(gaussian.energy_distance(4, "none")) < 0.05
    assert fitted(tmp_path / "unit.npz", "unit", codes * 0.1, 4, "none").energy_distance(4, "none") > 0.5
    for name in ("imle", "flow"):
        assert (SAMPLERS[name].log_likelihood(None, codes)) is None


@pytest.mark.parametrize("projection", ["ball", "sphere", "none"])
def test_each_drawn_code_is_projected_as_in_training(projection, codes, tmp_path):
    gaussian = fitted(tmp_path / "one.npz", "gaussian", codes * 2, 0, projection)
    raw, drawn = gaussian.draw(100, 7, "none"), gaussian.draw(100, 7, projection)
    norms = np.linalg.norm(raw, axis=1, keepdims=True)
    expected = {"ball": raw / np.maximum(1, norms), "sphere": raw / norms, "none": raw}[projection]
    np.testing.assert_allclose(drawn, expected, rtol=1e-5)
    assert not np.array_equal(drawn, gaussian.draw(100, 8, projection))


def test_any_difference_in_the_arguments_causes_a_new_fit(codes, fits, tmp_path):
    file = tmp_path / "one.npz"
    changed = codes.copy()
    changed[7, 1] += 1e-3
    cases = [
        ("gmm", codes, 0, "ball", {}),
        ("gmm", changed, 0, "ball", {}),
        ("gmm", changed, 1, "ball", {}),
        ("gmm", changed, 1, "sphere", {}),
        ("gmm", changed, 1, "sphere", {"components": 2}),
        ("kde", changed, 1, "sphere", {}),
    ]
    for number, arguments in enumerate(cases, start=1):
        first = fitted(file, *arguments)
        assert len(fits) == number
        second = fitted(file, *arguments)
        assert len(fits) == number
        assert second.name == first.name == arguments[0]
    assert len(fitted(file, *cases[4]).sampler.weights) == 2


@pytest.mark.parametrize(
    "damage",
    [
        {"mean": np.zeros(4)},
        {"mean": np.zeros((3, 1))},
        {"mean": np.array([0, np.nan, 0])},
        {"mean": np.zeros(3, np.int64)},
        {"mean": np.array([None, 1, 2])},
        {"covariance": np.zeros((3, 4))},
        {"scores": np.zeros(2)},
        {"scores": np.array([0, 0, np.nan])},
        {"further": np.zeros(3)},
        {"fingerprint": np.array(["a", "b"])},
    ],
)
def test_damaged_files_are_replaced(damage, codes, fits, tmp_path, caplog):
    file = tmp_path / "one.npz"
    first = fitted(file, "gaussian", codes, 0, "ball")
    with np.load(file) as stored:
        arrays = {name: stored[name] for name in stored if name != "checksum"}
    np.savez(file, **{**arrays, **damage})
    second = fitted(file, "gaussian", codes, 0, "ball")
    assert len(fits) == 2
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [str(file) in message for message in warnings] == [True]
    np.testing.assert_array_equal(second.sampler.mean, first.sampler.mean)


def test_files_from_before_the_checksum_are_used(codes, fits, tmp_path):
    file = tmp_path / "one.npz"
    first = fitted(file, "gaussian", codes, 0, "ball")
    with np.load(file) as stored:
        np.savez(file, **{name: stored[name] for name in stored if name != "checksum"})
    second = fitted(file, "gaussian", codes, 0, "ball")
    assert len(fits) == 1
    np.testing.assert_array_equal(second.sampler.covariance, first.sampler.covariance)


@pytest.mark.parametrize("name", ["fingerprint", "scores", "mean", "covariance"])
def test_the_checksum_covers_every_array(name, codes, fits, tmp_path):
    """The values are valid, and those of the archive match: only the checksum shows the difference."""
    file = tmp_path / "one.npz"
    fitted(file, "gaussian", codes, 0, "ball")
    with np.load(file) as stored:
        arrays = dict(stored)
    arrays[name] = np.array("another") if name == "fingerprint" else arrays[name] * 1.01
    np.savez(file, **arrays)
    fitted(file, "gaussian", codes, 0, "ball")
    assert len(fits) == 2


@pytest.mark.parametrize("kind", ["pipe", "device", "huge"])
def test_files_that_could_be_read_without_end_are_replaced(kind, codes, fits, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(cache, "MAX_FURTHER", 1000)
    file = tmp_path / "one.npz"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:  # zeros take a thousandth on the disk
        np.savez_compressed(file, fingerprint=np.zeros(10**7))
    fitted(file, "gaussian", codes, 0, "ball")
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [str(file) in message for message in warnings] == [True]
    fitted(file, "gaussian", codes, 0, "ball")
    assert len(fits) == 1


@pytest.mark.parametrize("size", [0, 10, 300, -30])
def test_truncated_files_are_replaced(size, codes, fits, tmp_path):
    file = tmp_path / "one.npz"
    fitted(file, "gaussian", codes, 0, "ball")
    file.write_bytes(file.read_bytes()[:size])
    fitted(file, "gaussian", codes, 0, "ball")
    assert len(fits) == 2
    fitted(file, "gaussian", codes, 0, "ball")  # read from the replaced file
    assert len(fits) == 2


def test_a_folder_that_cannot_be_written_causes_a_warning(codes, fits, tmp_path, caplog):
    (tmp_path / "samplers").touch()  # a file in place of the folder
    gaussian = fitted(tmp_path / "samplers" / "one.npz", "gaussian", codes, 0, "ball")
    assert gaussian.draw(3, 0, "ball").shape == (3, 3)
    assert "cannot write" in caplog.text


@pytest.mark.parametrize(
    ("name", "changes"),
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
def test_forged_files_are_replaced(name, changes, codes, fits, shared_folder):
    """The fingerprint matches and the shapes are consistent, but the arrays do not define a distribution."""
    file = shared_folder / f"{name}.npz"
    options = {"components": 3} if name == "gmm" else {}
    first = fitted(file, name, codes, 0, "ball", options)
    fits.clear()
    with np.load(file) as stored:
        arrays = {key: stored[key] for key in stored if key != "checksum"}
    forged = {key: change(arrays[key]) for key, change in changes.items()}
    np.savez(file, **{**arrays, **forged})
    second = fitted(file, name, codes, 0, "ball", options)
    assert fits == [name]
    np.testing.assert_array_equal(second.draw(5, 1, "ball"), first.draw(5, 1, "ball"))


def test_samplers_of_removed_checkpoints_are_removed(codes, tmp_path):
    folder = tmp_path / "samplers"
    folder.mkdir()
    (tmp_path / "model-20.json").touch()
    stale = ["gmm-10.npz", "flow-10-label-3.npz", "kde-7-label--1.npz", "gaussian-10-without-12.npz"]
    others = ["mine.npz", "gmm-10.txt", "gmm-10-copy.npz", "GMM-10.npz", "gmm-20.npz", "imle-20-attribute-0.npz"]
    for name in stale + others:
        (folder / name).write_text("kept")
    (folder / "gmm-11.npz").mkdir()  # a folder cannot be removed, which is not an error
    fitted(folder / "unit-20.npz", "unit", codes, 0, "ball")
    assert sorted(path.name for path in folder.iterdir()) == sorted([*others, "unit-20.npz", "gmm-11.npz"])

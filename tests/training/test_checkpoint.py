"""Checkpoints: complete or absent, checked when read."""

import json
import shutil

import numpy as np
import pytest

from glo.model.glo_model import GloModel
from glo.runtime import files, paths
from glo.runtime.errors import UserError
from glo.settings import TrainSettings
from glo.training import checkpoint, manifest
from tests.support import samples

SETTINGS = TrainSettings(dataset="TOY", channels=4)
DATA = {"image shape": [8, 8, 1], "code dimension": 3, "training images": 10}


def made(seed=0, **changes):
    _, codes = samples(10, (8, 8, 1), 3, seed=seed)
    return GloModel((8, 8, 1), codes, TrainSettings(dataset="TOY", **{"channels": 4, "seed": seed, **changes}))


def save(run, step=5, model=None, settings=SETTINGS):
    model = model or made()
    model.step.assign(step)
    saver = checkpoint.Saver(run, settings, DATA)
    saver.save(model)
    saver.wait()
    return saver.saved


@pytest.mark.parametrize("block", [1 << 16, 4], ids=["whole", "in blocks"])
def test_restoring_gives_every_variable_back(tmp_path, monkeypatch, block):
    monkeypatch.setattr(checkpoint, "BLOCK", block)
    model, other = made(1), made(2)
    for variable in model.optimizer.variables:
        variable.assign(variable + 1 if variable.dtype != "uint32" else variable)
    model.table.visits.assign_add(np.arange(10))
    prefix = save(tmp_path, 7, model)
    checkpoint.restore(other, prefix)
    for a, b in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model.generator.get_weights()[0], other.generator.get_weights()[0])
    assert int(other.step) == 7
    found = manifest.read(prefix)
    assert (found.step, found.data, found.resolved(prefix)) == (7, DATA, SETTINGS)


def test_a_save_holds_the_moment_it_was_asked_for(tmp_path):
    """Training goes on while the files are written, in whatever way variables are updated."""
    model, other = made(1), made(2)
    model.table.update(np.array([0]), model.table.gather([0]), np.ones((1, 3), np.float32), 1.0)
    before = {name: variable.numpy() for name, variable in checkpoint.variables(model).items()}
    saver = checkpoint.Saver(tmp_path, SETTINGS, DATA)
    saver.save(model)
    model.table.update(np.array([0, 3]), model.table.gather([0, 3]), np.ones((2, 3), np.float32), 1.0)
    for variable in (*model.generator.trainable_variables, *model.optimizer.variables[2:]):
        variable.assign(variable + 1)
    model.step.assign_add(1)
    saver.wait()
    checkpoint.restore(other, saver.saved)
    for name, variable in checkpoint.variables(other).items():
        np.testing.assert_array_equal(variable, before[name], err_msg=name)


def test_a_failed_save_is_told_and_the_next_one_succeeds(tmp_path):
    saver = checkpoint.Saver(tmp_path, SETTINGS, DATA)
    model = made()
    saver.save(model)
    saver.wait()
    assert saver.saved == tmp_path / "model-0"
    model.step.assign(7)
    (tmp_path / "model-7.json").mkdir()  # in the way of the last of its files
    saver.save(model)
    model.step.assign(8)
    with pytest.raises(files.WriteError, match="model-7"):
        saver.save(model)  # tells of the one before
    saver.wait()
    assert saver.saved == tmp_path / "model-8"
    assert manifest.read(saver.saved).step == 8


def test_a_model_of_other_settings_is_refused(tmp_path):
    prefix = save(tmp_path)
    for changes in ({"channels": 8}, {"code_optimizer": "sgd"}, {"generator_optimizer": "sgd"}):
        with pytest.raises(UserError, match="does not fit"):
            checkpoint.restore(made(**changes), prefix)


def test_only_the_newest_are_kept(tmp_path):
    for step in (1, 2, 10, 11):
        save(tmp_path, step, settings=TrainSettings(dataset="TOY", channels=4, keep=2))
    assert paths.steps(tmp_path) == [10, 11]
    assert not list(tmp_path.glob("model-1.*")) + list(tmp_path.glob(".tmp*"))
    assert (tmp_path / "checkpoint").read_text() == 'model_checkpoint_path: "model-11"\n'


def test_what_an_interrupted_save_leaves_does_not_count_and_is_swept(tmp_path):
    save(tmp_path, 5)
    whole = save(tmp_path, 9)
    paths.manifest(whole).unlink()  # killed before the last file
    (tmp_path / ".tmp-model-10").mkdir()
    (tmp_path / ".tmp-model-10/model-10.index").touch()
    assert manifest.locate(str(tmp_path)) == (tmp_path / "model-5", True)
    checkpoint.sweep(tmp_path)
    assert sorted(path.name.split(".")[0] for path in tmp_path.iterdir()) == ["checkpoint"] + ["model-5"] * 3


@pytest.mark.parametrize("name", ["model-5", "model-5.index", "model-5.data-00000-of-00001", "model-5.json"])
def test_any_file_of_a_checkpoint_names_it(tmp_path, name):
    save(tmp_path, 5)
    assert manifest.locate(str(tmp_path / name)) == (tmp_path / "model-5", False)


def test_damage_is_found_and_the_one_before_offered(tmp_path):
    save(tmp_path, 5)
    prefix = save(tmp_path, 9)
    copy = tmp_path / "copy"
    for part in sorted(tmp_path.glob("model-9.*")):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(tmp_path, copy, ignore=shutil.ignore_patterns("copy"))
        broken = copy / part.name
        if part.suffix != ".json":
            content = bytearray(broken.read_bytes())
            content[len(content) // 2] ^= 1
            broken.write_bytes(content)
            with pytest.raises(UserError, match=r"damaged.*model-5"):
                manifest.read(copy / prefix.name)
            broken.unlink()
            with pytest.raises(UserError, match=rf"{part.name} is missing.*model-5"):
                manifest.read(copy / prefix.name)
        else:
            broken.write_bytes(broken.read_bytes()[:50])
            with pytest.raises(UserError, match="manifest"):
                manifest.read(copy / prefix.name)


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"step": 1}', "[" * 100_000, "NaN"])
def test_a_manifest_of_another_kind(tmp_path, content):
    prefix = save(tmp_path)
    paths.manifest(prefix).write_text(content)
    with pytest.raises(UserError, match="manifest"):
        manifest.read(prefix)


def test_a_hostile_manifest_cannot_point_outside(tmp_path):
    prefix = save(tmp_path)
    content = json.loads(paths.manifest(prefix).read_text())
    content["files"] = {"model-5./../../x": "0"}
    paths.manifest(prefix).write_text(json.dumps(content))
    with pytest.raises(UserError, match="another checkpoint"):
        manifest.read(prefix)

"""Checkpoints: complete or absent, checked when read."""

import json
import os
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
    run.mkdir(parents=True, exist_ok=True)
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
    checkpoint.restore(other, prefix, manifest.read(prefix))
    for a, b in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model.generator.get_weights()[0], other.generator.get_weights()[0])
    assert int(other.step) == 7
    read = manifest.read(prefix)
    assert (read.step, read.data, read.resolved(prefix)) == (7, DATA, SETTINGS)


def test_a_save_holds_the_values_of_its_step(tmp_path):
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
    checkpoint.restore(other, saver.saved, manifest.read(saver.saved))
    for name, variable in checkpoint.variables(other).items():
        np.testing.assert_array_equal(variable, before[name], err_msg=name)


def test_a_failed_save_is_reported_and_the_next_one_succeeds(tmp_path):
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
        saver.save(model)  # reports the one before
    saver.wait()
    assert saver.saved == tmp_path / "model-8"
    assert manifest.read(saver.saved).step == 8


def test_a_model_of_other_settings_is_refused(tmp_path):
    prefix = save(tmp_path)
    for changes in ({"channels": 8}, {"code_optimizer": "sgd"}, {"generator_optimizer": "sgd"}):
        with pytest.raises(UserError, match=r"does not fit.*train the run again"):
            checkpoint.restore(made(**changes), prefix, manifest.read(prefix))


def test_only_the_newest_are_kept(tmp_path):
    for step in (1, 2, 10, 11):
        save(tmp_path, step, settings=TrainSettings(dataset="TOY", channels=4, keep=2))
    assert paths.steps(tmp_path) == [10, 11]
    assert not list(tmp_path.glob("model-1.*")) + list(tmp_path.glob(".tmp*"))
    assert (tmp_path / "checkpoint").read_text() == 'model_checkpoint_path: "model-11"\n'


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_what_an_interrupted_save_leaves_does_not_count_and_is_swept(tmp_path, monkeypatch, moves):
    save(tmp_path, 5)
    before = sorted(path.name for path in tmp_path.iterdir())
    replace, allowed = os.replace, iter(range(moves))

    def interrupted(source, target):
        if target.parent == tmp_path and next(allowed, None) is None:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        values = {name: variable.read_value() for name, variable in checkpoint.variables(made()).items()}
        with pytest.raises(KeyboardInterrupt):
            checkpoint.write(tmp_path, 9, values, SETTINGS, DATA)
    assert len(list(tmp_path.glob("model-9.*"))) == moves
    (tmp_path / ".tmp-model-10").mkdir()
    (tmp_path / ".tmp-model-10/model-10.index").touch()
    (tmp_path / ".tmp-123-log.txt").touch()
    assert manifest.locate(str(tmp_path)) == (tmp_path / "model-5", True)
    checkpoint.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_files_of_others_are_not_swept(tmp_path):
    """A checkpoint of another tool has no manifest, and a link with a temporary name is removed, not followed."""
    prefix = save(tmp_path / "run", 9)
    paths.manifest(prefix).unlink()
    (prefix.parent / ".tmp-model-9").mkdir()  # a save of step 9 that was killed before it moved any file
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").touch()
    (prefix.parent / ".tmp-x").symlink_to(mine)
    (prefix.parent / ".tmp-model-7").symlink_to(mine)
    (prefix.parent / "model-3.notes").touch()
    checkpoint.sweep(prefix.parent)
    left = sorted(path.name for path in prefix.parent.iterdir())
    assert left == ["checkpoint", "model-3.notes", "model-9.data-00000-of-00001", "model-9.index"]
    assert (mine / "notes.txt").exists()


def test_dropping_an_old_checkpoint_keeps_other_files_of_that_name(tmp_path):
    save(tmp_path, 5)
    (tmp_path / "model-5.png").touch()
    save(tmp_path, 6, settings=TrainSettings(dataset="TOY", channels=4, keep=1))
    assert sorted(path.name for path in tmp_path.glob("model-5.*")) == ["model-5.png"]


@pytest.mark.parametrize("name", ["model-5", "model-5.index", "model-5.data-00000-of-00001", "model-5.json"])
def test_any_file_of_a_checkpoint_names_it(tmp_path, name):
    save(tmp_path, 5)
    assert manifest.locate(str(tmp_path / name)) == (tmp_path / "model-5", False)


def test_damage_is_refused_and_the_checkpoint_before_offered(tmp_path):
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


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"step": 1}', "[" * 100_000, "NaN", '"x"'])
def test_a_manifest_of_another_kind(tmp_path, content):
    prefix = save(tmp_path)
    paths.manifest(prefix).write_text(content)
    with pytest.raises(UserError, match="manifest"):
        manifest.read(prefix)


SUM = "0" * 64


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {}},
        {"files": {"model-5.index": SUM}},  # the data file could hold anything
        {"files": {"model-5.index": SUM, "model-5.data-00000-of-00001": ""}},
        {"files": {"model-5.index": SUM, "model-5.data-00000-of-00001": None}},
        {"files": {"model-5.index": SUM, "model-5.data-00000-of-00001": SUM, "model-5.data-00001-of-00002": SUM}},
        {"files": {"model-5.index": SUM, "model-5./../../x": SUM}},
        {"files": {"model-5.index": SUM, "x" * 300: SUM}},
        {"files": {"model-5.index": SUM, "a\0b": SUM}},
        {"settings": {}},
        {"settings": {"dataset": 5}},
        {"step": -1},
        {"step": True},
        {"step": 10**30},
        {"step": 6},
        {"format": 2},
        {"data": {}},
        {"data": {**DATA, "image shape": [8, 8]}},
        {"data": {**DATA, "image shape": [8, 10**6, 1]}},
        {"data": {**DATA, "image shape": [8, 8, 2]}},
        {"data": {**DATA, "image shape": [8, True, 1]}},
        {"data": {**DATA, "code dimension": 4}},
        {"data": {**DATA, "training images": 10**12}},  # a model of that size would take all memory
    ],
    ids=str,
)
def test_a_manifest_that_does_not_describe_its_checkpoint_is_refused(tmp_path, changes):
    prefix = save(tmp_path)
    content = json.loads(paths.manifest(prefix).read_text())
    paths.manifest(prefix).write_text(json.dumps({**content, **changes}))
    with pytest.raises(UserError, match="model-5"):
        manifest.read(prefix)


def test_a_checkpoint_of_images_of_another_shape_is_refused(tmp_path):
    prefix = save(tmp_path)
    model = GloModel((16, 16, 3), samples(10, (16, 16, 3), 3)[1], SETTINGS)
    with pytest.raises(UserError, match="does not fit"):
        checkpoint.restore(model, prefix, manifest.read(prefix))


@pytest.mark.parametrize("name", ["model-5.json", "model-5.index", "model-5.data-00000-of-00001"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "unreadable"])
def test_files_that_cannot_be_read_are_refused_in_one_line(tmp_path, monkeypatch, name, kind):
    prefix = save(tmp_path)
    path = tmp_path / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        refuse(monkeypatch, path)
    with pytest.raises(UserError, match=name):
        manifest.read(prefix)


def refuse(monkeypatch, path):
    """Let the system refuse to open a file or list a folder: tests may run as root, which may read everything."""
    originals = {name: getattr(os, name) for name in ("open", "listdir")}

    def replacement(name):
        def function(target, *args):
            if target == path:
                raise PermissionError(13, "Permission denied", str(target))
            return originals[name](target, *args)

        return function

    for name in originals:
        monkeypatch.setattr(os, name, replacement(name))


def test_folders_that_cannot_be_read_are_refused_in_one_line(tmp_path, monkeypatch):
    prefix = save(tmp_path / "train_dir/a-TOY_lr_1-20260101-000000")
    with monkeypatch.context() as patch:
        refuse(patch, prefix.parent)
        with pytest.raises(UserError, match=r"cannot read the folder .*Permission denied"):
            manifest.locate(str(prefix.parent))
    refuse(monkeypatch, tmp_path / "train_dir")
    with pytest.raises(UserError, match=r"cannot read the folder .*train_dir: Permission denied"):
        manifest.newest_run(str(tmp_path / "train_dir"), "TOY")
    with pytest.raises(UserError, match="cannot read the checkpoint"):
        manifest.locate("x" * 300)


def test_the_newest_run_of_a_dataset_is_the_one_that_recorded_it(tmp_path, caplog):
    """Names of folders are ambiguous: datasets may contain hyphens, and prefixes may look like datasets."""

    def run(name, dataset, config=True):
        folder = tmp_path / f"{name}_lr_0.1-{20260101 + len(list(tmp_path.iterdir()))}-000000"
        folder.mkdir()
        save(folder, 5, settings=TrainSettings(dataset=dataset, channels=4))
        if config:
            (folder / "config.yaml").write_text(f"dataset: {dataset}\n")
        return folder

    px, older = run("default-px", "PX"), run("default-px-old", "px-old", config=False)
    mine = run("default-MY-px", "MY-px")
    assert manifest.newest_run(str(tmp_path), "px") == px
    assert manifest.newest_run(str(tmp_path), "MY-px") == mine
    assert manifest.newest_run(str(tmp_path), "PX-OLD") == older
    unknown = run("default-px", "px", config=False)
    (unknown / "model-5.json").write_text("{")
    (tmp_path / "default-px_lr_0.1-20990101-000000").touch()  # a file
    assert manifest.newest_run(str(tmp_path), "px") == px
    assert str(unknown) in caplog.text
    with pytest.raises(UserError, match="no run of old"):
        manifest.newest_run(str(tmp_path), "old")

"""Checkpoints of several workers: each writes its rows, and all are read as one, by any number of workers."""

import json

import numpy as np
import pytest

from glo.data.augmentation import Augmented
from glo.data.lazy_array import Rows
from glo.model.glo_model import GloModel
from glo.runtime import files, paths
from glo.runtime.errors import UserError
from glo.settings import TrainSettings
from glo.training import checkpoint, manifest
from glo.workers import shards
from tests.support import samples
from tests.workers.threads import in_all

N, COPIES = 11, 1
SETTINGS = TrainSettings(dataset="TOY", channels=4, augment_to=2 * N, seed=3)
DATA = {"image shape": [8, 8, 1], "code dimension": 3, "training images": N}


def made(rows, seed=0):
    """A model with codes and visits that tell their rows."""
    codes = np.stack([rows, rows + 0.25, rows + 0.5], axis=1).astype(np.float32) / 100
    model = GloModel((8, 8, 1), codes, TrainSettings(dataset="TOY", channels=4, seed=seed))
    model.table.visits.assign(rows.astype(np.int32))
    return model


def rows_of(index, count):
    return shards.table_rows(SETTINGS.seed, N, COPIES, index, count)


def save(run, count, step=5, settings=SETTINGS):
    """Save a checkpoint as `count` workers; returns the results of all."""
    run.mkdir(exist_ok=True)

    def action(crew):
        model = made(rows_of(crew.index, count), seed=crew.index)
        model.step.assign(step)
        saver = checkpoint.Saver(run, settings, DATA, crew)
        saver.save(model)
        saver.wait()
        return saver.saved

    return in_all(count, action)


@pytest.mark.parametrize(("saved_by", "read_by"), [(1, 3), (3, 1), (3, 2), (2, 2), (4, 3)])
def test_any_number_of_workers_can_go_on(tmp_path, monkeypatch, saved_by, read_by):
    monkeypatch.setattr(checkpoint, "BLOCK", 4)
    assert save(tmp_path, saved_by) == [tmp_path / "model-5"] * saved_by
    saved = manifest.read(tmp_path / "model-5")
    assert saved.shards == saved_by
    expected = made(np.arange(N * 2))
    for index in range(read_by):
        rows = rows_of(index, read_by)
        model = made(np.zeros(len(rows), np.int64), seed=9)
        checkpoint.restore(model, tmp_path / "model-5", saved, rows if read_by > 1 else None)
        np.testing.assert_array_equal(model.table.codes.numpy(), expected.table.codes.numpy()[rows])
        np.testing.assert_array_equal(model.table.visits.numpy(), rows)
        np.testing.assert_array_equal(model.generator.get_weights()[0], expected.generator.get_weights()[0])
        assert int(model.step) == 5


def test_shards_that_are_damaged_missing_or_swapped_are_refused(tmp_path):
    save(tmp_path, 2)
    prefix = tmp_path / "model-5"
    part = tmp_path / "model-5.codes-00001-of-00002.data-00000-of-00001"
    content = part.read_bytes()
    part.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(UserError, match=r"codes-00001-of-00002.* is damaged"):
        manifest.read(prefix)
    part.unlink()
    with pytest.raises(UserError, match=r"codes-00001-of-00002.* is missing"):
        manifest.read(prefix)
    part.write_bytes(content)
    stated = json.loads(paths.manifest(prefix).read_text())
    for shard_count in (1, 3, 0, -1, 10**9, "2", True):
        paths.manifest(prefix).write_text(json.dumps(stated | {"shards": shard_count}))
        with pytest.raises(UserError, match="manifest"):
            manifest.read(prefix)
    other = tmp_path / "model-5.codes-00000-of-00002"
    for suffix in (".index", ".data-00000-of-00001"):  # worker 0 has 6 images, worker 1 has 5
        a, b = other.with_name(other.name + suffix), prefix.with_name("model-5.codes-00001-of-00002" + suffix)
        contents = a.read_bytes(), b.read_bytes()
        a.write_bytes(contents[1])
        b.write_bytes(contents[0])
        stated["files"] |= {file.name: manifest.checksum(file) for file in (a, b)}
    paths.manifest(prefix).write_text(json.dumps(stated))
    with pytest.raises(UserError, match="other codes"):
        manifest.read(prefix)


def test_a_save_that_fails_in_one_worker_fails_in_all_and_leaves_nothing(tmp_path, monkeypatch):
    save(tmp_path, 3)
    before = sorted(path.name for path in tmp_path.iterdir())
    sync = files.sync

    def refusing(path):
        if "codes-00002" in path.name:
            raise OSError(28, "No space left on device")
        sync(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync", refusing)
        results = save(tmp_path, 3, step=9)
    for error in results:
        assert isinstance(error, files.WriteError)
        assert "No space left on device" in str(error)
    assert "worker 2" in str(results[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert save(tmp_path, 3, step=9) == [tmp_path / "model-9"] * 3


def test_what_a_killed_save_leaves_is_swept_and_older_checkpoints_are_dropped(tmp_path):
    save(tmp_path, 2, step=4)
    (tmp_path / ".tmp-model-9").mkdir()
    (tmp_path / ".tmp-model-9/model-9.json").touch()  # the manifest was complete, and some files were in place
    (tmp_path / ".tmp-model-9/model-9.index").touch()
    (tmp_path / "model-9.codes-00000-of-00002.index").touch()
    save(tmp_path, 3, step=6, settings=TrainSettings(dataset="TOY", channels=4, augment_to=2 * N, seed=3, keep=1))
    names = {path.name.partition(".")[0] for path in tmp_path.iterdir()}
    assert names == {"model-6", "checkpoint"}
    assert len(list(tmp_path.iterdir())) == 2 * 4 + 2


def test_copies_and_their_codes_do_not_depend_on_the_number_of_workers():
    pixels, codes = samples(N, (8, 8, 3), 4)
    settings = TrainSettings(augment_to=3 * N, augment="move,color,invert,flip")
    one = Augmented(Rows(pixels, np.arange(N)), settings)
    images, all_codes = one[:], one.codes(Rows(codes, np.arange(N)))

    def action(crew):
        shard = shards.rows(0, N, crew.index, 3)
        own = Augmented(Rows(pixels, shard), settings, shard, N)
        return own[:], own.codes(Rows(codes, shard), crew.sum)

    for index, (own_images, own_codes) in enumerate(in_all(3, action)):
        rows = shards.table_rows(0, N, 2, index, 3)
        np.testing.assert_array_equal(own_images, images[rows])
        np.testing.assert_allclose(own_codes, all_codes[rows], atol=1e-5)

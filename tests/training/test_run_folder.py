"""A run folder is locked while a run trains, and what cannot be written is reported before training starts."""

import os

import pytest

from glo.runtime import paths
from glo.runtime.errors import UserError
from glo.settings import TrainSettings
from glo.training import run_folder


def test_a_folder_has_one_trainer(tmp_path):
    settings = TrainSettings(dataset="TOY", train_dir=str(tmp_path))
    with run_folder.created(settings) as run:
        paths.manifest(paths.model(run, 1)).touch()
        again = TrainSettings(checkpoint=str(run))
        with pytest.raises(UserError, match="another process is training"), run_folder.resumed(again):
            pass
        with run_folder.resumed(TrainSettings(checkpoint=str(run), dry_run=True)):  # reads only
            pass
        with run_folder.resumed(TrainSettings(checkpoint=str(run / "model-1"))):  # starts a run elsewhere
            pass
    with run_folder.resumed(again):
        pass


def test_a_folder_without_checkpoints_gets_no_files(tmp_path):
    with run_folder.resumed(TrainSettings(checkpoint=str(tmp_path))):
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("way", ["log.txt", "reconstructions", "read-only"])
def test_what_cannot_be_written_is_reported_in_one_line(tmp_path, monkeypatch, way):
    match way:
        case "log.txt":
            (tmp_path / way).mkdir()
        case "reconstructions":
            (tmp_path / way).touch()
        case "read-only":  # root may write to any folder
            monkeypatch.setattr(os, "access", lambda *_: False)
    place = tmp_path if way == "read-only" else tmp_path / way
    with pytest.raises(UserError, match=f"cannot write {place}:"), run_folder.locked(tmp_path):
        pass

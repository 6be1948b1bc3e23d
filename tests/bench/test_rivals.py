"""The bench of rivals: which runs it makes, and that it goes on where it stopped. The commands are replaced."""

import json

import numpy as np
import pytest

from bench import rivals
from glo.runtime.errors import UserError
from tests.support import samples, write_flat

MEASURED = {
    "train_psnr": 30.0, "heldout_psnr": 29.0, "encoder_psnr": None,
    "extractor": {"name": "classifier", "sha256": "a" * 64},
    "copying": {"samples": {"c_t": None, "nearer": 0.5, "authentic": 0.6}},
    "frechet": dict.fromkeys(("training", "training_few", "reconstructions", "gaussian", "mixture", "midpoints"), 2.0),
}  # fmt: skip


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """The calls of commands, which write what the bench reads of a run."""
    made = []

    def call(script, *args, check=True):
        args = [str(arg) for arg in args]
        made.append([script, *args])
        if script == "trainer.py" and "--checkpoint" in args:
            return 2  # the run is complete
        if script == "trainer.py":
            flags = dict(zip(args[::2], args[1::2], strict=True))
            run = tmp_path / f"{flags['--prefix']}-MNIST_lr_0.1-20260101-{len(made):06d}"
            run.mkdir()
            penalty = {"gan": "gradient_penalty: 10.0\n"}.get(flags["--method"], "")
            (run / "config.yaml").write_text(f"dataset: MNIST\nmethod: {flags['--method']}\nbatch_size: 8\n{penalty}")
            record = {"step": 9, "loss": 1.0, "seconds": 60.0, "images": 72, "peak_memory": 700.0}
            (run / "metrics.jsonl").write_text(json.dumps(record) + "\n")
            (run / "model-9.json").write_text("{}")
        else:
            run = tmp_path / args[1]
            folder = run / f"eval-{max(int(path.stem[6:]) for path in run.glob('model-*.json'))}"
            folder.mkdir()
            (folder / "metrics.json").write_text(json.dumps({"checkpoint": "x", "rivals": MEASURED}))
            np.savez(folder / "generate_default.npz", image=np.zeros((4, 8, 8, 1), np.uint8))
        return 0

    monkeypatch.setattr(rivals, "_call", call)
    return made


def test_runs_are_made_once_and_partial_tables_are_written(tmp_path, calls):
    write_flat(tmp_path / "datasets/MNIST", *samples(4, (8, 8, 1), 2))
    folders = ["--data_dir", str(tmp_path / "datasets"), "--out", str(tmp_path)]
    args = [*folders, "--methods", "glo", "gan", "--seeds", "0", "1", "--minutes", "2"]
    rivals.main([*args, "--runs", "1"])
    assert [call[0] for call in calls] == ["trainer.py", "evaler.py"]
    assert calls[0][-6:] == ["--minutes", "2", "--channels", "96", "--method", "glo"]
    assert "| MNIST | glo | 1 | 30.0 | 29.0 | - |" in (tmp_path / "rivals.md").read_text()
    rivals.main(args)
    assert len(calls) == 8
    table = (tmp_path / "rivals.md").read_text()
    assert "| MNIST | glo | 2 | 30.0 ± 0.0 |" in table
    assert "| MNIST | gan | 2 |" in table
    assert (tmp_path / "rivals_mnist.png").is_file()
    (run,) = tmp_path.glob("glo.1-*")
    (run / "model-12.json").write_text("{}")  # trained further since it was measured
    rivals.main([*args, "--runs", "1"])
    assert [call[:3] for call in calls[8:]] == [
        ["trainer.py", "--checkpoint", str(run)],
        ["evaler.py", "--checkpoint", str(run)],
    ]
    rivals.main(args)
    assert len(calls) == 10


def test_all_generators_can_be_given_a_width(tmp_path, calls):
    rivals.main(["--out", str(tmp_path), "--methods", "pca", "vae", "--channels", "24"])
    trained = {call[-1]: call for call in calls if call[0] == "trainer.py"}
    assert "--channels" not in trained["pca"]  # whose generator is linear
    assert trained["vae"][-4:] == ["--channels", "24", "--method", "vae"]


def test_a_command_that_fails_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(rivals.subprocess, "run", lambda command: type("Result", (), {"returncode": 2}))
    with pytest.raises(UserError, match=r"trainer.py --dataset MNIST.*exit code 2"):
        rivals.main(["--out", str(tmp_path), "--methods", "pca"])

"""trainer.py --method end to end: files, resuming, evaluation by the same tasks, and the table of rivals."""

import json

import numpy as np
import pytest
import yaml

import glo
from tests.runs import assert_same, evaluate, metrics, newest, records, tensors, train
from tests.support import assert_ok, assert_one_line_error, call, samples, write_flat

pytestmark = pytest.mark.slow
RIVALS = ("pca", "autoencoder", "vae", "gan")
EXTRA = {"autoencoder": ["--gradient_penalty", 0.01, "--code_decay", 0.001], "gan": ["--max_samples", 30]}
TASKS = ["--reconstruct", "--generate", "--interpolate", "--style_sweep", "--analogy", "0,1,2", "--neighbors"]


def start(method, prefix, *args):
    train("--dataset", "TOY", "--method", method, "--prefix", prefix, *EXTRA.get(method, []), *args)


@pytest.mark.parametrize("method", RIVALS)
def test_a_method_trains_is_resumed_exactly_and_evaluated_by_all_tasks(home, method, monkeypatch):
    """Three epochs of 4 steps, and 4 steps in which codes are found; cut in the middle of both."""
    monkeypatch.setattr("glo.training.methods.gan.UPDATES", 3)
    start(method, f"{method}-whole", "--epochs", 3)
    start(method, f"{method}-parts", "--epochs", 3, "--max_steps", 7)
    whole, parts = newest(home, f"{method}-whole"), newest(home, f"{method}-parts")
    # The codes of a vae are found by the step that finds those of an autoencoder.
    for end in (16,) if method == "vae" else (14, 16):
        assert_ok(call("trainer.py", "--checkpoint", parts, "--max_steps", end))
    assert_same(whole / "model-16", parts / "model-16")
    logged = records(whole)[-2:]
    named = {"vae": {"kl"}, "gan": {"discriminator_loss", "discriminator_accuracy"}}.get(method, set())
    assert named <= {name for record in records(whole) for name in record}
    assert logged[-1]["peak_memory"] > 10
    evaluate("--checkpoint", whole, *TASKS, "--num_samples", 4)
    measured = metrics(whole / "eval-16")
    assert {"train", "test", "generate", "interpolate", "style_sweep", "analogy", "neighbors"} <= measured.keys()
    assert measured["train"]["psnr"] == pytest.approx(records(whole)[-1]["train_psnr"], abs=0.01)
    run = glo.load(whole)
    assert run.codes.shape == (30 if method == "gan" else 32, 6)
    assert run.sample(3)[0].shape == (3, 8, 8, 1)
    assert np.abs(run.encode(run.dataset.images[:2])).max() > 0
    if method != "gan":
        evaluate("--checkpoint", whole, "--encode")
        np.testing.assert_allclose(run.encoder.codes(run.dataset.train_images[:]), run.codes, rtol=1e-3, atol=1e-4)


def test_the_table_of_rivals(home, monkeypatch):
    """Two seeds of GLO and a GAN, which has codes of ten images alone, measured by the same task."""
    monkeypatch.setattr("glo.features.trained.MIN_STEPS", 2)
    monkeypatch.setattr("glo.data.dataset.CODED", 10)
    images, codes = samples(60, (8, 8, 1), 3)
    split, label = (np.arange(60) >= 40).astype(np.uint8), np.arange(60, dtype=np.int32) % 2
    write_flat(home / "datasets/RIVALS", images, codes, split=split, label=label)
    runs = []
    for method, seed in (("glo", 0), ("glo", 1), ("gan", 0)):
        train("--dataset", "RIVALS", "--method", method, "--seed", seed, "--prefix", f"rival-{method}", "--epochs", 1)
        runs.append(newest(home, f"rival-{method}"))
        evaluate("--checkpoint", runs[-1], "--rivals", "--fit_steps", 3)
    (folder,) = runs[-1].glob("eval-*")
    measured = metrics(folder)["rivals"]
    assert measured["n"] == 20
    assert measured["frechet"].keys() == {
        "training", "training_few", "reconstructions", "gaussian", "mixture", "leading", "midpoints"
    }  # fmt: skip
    assert measured["encoder_psnr"] is None
    result = call("evaler.py", "--compare", *runs, "--table", "rivals", "--output_dir", "compared")
    assert_ok(result)
    rows = [line.split(" | ") for line in result.stdout.splitlines() if line.startswith("| RIVALS")]
    assert [row[1:3] for row in rows] == [["glo", "2"], ["gan", "1"]]
    psnr = [metrics(next(run.glob("eval-*")))["rivals"]["train_psnr"] for run in runs[:2]]
    assert rows[0][3] == f"{np.mean(psnr):.1f} ± {abs(psnr[0] - psnr[1]) / 2:.1f}"
    assert "not comparable" not in result.stderr
    changed = (folder / "metrics.json").read_text().replace(measured["extractor"]["sha256"], "0" * 64)
    (folder / "metrics.json").write_text(changed)
    result = call("evaler.py", "--compare", *runs, "--table", "rivals", "--output_dir", "compared")
    assert "distances on RIVALS are not comparable" in assert_ok(result)


def test_refusals(home):
    for args, fragments in (
        (["--dataset", "TOY", "--method", "vae", "--alpha", 3], ["--alpha has no effect with --method vae"]),
        (
            ["--dataset", "TOY", "--method", "vae", "--minutes", 1, "--epochs", 1],
            ["--minutes and --epochs", "drop one"],
        ),
    ):
        assert_one_line_error(call("trainer.py", *args), *fragments)
    assert_one_line_error(call("evaler.py", "--dataset", "TOY", "--table", "rivals"), "--compare")
    start("vae", "refusing", "--epochs", 1)
    run = newest(home, "refusing")
    step = max(int(path.stem.split("-")[1]) for path in run.glob("model-*.json"))
    for args, fragments in (
        (["--checkpoint", run / f"model-{step}", "--method", "glo"], ["method vae, not glo"]),
        (["--checkpoint", run, "--alpha", 2], ["--alpha has no effect with --method vae"]),
        (["--checkpoint", run, "--encoder"], ["has an encoder", "drop --encoder"]),
    ):
        assert_one_line_error(call("trainer.py", *args), *fragments)
    assert_one_line_error(call("evaler.py", "--compare", run, "--table", "rivals"), "--rivals")


def test_a_budget_chooses_epochs_once(home, monkeypatch):
    """The timing is replaced, since it depends on the machine: a step takes a second, finding codes nothing.

    4,000 steps are usual, so that 17 seconds are enough for half the channels, and for 4 epochs of 4 steps.
    """
    from glo.training import budget

    def seconds(training, step, start, learned, count):
        assert training.model.step == 0
        step(*next(training.batches(start, learned)))  # changes the model, which must not be used afterwards
        return 1.0

    monkeypatch.setattr(budget, "_seconds", seconds)
    (home / "sized.yaml").write_text("batch_size: 8\nloss: mse\nprecision: float32\n")
    train("--config", home / "sized.yaml", "--dataset", "TOY", "--prefix", "timed", "--minutes", 0.3, "--max_steps", 3)
    run = newest(home, "timed")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    assert (settings["epochs"], settings["channels"]) == (4, 48)
    train("--dataset", "TOY", "--prefix", "untimed", "--epochs", 4, "--channels", 48)
    monkeypatch.setattr(budget, "_seconds", lambda *_: pytest.fail("timed again"))
    assert_ok(call("trainer.py", "--checkpoint", run, "--max_steps", 16))
    timed, untimed = tensors(run / "model-16"), tensors(newest(home, "untimed") / "model-16")
    for name, value in untimed.items():
        np.testing.assert_array_equal(timed[name], value, err_msg=name)


def test_a_checkpoint_from_before_is_of_glo(home):
    train("--dataset", "TOY", "--prefix", "older", "--max_steps", 2)
    path = newest(home, "older") / "model-2.json"
    content = json.loads(path.read_text())
    for name in ("method", "minutes", "beta", "gradient_penalty"):
        del content["settings"][name]
    path.write_text(json.dumps(content))
    train("--checkpoint", path.parent, "--max_steps", 3)
    assert glo.load(path.parent).settings.method == "glo"

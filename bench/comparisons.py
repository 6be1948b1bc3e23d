"""What is measured: each function takes the rounds and the folder of datasets, and gives the rows of a comparison."""

import contextlib
import dataclasses
import functools
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np

from bench.decoding import decoding
from bench.steps import BATCH, growth, random_data, speed, stepper
from bench.timing import Range, Row, in_turn, rate, ratio
from glo.building import build
from glo.data.batches import batches
from glo.data.block import Block
from glo.data.dataset import GRID, Dataset, load_dataset, permutation
from glo.inference import fitting
from glo.inference.decoder import Decoder
from glo.model import precision
from glo.model.glo_model import GloModel
from glo.model.losses import build as build_loss
from glo.runtime import paths
from glo.settings import BuildSettings, TrainSettings, fields
from glo.training import checkpoint, loop, resume
from glo.training.step import make_step

ROOT = Path(__file__).resolve().parent.parent
GOAL = 27.0  # dB


def streaming(rounds: int, data_dir: str) -> Iterator[Row]:
    """Training from the file against training from memory, batches and all: 100,000 images of 32x32x3."""
    images, codes = random_data(100_000, (32, 32, 3), 64)
    settings = TrainSettings()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "big").mkdir()
        with h5py.File(Path(folder) / "big" / "data.hdf5", "w") as file:
            file.create_dataset("image", data=images, chunks=(21, 32, 32, 3), fletcher32=True)
            file["code"] = codes
        contenders = {}
        with contextlib.ExitStack() as stack:
            for name, limit in (("memory", "4G"), ("file", "0")):
                dataset = load_dataset(folder, "big", 0.1, 0, memory_limit=limit)
                drawn = stack.enter_context(contextlib.closing(batches(dataset.train_images, BATCH, 0, 0)))
                contenders[name] = _trainer(dataset, settings, drawn, 250)
            found = in_turn(contenders, rounds)
    for name in contenders:
        yield Row(f"images in the {name}".replace("the memory", "memory"), Range.of(found[name]), "images/s")
    yield Row("file / memory", ratio(found["file"], found["memory"]), "x", "0.9")


def _trainer(dataset: Dataset, settings: TrainSettings, drawn: Iterator, steps: int) -> Callable[[], float]:
    step = make_step(GloModel(dataset.image_shape, dataset.train_codes, settings), settings, learned=10**6)

    def run() -> None:
        for batch in itertools.islice(drawn, steps):
            losses = step(*batch)
        losses.numpy()

    return lambda: rate(run, steps * settings.batch_size)


def saving(rounds: int, data_dir: str) -> Iterator[Row]:
    """How long a save of 200,000 codes of 128 with Adam's moments (310 MB) holds training up."""
    images, codes = random_data(200_000, (8, 8, 1), 128)
    settings = TrainSettings(channels=16, keep=1)
    model = GloModel((8, 8, 1), codes, settings)
    step, random = make_step(model, settings, learned=10**6), np.random.default_rng(1)

    def seconds() -> float:
        start = time.perf_counter()
        rows = random.choice(len(images), BATCH, replace=False)
        step(rows, images[rows]).numpy()
        return time.perf_counter() - start

    with tempfile.TemporaryDirectory() as folder:
        saver = checkpoint.Saver(Path(folder), settings, {})

        def stall() -> float:
            usual = np.median([seconds() for _ in range(50)])
            start = time.perf_counter()
            saver.save(model)
            held_up = time.perf_counter() - start
            longest = max(seconds() for _ in range(200))
            saver.wait()
            return held_up + longest - usual

        found = in_turn({"stall": stall}, rounds)
    yield Row("stall of a save, 310 MB", Range.of(found["stall"]), "s", "< 1")


def around(rounds: int, data_dir: str) -> Iterator[Row]:
    """What logging, pictures, TensorBoard and checkpoints cost: runs of MNIST against their bare steps."""
    dataset, settings = mnist(data_dir)

    def bare(steps: int) -> float:
        step = make_step(GloModel(dataset.image_shape, dataset.train_codes, settings), settings, learned=steps)
        with contextlib.closing(batches(dataset.train_images, settings.batch_size, 0, 0)) as drawn:
            start = time.perf_counter()
            for batch in itertools.islice(drawn, steps):
                losses = step(*batch)
            losses.numpy()
        return time.perf_counter() - start

    def whole(steps: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            loop.train(Path(folder), settings, dataset, resume.Length(steps, steps, steps), None)
            return time.perf_counter() - start

    short, long = 400, 1600  # one save in between, as in any 1,000 steps or so
    contenders = {(act, n): functools.partial(act, n) for n in (short, long) for act in (bare, whole)}
    found = {key: np.array(values) for key, values in in_turn(contenders, (rounds + 1) // 2).items()}
    steps = {act: found[act, long] - found[act, short] for act in (bare, whole)}
    share = (steps[whole] - steps[bare]) / steps[whole]
    yield Row("all that is not a step, while training on MNIST", Range.of(share.tolist()), "share", "< 0.03")
    fixed = found[whole, short] - found[bare, short] - short * (steps[whole] - steps[bare]) / (long - short)
    yield Row("the same, once a run, at its start and end", Range.of(fixed.tolist()), "s")


def fit(rounds: int, data_dir: str, n: int = 512, steps: int = 200) -> Iterator[Row]:
    """Fitting held-out images against training on as many: n images x 200 steps."""
    dataset, settings = mnist(data_dir)
    model = GloModel(dataset.image_shape, dataset.train_codes, settings)
    step, loss = make_step(model, settings, learned=500), build_loss(settings.loss)
    for batch in _first(dataset, settings, 500):
        step(*batch)
    held_out = dataset.images[dataset.test_rows[:n]]
    codes = model.table.codes.numpy()

    def fitting_rate() -> float:
        def act() -> None:
            starts = fitting.starts(held_out, dataset.train_images, codes)
            fitting.fit(model.generator, loss, settings.projection, held_out, starts, steps, 256)

        return rate(act, n * steps)

    training = stepper(dataset.train_images[:], codes, settings, 100)
    found = in_turn({"fit": fitting_rate, "train": training}, (rounds + 1) // 2)
    yield Row("time of fitting / of joint steps on as many images", ratio(found["train"], found["fit"]), "x", "1.3")


def building(rounds: int, data_dir: str) -> Iterator[Row]:
    """Building a dataset of 20,000 images of 28x28 against HDF5 and scikit-learn's PCA doing the same alone."""
    from sklearn.decomposition import PCA

    images, _ = random_data(20_000, (28, 28, 1), 1)

    def ours() -> float:
        with tempfile.TemporaryDirectory() as folder:
            settings = BuildSettings(dimension=64)
            return rate(lambda: build.build(Path(folder), "x", "x", lambda _: [Block(images)], settings), len(images))

    def alone() -> float:
        def act() -> None:
            flat = images.reshape(len(images), -1).astype(np.float32) / 255
            codes = PCA(64, random_state=0).fit(flat).transform(flat)
            with tempfile.TemporaryDirectory() as folder, h5py.File(Path(folder, "x.hdf5"), "w") as file:
                file["image"], file["code"] = images, codes

        return rate(act, len(images))

    found = in_turn({"ours": ours, "alone": alone}, rounds)
    yield Row("building a dataset", Range.of(found["ours"]), "images/s")
    yield Row("building / HDF5 and PCA alone", ratio(found["ours"], found["alone"]), "x")


def first_step(rounds: int, data_dir: str) -> Iterator[Row]:
    """Seconds from the command to the end of the first step."""

    def seconds() -> float:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            line = ["--dataset", "MNIST", "--data_dir", data_dir, "--train_dir", folder, "--log_every", "1"]
            process = subprocess.Popen(
                [sys.executable, ROOT / "trainer.py", *line], cwd=ROOT, stderr=subprocess.DEVNULL
            )
            while not any(path.stat().st_size for path in Path(folder).glob("*/metrics.jsonl")):
                time.sleep(0.02)
                if process.poll() is not None:
                    raise RuntimeError(f"trainer.py ended with exit code {process.returncode}")
            taken = time.perf_counter() - start
            process.kill()
            process.wait()
            return taken

    yield Row("command to first step, MNIST", Range.of(in_turn({"seconds": seconds}, rounds)["seconds"]), "s", "< 12")


def quality(rounds: int, data_dir: str, epochs: int = 8) -> Iterator[Row]:
    """Seconds of training until 2,000 training images of MNIST are reconstructed at 27 dB, looking each 100 steps."""
    dataset, settings = mnist(data_dir)
    model = GloModel(dataset.image_shape, dataset.train_codes, settings)
    planned = resume.length(dataclasses.replace(settings, epochs=epochs), dataset).learned
    step, decoder = make_step(model, settings, planned), Decoder(model.generator)
    rows = permutation(len(dataset.train_rows), 0, GRID)[:2000]
    shown, psnr, seconds = dataset.train_images[rows], 0.0, 0.0
    start = time.perf_counter()
    for number, batch in enumerate(_first(dataset, settings, planned), 1):
        losses = step(*batch)
        if number % 100 == 0 or number == planned:
            losses.numpy()
            seconds += time.perf_counter() - start
            codes = model.table.gather(rows).numpy()
            psnr = decoder.measure(codes, shown, build_loss(settings.loss)).result()["psnr"]
            if psnr >= GOAL:
                break
            start = time.perf_counter()
    name = f"time to {GOAL:g} dB on MNIST" if psnr >= GOAL else f"time to {psnr:.1f} dB on MNIST, not {GOAL:g}"
    yield Row(f"{name} (--epochs {epochs}, step {number})", Range.of([seconds]), "s")


ALL: dict[str, Callable[[int, str], Iterator[Row]]] = {
    "speed": speed,
    "growth": growth,
    "streaming": streaming,
    "saving": saving,
    "around": around,
    "fit": fit,
    "building": building,
    "decoding": decoding,
    "first_step": first_step,
    "quality": quality,
}


def mnist(data_dir: str) -> tuple[Dataset, TrainSettings]:
    """The dataset and the recipe's settings, in the precision that is faster here."""
    recipe = fields.read_yaml(paths.config_file("MNIST"))
    settings = fields.resolve(TrainSettings, recipe, fields.Layer(fields.FLAGS, {"dataset": "MNIST"}))
    dataset = load_dataset(data_dir, "MNIST", settings.test_fraction, settings.seed)
    return dataset, precision.decide(settings, dataset.image_shape, dataset.dimension)


def _first(dataset: Dataset, settings: TrainSettings, steps: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    with contextlib.closing(batches(dataset.train_images, settings.batch_size, 0, 0)) as drawn:
        yield from itertools.islice(drawn, steps)

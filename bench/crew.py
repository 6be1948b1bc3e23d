"""A worker of several, which `figures` starts as processes of this module.

python -m bench.crew TASK

measures one round for each line that it reads. TF_CONFIG lists the workers; without it, there is one.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from bench.comparison import Figures, Setup
from bench.worker import ROOT
from glo.runtime import device, log
from glo.settings import TrainSettings
from glo.workers import cluster, launcher, shards
from glo.workers.crew import Crew, joined

FACES = TrainSettings(loss="lap_l1+4*mse", code_noise=0.03)  # in float32, unlike the recipes
SHAPE, DIMENSION, IMAGES, STEPS = (64, 64, 3), 128, 4096, 10
SUMS = (4_000, 400_000, 4_000_000, 40_000_000)  # bytes
CODES, WORKERS = 10**6, (1, 2, 4)


def figures(setup: Setup, task: str, workers: int, threads: int) -> Figures:
    """The figures of the first of `workers` processes, of `threads` threads each."""
    own = {launcher.THREADS: str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
    environments = launcher.environments(workers) if workers > 1 else iter([dict(os.environ)])
    command = [sys.executable, "-m", "bench.crew", task, *(["--tiny"] if setup.tiny else [])]
    with contextlib.ExitStack() as stack:
        crew = [stack.enter_context(_process(command, environment | own)) for environment in environments]
        while True:
            for process in crew:
                process.stdin.write("\n")
                process.stdin.flush()
            answers = [process.stdout.readline() for process in crew]
            if not all(answers):
                raise RuntimeError(f"{task}: a worker has ended, see the messages above")
            yield json.loads(answers[0])


@contextlib.contextmanager
def _process(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _training(crew: Crew, tiny: bool) -> Iterator[dict[str, float]]:
    """Images/s of all workers in the training step, and milliseconds of a sum over workers by its size in bytes."""
    from glo.data.batches import Share
    from glo.model.glo_model import GloModel
    from glo.model.losses import build as build_loss
    from glo.training.step import make_step

    settings = dataclasses.replace(FACES, channels=1, loss="mse") if tiny else FACES
    n, steps = (64, 2) if tiny else (IMAGES, STEPS)
    rows = shards.rows(0, n, crew.index, crew.count)
    random = np.random.default_rng(crew.index)
    images = random.integers(0, 256, (len(rows), *SHAPE), np.uint8)
    model = GloModel(SHAPE, random.standard_normal((len(rows), DIMENSION), np.float32), settings)
    step = make_step(model, build_loss(settings.loss), settings, 10**6, crew, rows if crew.count > 1 else None)
    size = Share(n, 1, crew.index, crew.count).bound(1, min(settings.batch_size, n))

    def run() -> None:
        for _ in range(steps):
            batch = random.choice(len(rows), size, replace=False)
            losses = step(batch, images[batch])
        losses.numpy()

    run()
    arrays = {size: np.zeros(100 if tiny else size // 4, np.float32) for size in SUMS}
    while True:
        figures = {"images/s": steps * min(settings.batch_size, n) / _seconds(crew, run)}
        if crew.count > 1:
            figures |= {str(size): 1000 * _seconds(crew, partial(crew.sum, array)) for size, array in arrays.items()}
        yield figures


def _codes(tiny: bool) -> Iterator[dict[str, float]]:
    """Megabytes that the code table of a worker takes, with the state of its optimizer, by the number of workers."""
    from glo.model.codes import CodeTable, unset

    CodeTable(unset(1, 64), "adam", "ball")
    figures, tables = {}, []  # all are kept, because the memory of a table that is dropped would be used again
    for count in sorted(WORKERS, reverse=True):
        before = _resident()
        tables.append(CodeTable(unset(shards.length(1000 if tiny else CODES, 0, count), 64), "adam", "ball"))
        figures[str(count)] = (_resident() - before) / 1e6
    while True:
        yield figures


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _seconds(crew: Crew, action: Callable[[], object]) -> float:
    """Seconds from when all workers are ready until all have finished."""
    crew.exchange("ready", None)
    start = time.perf_counter()
    action()
    crew.exchange("finished", None)
    return time.perf_counter() - start


def main() -> None:
    task, tiny = sys.argv[1], "--tiny" in sys.argv
    log.logger.setLevel("ERROR")
    with joined(cluster.find(None), 120) as crew:
        device.select("cpu")
        crew.connect()
        measured = _codes(tiny) if task == "codes" else _training(crew, tiny)
        for _ in sys.stdin:
            print(json.dumps(next(measured)), flush=True)


if __name__ == "__main__":
    main()

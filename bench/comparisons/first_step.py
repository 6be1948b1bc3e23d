"""The time from the command to the end of the first training step."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.comparison import Comparison, Contender, Figures, Setup
from bench.timing import Range, Row

ROOT = Path(__file__).resolve().parent.parent.parent


def _seconds(setup: Setup) -> Figures:
    while True:
        with tempfile.TemporaryDirectory() as folder:
            line = [sys.executable, ROOT / "trainer.py", "--dataset", "MNIST", "--data_dir", setup.data_dir]
            line += ["--train_dir", folder, "--log_every", "1"]
            start = time.perf_counter()
            process = subprocess.Popen(line, cwd=ROOT)
            try:
                while not any(path.stat().st_size for path in Path(folder).glob("*/metrics.jsonl")):
                    time.sleep(0.02)
                    if process.poll() is not None:
                        raise RuntimeError(f"trainer.py ended with exit code {process.returncode}")
                seconds = time.perf_counter() - start
            finally:
                process.kill()
                process.wait()
            yield seconds


def _rows(figures: dict[str, list[float]]) -> Iterator[Row]:
    yield Row("command to first step, MNIST", Range.of(figures["seconds"]), "s", "< 12")


COMPARISON = Comparison("the start of training", {"seconds": Contender(_seconds, library=None)}, _rows)

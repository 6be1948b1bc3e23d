"""Kills workers at random moments, and checks that all others end, that nothing is lost, and that the run continues.

python -m tests.workers.campaign --kills 10 --seed 0
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from glo.runtime import paths
from glo.training import manifest
from tests.runs import assert_same, newest
from tests.support import samples, write_flat
from tests.workers.processes import SECONDS, SETTINGS, started, train, wait_for, wait_for_end, workers

STEPS = 400
EARLY = 0.3  # the share of kills at any moment from the start on; all others come after the first checkpoint


class Campaign:
    """A folder with a dataset and undisturbed runs, in which workers are killed."""

    def __init__(self, home: Path, random: np.random.Generator):
        self.home, self.random = home, random
        images, codes = samples(60, (8, 8, 1), 6)
        write_flat(home / "datasets/TOY", images, codes, split=(np.arange(60) >= 50).astype(np.uint8))
        self.whole, self.seconds = {}, 0.0
        for count in (2, 4):
            started_at = time.monotonic()
            self.whole[count] = self.finish(f"whole{count}", count)
            self.seconds = time.monotonic() - started_at

    def arguments(self, prefix: str, count: int) -> list[object]:
        return [*SETTINGS, "--save_every", 2, "--prefix", prefix, "--workers", count, "--max_steps", STEPS]

    def finish(self, prefix: str, count: int) -> Path:
        train(self.home, *self.arguments(prefix, count), timeout=600)
        return newest(self.home, prefix)

    def kill(self, number: int) -> str:
        """Kill a worker of a new run, and check what is promised. Returns what happened in words."""
        count, prefix = (2, 4)[number % 2], f"run{number}"
        victim, early = int(self.random.integers(count)), self.random.random() < EARLY
        delay = self.random.uniform(0, self.seconds if early else self.seconds / 3)
        with started(self.home, *self.arguments(prefix, count)) as process:
            wait_for(lambda: victim in workers(process) and (early or self.steps(prefix)), process)
            deadline = time.monotonic() + delay
            while time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.005)
            with contextlib.suppress(KeyError, ProcessLookupError):
                os.kill(workers(process)[victim], signal.SIGKILL)
            killed = time.monotonic()
            log = wait_for_end(process, SECONDS)
            ended = time.monotonic() - killed
            code = process.returncode
        result = f"{count} workers, worker {victim} killed {delay:.1f} s after {'the start' if early else 'a save'}"
        if code == 0:
            return f"{result}: the run had ended"
        errors = [line for line in log.splitlines() if line.startswith("error: ")]
        assert code == 2, (code, log)
        assert len(errors) == 1, log
        assert f"worker {victim} " in errors[0], log
        steps = self.steps(prefix)
        for step in steps:
            manifest.read(paths.model(newest(self.home, prefix), step))
        result += f": all ended in {ended:.1f} s"
        if not steps:
            return f"{result}, before the first checkpoint"
        run, whole = newest(self.home, prefix), self.whole[count]
        if steps[-1] < STEPS:
            train(self.home, "--checkpoint", run, "--workers", count, "--max_steps", STEPS, timeout=600)
        for part in ("", *(f".codes-{index:05d}-of-{count:05d}" for index in range(count))):
            assert_same(run / f"model-{STEPS}{part}", whole / f"model-{STEPS}{part}")
        assert not list(run.rglob(".tmp-*"))
        return f"{result}, continued from step {steps[-1]}, same bits"

    def steps(self, prefix: str) -> list[int]:
        runs = list(self.home.glob(f"train_dir/{prefix}-*"))
        return paths.steps(runs[0]) if runs else []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder), np.random.default_rng(options.seed))
        for number in range(options.kills):
            try:
                print(number + 1, "ok", campaign.kill(number), flush=True)
            except Exception as error:
                failed += 1
                print(number + 1, "FAILED", type(error).__name__, error, flush=True)
    print(f"{options.kills} kills, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

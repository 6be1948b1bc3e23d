"""Kill the three commands at random moments: nothing may be lost, and the result must equal that without a kill.

python -m tests.faults.campaign --kills 100 --seed 0

Signals are KILL, TERM, HUP and INT, and STOP followed by CONT. Each round starts a tiny build, training run or
evaluation, sends one signal after a random delay, checks what is left, continues, and compares with an undisturbed
process. Prints a line for each kill and a table at the end; the exit code is 1 if a check failed.
"""

import argparse
import collections
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from glo.runtime import paths
from glo.training import manifest
from tests.runs import SAME, assert_same
from tests.support import ROOT, handles_signals

KILLS = ("KILL", "TERM", "HUP", "INT", "STOP")
PICTURES, STEPS = 600, 400
FINISHED = {"build": f"data.hdf5: {PICTURES} images", "train": "done: ", "evaluate": "written to "}  # in the log
TRAIN = [*SAME, "--channels", 1, "--log_every", 1, "--save_every", 3]
EVALUATE = ["--generate", "--reconstruct", "--num_fit", 4, "--fit_steps", 5, "--force"]


class Missed(Exception):  # noqa: N818 - not an error
    """The command ended before the signal was sent, so that this round tests nothing."""


class Campaign:
    """A folder with a dataset and undisturbed results, in which rounds of a campaign are run."""

    def __init__(self, folder: Path, random: np.random.Generator):
        self.folder, self.random = folder, random
        pictures = folder / "pictures"
        pictures.mkdir()
        for index in range(PICTURES):
            values = np.random.default_rng(index).integers(0, 256, (48, 48, 3), np.uint8)
            Image.fromarray(values).save(pictures / f"{index:04d}.png")
        self.build = ["--images", "pictures", "--size", 8, "--dimension", 3, "--name"]
        self.seconds = {
            "build": self.finish("download.py", *self.build, "WHOLE"),
            "train": self.finish("trainer.py", "--dataset", "WHOLE", "--prefix", "whole", *TRAIN, "--max_steps", STEPS),
        }
        (self.whole,) = folder.glob("train_dir/whole-*")
        self.seconds["evaluate"] = self.finish("evaler.py", "--checkpoint", self.whole, *EVALUATE)
        self.samples = self.evaluated()

    def start(self, script, *args) -> subprocess.Popen:
        line = [sys.executable, str(ROOT / script), *map(str, args)]
        return subprocess.Popen(line, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def finish(self, script, *args) -> float:
        """Run a command to its end; returns the seconds that it took."""
        started = time.monotonic()
        process = self.start(script, *args)
        log = process.communicate(timeout=900)[1]
        assert process.returncode == 0, log
        return time.monotonic() - started

    def disturb(self, name: str, kill: str, script, *args) -> str:
        """Run a command, send it a signal at a random moment, and check how it ends; returns this in words.

        Raises `Missed` if the command ended before the signal was sent; the next delays are shorter.
        """
        delay = self.random.uniform(0.05, 1) * self.seconds[name]
        started = time.monotonic()
        process = self.start(script, *args)
        while not handles_signals(process):
            time.sleep(0.005)
        try:
            process.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            pass
        else:
            self.seconds[name] = time.monotonic() - started
            raise Missed
        number = getattr(signal, f"SIG{kill}")
        process.send_signal(number)
        if kill == "STOP":
            time.sleep(0.5)
            process.send_signal(signal.SIGCONT)
        log = process.communicate(timeout=900)[1]
        allowed = {"KILL": (-number,), "STOP": (0,)}.get(kill, (0, 128 + number, -number))
        assert process.returncode in allowed, (process.returncode, log)
        assert "Traceback" not in log, log
        if kill != "KILL" and process.returncode <= 0:  # the signal came while Python exited
            assert FINISHED[name] in log, log
        return f"after {delay:.2f} s: exit code {process.returncode}"

    def building(self, kill: str, index: int) -> str:
        name = f"BUILD{index}"
        result = self.disturb("build", kill, "download.py", *self.build, name)
        if not (self.folder / "datasets" / name / "data.hdf5").exists():
            result += ", continued"
            self.finish("download.py", *self.build, name, "--resume")
        self.finish("download.py", "--verify", name)
        with (
            h5py.File(self.folder / f"datasets/{name}/data.hdf5") as file,
            h5py.File(self.folder / "datasets/WHOLE/data.hdf5") as whole,
        ):
            for key in ("image", "code", "split"):
                np.testing.assert_array_equal(file[key], whole[key], err_msg=key)
        return result

    def training(self, kill: str, index: int) -> str:
        prefix = f"run{index}"
        args = ["--dataset", "WHOLE", "--prefix", prefix, *TRAIN, "--max_steps", STEPS]
        result = self.disturb("train", kill, "trainer.py", *args)
        runs = list(self.folder.glob(f"train_dir/{prefix}-*"))
        steps = paths.steps(runs[0]) if runs else []
        for step in steps:
            manifest.read(paths.model(runs[0], step))
        if not steps:
            return f"{result}, before the first checkpoint"
        if steps[-1] < STEPS:
            result += f", continued from step {steps[-1]}"
            self.finish("trainer.py", "--checkpoint", runs[0], "--max_steps", STEPS)
        assert_same(paths.model(runs[0], STEPS), paths.model(self.whole, STEPS))
        assert not list(runs[0].rglob(".tmp-*"))
        return result

    def evaluating(self, kill: str, index: int) -> str:
        result = self.disturb("evaluate", kill, "evaler.py", "--checkpoint", self.whole, *EVALUATE)
        self.finish("evaler.py", "--checkpoint", self.whole, *EVALUATE)
        for name, values in self.evaluated().items():
            np.testing.assert_array_equal(values, self.samples[name], err_msg=name)
        return result

    def evaluated(self) -> dict[str, np.ndarray]:
        (file,) = self.whole.glob("eval-*/generate_*.npz")
        with np.load(file, allow_pickle=False) as content:
            return dict(content)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # What starts this program in the background may ignore these signals, and the commands would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    counts: collections.Counter[tuple[str, str, str]] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder), np.random.default_rng(options.seed))
        rounds = (campaign.training, campaign.building, campaign.evaluating)
        index = sent = 0
        while sent < options.kills:
            task, kill = rounds[sent % 3], KILLS[sent // 3 % len(KILLS)]
            index += 1
            try:
                outcome, result = "ok", task(kill, index)
            except Missed:
                continue
            except (AssertionError, subprocess.TimeoutExpired) as error:
                outcome, result = "FAILED", str(error)
            sent += 1
            counts[task.__name__, kill, outcome] += 1
            print(f"{sent} {task.__name__} {kill} {outcome} {result}", flush=True)
    for key, count in sorted(counts.items()):
        print(*key, count)
    return int(any(outcome != "ok" for *_, outcome in counts))


if __name__ == "__main__":
    sys.exit(main())

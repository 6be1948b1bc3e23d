"""A contender in a process of its own, because threads and allocators of two libraries disturb each other.

python -m bench.worker COMPARISON CONTENDER

builds the contender, measures one round for each line that it reads, and prints the figure as a line of JSON.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.comparison import Contender, Figures, Setup
from glo.runtime import device, errors, log

ROOT = Path(__file__).resolve().parent.parent
GRACE_SECONDS = 10  # time for a process to end by itself


def figures(comparison: str, name: str, contender: Contender, setup: Setup) -> Figures:
    """Measure a contender in a new process, one round for each figure. Close the iterator to end the process.

    If the process fails with a `UserError`, the same error is raised here; for any other failure, `RuntimeError`.
    """
    command = [sys.executable, "-m", "bench.worker", comparison, name]
    command += ["--data_dir", os.path.abspath(setup.data_dir), "--folder", os.path.abspath(setup.folder)]
    command += ["--tiny"] if setup.tiny else []
    with tempfile.TemporaryFile("w+", encoding="utf-8") as messages:  # logs and progress bars would disrupt the table
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **contender.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
        )
        try:
            while True:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write("\n")
                    process.stdin.flush()
                figure = process.stdout.readline()
                if not figure:
                    code = process.wait()
                    messages.seek(0)
                    text = messages.read()
                    if code == 2:
                        raise errors.UserError(text.rpartition("error: ")[2])
                    raise RuntimeError(f"{comparison}, {name}: the process ended with exit code {code}\n{text}")
                yield json.loads(figure)
        finally:
            _end(process)


def _end(process: subprocess.Popen) -> None:
    """Let the process clean up after itself, but do not wait for a round to end."""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.worker", description=__doc__.splitlines()[0])
    parser.add_argument("comparison")
    parser.add_argument("contender")
    parser.add_argument("--data_dir", default="datasets", help="folder of all datasets (default datasets)")
    parser.add_argument("--folder", help="folder that the contenders of a comparison share (default: a temporary one)")
    parser.add_argument("--tiny", action="store_true", help="use a few images and steps, to test that it runs")
    options = parser.parse_args(argv)
    from bench.comparisons import ALL

    contenders = ALL[options.comparison].contenders if options.comparison in ALL else {}
    if options.contender not in contenders:
        raise errors.UserError(
            f"no contender {options.contender} in {options.comparison}: there are {'; '.join(contenders)}"
        )
    contender = contenders[options.contender]
    log.setup()
    if contender.library == "tensorflow":
        device.select("cpu")
    figure_stream, sys.stdout = sys.stdout, sys.stderr  # what libraries print must not be read as a figure
    with contextlib.ExitStack() as stack:
        folder = options.folder or stack.enter_context(tempfile.TemporaryDirectory())
        setup = Setup(options.data_dir, Path(folder), options.tiny)
        measured = stack.enter_context(contextlib.closing(contender.figures(setup)))
        for _ in sys.stdin:
            print(json.dumps(next(measured)), file=figure_stream, flush=True)


if __name__ == "__main__":
    sys.exit(errors.run(main))

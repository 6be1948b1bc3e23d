"""How near the middles of paths are to the data: python -m bench.paths RUN [--data_dir DIR] [--num N]

The images in the middle of paths between random pairs of learned codes are compared with as many held-out images by the
Fréchet distance in the features of evaler.py --extractor auto. Beside it is the memorisation share, because a path
through the graph passes learned codes. `floor` is the distance of as many training images.
"""

import argparse
import json
import sys
from typing import Any

import numpy as np

import glo
from glo.run import Run
from glo.runtime import errors, log
from glo.runtime.errors import UserError
from glo.settings import EvalSettings


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.paths", description=__doc__.splitlines()[0])
    parser.add_argument("run", help="run folder or RUN/model-STEP")
    parser.add_argument("--data_dir", help="folder of all datasets (default: as in training)")
    parser.add_argument("--num", type=int, default=5000, help="pairs (default 5000)")
    settings = parser.parse_args(argv)
    log.setup()
    run = glo.load(settings.run, settings.data_dir)
    if not run.dataset or not len(run.dataset.test_rows):
        raise UserError(f"{settings.run} needs its dataset in --data_dir, with held-out images")
    print(json.dumps(measure(run, settings.num), indent=1))


def measure(run: Run, num: int) -> dict[str, int | dict[str, Any]]:
    """Both measures for the middle of each path, and for reconstructions of training images, which a path ends with."""
    from glo.features import extractors
    from glo.inference.paths import PATHS, interpolate
    from glo.metrics import memorization
    from glo.metrics.distances import frechet

    dataset, random = run.dataset, np.random.default_rng(0)
    num = min(num, len(dataset.test_rows), len(run.codes) // 2)
    rows = random.permutation(len(run.codes))[: 2 * num].reshape(2, num)
    held_out = dataset.images[np.sort(random.permutation(dataset.test_rows)[:num])]
    extractor = extractors.make(EvalSettings(), dataset)
    real = extractors.features(extractor, held_out)
    ends, conditions = run.codes[rows], (run.conditions[rows[0]], run.conditions[rows[1]])
    images = {
        path: interpolate(run.decoder, path, run.codes, *ends, 3, conditions=conditions)[1][:, 1] for path in PATHS
    }
    images["reconstructions"] = run.decoder.images(ends[0], conditions[0])
    measured = {
        name: {
            "frechet": frechet(real, extractors.features(extractor, shown)),
            "memorisation_share": memorization.share_and_control(shown, dataset.train_images, held_out)[0],
        }
        for name, shown in images.items()
    }
    floor = frechet(real, extractors.features(extractor, dataset.train_images[np.sort(rows[0])]))
    return {"pairs": num, "extractor": extractor.describe(), **measured, "floor": {"frechet": floor}}


if __name__ == "__main__":
    sys.exit(errors.run(main))

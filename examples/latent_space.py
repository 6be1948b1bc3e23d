"""A walk through the latent space of a trained run: sample, encode, move along a direction, decode.

python examples/latent_space.py train_dir/default-MNIST_lr_0.005-20260101-120000 walk.png
"""

import sys
from pathlib import Path

import numpy as np

import glo
from glo import pictures

STEPS = 8


def main(path: str, picture: str) -> None:
    run = glo.load(path)
    images, codes = run.sample(STEPS, seed=0)
    print(f"{len(run.codes)} learned codes of {run.codes.shape[1]}, images {run.image_shape}")

    # Fit codes to two generated images, and decode them.
    fitted = run.encode(images[:2])
    reconstructed = run.decode(fitted)
    print(
        f"mean error of the reconstruction: {np.abs(reconstructed.astype(float) - images[:2]).mean():.1f} grey levels"
    )

    # Decode codes on a straight line between two codes.
    positions = np.linspace(0, 1, STEPS, dtype=np.float32)[:, None]
    walk = run.decode((1 - positions) * codes[:1] + positions * codes[1:2])

    # Move from the mean code along the direction in which the learned codes vary most.
    centred = run.codes - run.codes.mean(axis=0)
    direction = np.linalg.svd(centred, full_matrices=False)[2][0]
    spread = (centred @ direction).std()
    sweep = run.decode(run.codes.mean(axis=0) + np.linspace(-2, 2, STEPS)[:, None] * spread * direction)

    rows = {"samples": images, "between the first two": walk, "along the leading direction": sweep}
    panels = [pictures.captioned(caption, pictures.grid(row, STEPS)) for caption, row in rows.items()]
    pictures.save(Path(picture), pictures.below(*panels))


if __name__ == "__main__":
    main(*sys.argv[1:3])

"""What a page holds of a run: the generator, codes of training images, directions, and the sampler."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from glo import pictures
from glo.data import labels
from glo.data.names import printable
from glo.explorer import network, sampling
from glo.explorer.arrangement import arrange, principal_components
from glo.explorer.packing import pack
from glo.inference import projector
from glo.inference.prior import GaussianPrior
from glo.inference.projector import Points
from glo.model import losses
from glo.run import Run
from glo.runtime.errors import UserError
from glo.samplers.cache import Fitted
from glo.samplers.gaussian import Gaussian

DIRECTIONS = 8  # leading principal components of the codes that get a slider
NEGLIGIBLE = 1e-5  # of the largest deviation: along such a component, there is nothing to see
CANDIDATES = 16  # combinations of attributes under which the page fits an image, at most: the most frequent ones
JUDGED = 256  # training images, at most, on which the loss of the run is compared with the squared error
WEBP_QUALITY = 85  # of thumbnails in colour; grey ones are PNGs, without loss

Content = dict[str, Any]


def collect(
    run: Run, sampler: Fitted, n: int, map_method: str, dtype: str, temperature: float, seed: int
) -> tuple[Content, int]:
    """Everything that the page of a run holds, as JSON values, and the number of training images among it.

    sampler: fitted to the learned codes. n: training images, a seeded choice of at most this many. map_method: `pca` or
    `tsne`. dtype: of the weights, `float16` or `float32`; codes are float32. temperature: default of the page.
    """
    points, rows = run.training_points(n, seed), run.choose(n, seed)
    mean, axes, deviations = principal_components(run.codes)
    shown = min(DIRECTIONS, int(np.sum(deviations > NEGLIGIBLE * deviations[0])))
    content = {
        "name": run.settings.dataset,
        "run": run.prefix.parent.name,
        "step": run.step,
        "image": list(run.image_shape),
        "dimension": run.model.dimension,
        "projection": run.settings.projection,
        "network": network.describe(run.model.evaluated, dtype),
        "training": len(run.codes),
        "points": {
            "codes": pack(points.codes),
            "ids": list(map(printable, points.ids)),
            "columns": [{"name": name, **_column(values)} for name, values in points.columns.items()],
            "map": pack(arrange(points.codes, map_method, (mean, axes), seed)),
            "method": map_method,
            "thumbnails": _thumbnails(points),
        },
        "attributes": _attributes(run),
        "condition": _condition(run, rows),
        "prior": _prior(run, rows),
        "directions": {
            "mean": pack(mean), "axes": pack(axes[:shown]), "deviations": pack(deviations[:shown])
        },
        "sampler": {"name": sampler.name, **sampling.describe(sampler.sampler, dtype, seed, temperature)},
        "temperature": temperature,
    }  # fmt: skip
    return content, len(points.codes)


def _attributes(run: Run) -> list[Content]:
    """What strength 1 of each label and attribute adds to a code, where the dataset has any that can be told apart."""
    if run.dataset is None or (run.dataset.labels is None and run.dataset.attributes is None):
        return []
    try:
        classes = labels.contrasts(run.dataset, "--explore")
    except UserError:  # all of them are rare
        return []
    steps = run.directions.conditional
    return [{"name": each.name, "step": pack(step)} for each, step in zip(classes, steps, strict=True)]


def _condition(run: Run, rows: np.ndarray) -> Content | None:
    """Names of the classes or attributes of a conditional model, and the vectors of the training images on the page.

    candidates: the vectors under which the page fits an image whose condition is unknown.
    """
    if not run.conditions.names:
        return None
    exclusive = run.conditions.numbers is not None  # one class, rather than any number of attributes
    names = list(map(printable, run.conditions.names))
    candidates = run.conditions.candidates()[: None if exclusive else CANDIDATES]
    values = pack(run.conditions[rows])
    return {"names": names, "exclusive": exclusive, "values": values, "candidates": pack(candidates)}


def _prior(run: Run, rows: np.ndarray) -> Content | None:
    """The prior with which codes are fitted: the squared length after subtracting `mean` and applying `whitening`.

    The page minimizes the squared error, not the loss of the run. The weight of the prior is therefore multiplied by
    the ratio of the two for some of `rows`. Without the dataset, the ratio is unknown, and there is no prior.
    """
    if not run.settings.fitting_prior or run.dataset is None:
        return None
    rows = rows[:: -(-len(rows) // JUDGED)]
    images, codes, conditions = run.dataset.train_images[rows], run.codes[rows], run.conditions[rows]
    compared = losses.mse, run.loss
    error, loss = (run.decoder.losses(codes, images, each, conditions).mean() for each in compared)
    prior = GaussianPrior(Gaussian.fit(run.codes, 0), run.settings.fitting_prior * error / loss)
    return {"mean": pack(prior.mean), "whitening": pack(prior.whitening)}


def _column(values: list[str]) -> Content:
    """Texts as an index into the different ones, which are sorted with numbers by value."""
    distinct = sorted(set(values), key=lambda text: (0, int(text), "") if text.isdecimal() else (1, 0, text))
    position = {text: index for index, text in enumerate(distinct)}
    return {"values": distinct, "index": pack(np.array([position[text] for text in values]), "int32")}


def _thumbnails(points: Points) -> Content:
    """The images row by row in one picture, as in TensorBoard's projector: `side` pixels each, `across` in a row."""
    side = projector.thumbnail_side(len(points.images), points.images.shape[1:3])
    sheet = projector.sprite(list(points.images), side)
    encoded = io.BytesIO()
    if points.images.shape[-1] == 1:
        Image.fromarray(sheet[..., 0]).save(encoded, "PNG", optimize=True)
    else:
        Image.fromarray(sheet).save(encoded, "WEBP", quality=WEBP_QUALITY)
    kind = "image/png" if points.images.shape[-1] == 1 else "image/webp"
    across = pictures.columns(len(points.images))
    data = base64.b64encode(encoded.getvalue()).decode("ascii")
    return {"side": side, "across": across, "type": kind, "base64": data}

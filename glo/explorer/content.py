"""What a page holds of a run: the generator, codes of training images, directions, and the sampler."""

import base64
import dataclasses
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
from glo.run import Run
from glo.runtime.errors import UserError
from glo.samplers.cache import Fitted
from glo.samplers.gaussian import Gaussian
from glo.settings import loss_expression

DIRECTIONS = 8  # leading principal components of the codes that get a slider
NEGLIGIBLE = 1e-5  # of the largest deviation: along such a component, there is nothing to see
WEBP_QUALITY = 85  # of thumbnails in colour; grey ones are PNGs, without loss

Content = dict[str, Any]


def collect(
    run: Run, sampler: Fitted, n: int, map_method: str, dtype: str, temperature: float, seed: int
) -> tuple[Content, int]:
    """Everything that the page of a run holds, as JSON values, and the number of training images among it.

    sampler: fitted to the learned codes. n: training images, a seeded choice of at most this many. map_method: `pca` or
    `tsne`. dtype: of the weights, `float16` or `float32`; codes are float32. temperature: default of the page.
    """
    points = run.training_points(n, seed)
    mean, axes, deviations = principal_components(run.codes)
    shown = min(DIRECTIONS, int(np.sum(deviations > NEGLIGIBLE * deviations[0])))
    content = {
        "name": run.settings.dataset,
        "run": run.prefix.parent.name,
        "step": run.step,
        "image": list(run.image_shape),
        "dimension": run.model.dimension,
        "projection": run.settings.projection,
        "loss": [dataclasses.asdict(term) for term in loss_expression.parse(run.settings.loss)],
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
        "condition": _condition(run, run.choose(n, seed)),
        "prior": _prior(run),
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
    """Names of the classes or attributes of a conditional model, and the vectors of the training images on the page."""
    if not run.conditions.names:
        return None
    exclusive = run.conditions.numbers is not None  # one class, rather than any number of attributes
    names = list(map(printable, run.conditions.names))
    return {"names": names, "exclusive": exclusive, "values": pack(run.conditions[rows])}


def _prior(run: Run) -> Content | None:
    """The prior with which codes are fitted: the squared length after subtracting `mean` and applying `whitening`."""
    if not run.settings.fitting_prior:
        return None
    prior = GaussianPrior(Gaussian.fit(run.codes, 0), run.settings.fitting_prior)
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

"""The sampler as plain data, with which `page/sampler.js` draws codes.

Samplers whose arrays are small are computed in the page. Of any other sampler, the page holds a stock of drawn codes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from glo.data.randomness import Stream, random_generator
from glo.explorer.packing import pack
from glo.samplers import Sampler, network
from glo.samplers.flow import DRAWN_STEPS, Flow
from glo.samplers.gaussian import Diagonal, Gaussian, Unit
from glo.samplers.gmm import Mixture
from glo.samplers.imle import Matching
from glo.samplers.kde import Kernel

SMALL = 1_000_000  # numbers of a sampler that is computed in the page: a full covariance, a network, a small mixture
STOCK = 3000  # drawn codes

Description = dict[str, Any]


def describe(sampler: Sampler, dtype: str, seed: int, temperature: float) -> Description:
    """Describe a fitted sampler: its `kind` and arrays.

    dtype: of matrices, `float16` or `float32`. seed: of the stock. temperature: that of a stock whose temperature the
    page cannot change.
    """
    size = sum(getattr(sampler, name).size for name in sampler.SHAPES)
    if type(sampler) not in KINDS or size > SMALL:
        return _stock(sampler, seed, temperature)
    return {
        key: pack(value, dtype if value.ndim > 1 else "float32") if isinstance(value, np.ndarray) else value
        for key, value in KINDS[type(sampler)](sampler).items()
    }


def _stock(sampler: Sampler, seed: int, temperature: float) -> Description:
    """Drawn codes. Where the noise acts linearly, centre and deviation of each, so that the page can scale the latter.

    The same random numbers give the same centres (the components of a mixture, for example) at every temperature.
    """
    at = [sampler.draw(STOCK, random_generator(seed, Stream.EXPLORER_STOCK), t) for t in (0.0, 0.5, 1.0)]
    deviations = at[2] - at[0]
    spread = np.abs(deviations).max()
    if spread and np.abs(at[0] + deviations / 2 - at[1]).max() < 1e-4 * spread:
        return {"kind": "stock", "centers": pack(at[0], "float16"), "deviations": pack(deviations, "float16")}
    drawn = sampler.draw(STOCK, random_generator(seed, Stream.EXPLORER_STOCK), temperature)
    return {"kind": "stock", "centers": pack(drawn, "float16"), "temperature": temperature}


def _mixture(ends: np.ndarray, centers: np.ndarray, factors: np.ndarray) -> Description:
    """Normal distributions: code = centers[k] + noise @ factors[k], or factors[0] if all share one.

    ends: cumulative shares of all components but the last, [K - 1]. The first noise variable chooses k if K > 1.
    """
    return {"kind": "mixture", "ends": ends, "centers": centers, "factors": factors}


def _gmm(sampler: Mixture) -> Description:
    ends = np.cumsum(sampler.weights, dtype=np.float64)
    root = sampler.root.astype(np.float64)
    lower = np.linalg.cholesky(sampler.covariances.astype(np.float64))
    centers = sampler.means @ root + sampler.mean
    return _mixture((ends / ends[-1])[:-1], centers, lower.transpose(0, 2, 1) @ root)


def _kde(sampler: Kernel) -> Description:
    n = len(sampler.white)
    centers = sampler.white.astype(np.float64) @ sampler.root + sampler.mean
    return _mixture(np.arange(1, n) / n, centers, (sampler.bandwidth[0] * sampler.root)[None])


def _single(mean: np.ndarray, factor: np.ndarray) -> Description:
    return _mixture(np.zeros(0), mean[None], factor[None])


def _network(sampler: Matching | Flow) -> Description:
    return {name: getattr(sampler, name) for name in network.SHAPES}


KINDS: dict[type, Callable[[Any], Description]] = {
    Gaussian: lambda sampler: _single(sampler.mean, sampler.root),
    Diagonal: lambda sampler: _single(sampler.mean, np.diag(np.sqrt(np.maximum(sampler.variance, 0)))),
    Unit: lambda sampler: _single(sampler.mean, np.eye(len(sampler.mean))),
    Mixture: _gmm,
    Kernel: _kde,
    Matching: lambda sampler: {"kind": "imle", "linear": sampler.linear, **_network(sampler)},
    Flow: lambda sampler: {
        "kind": "flow", "mean": sampler.mean, "root": sampler.root, "steps": DRAWN_STEPS, **_network(sampler)
    },
}  # fmt: skip

"""Principal components of codes, and their positions on the map."""

import numpy as np

PERPLEXITY = 30.0  # of t-SNE, at most


def principal_components(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean [d], unit axes [d, d] and standard deviations [d] of codes float32 [n, d], by falling deviation; float64.

    The largest entry of an axis is positive, so that the same codes always give the same signs.
    """
    mean = codes.mean(axis=0, dtype=np.float64)
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(codes.astype(np.float64), rowvar=False, bias=True)))
    axes = axes[:, ::-1].T
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    return mean, axes * np.sign(largest)[:, None], np.sqrt(np.maximum(variances[::-1], 0))


def arrange(codes: np.ndarray, method: str, components: tuple[np.ndarray, np.ndarray], seed: int) -> np.ndarray:
    """Positions float64 [n, 2] of codes float32 [n, d] on the map, within [-1, 1] and centred.

    method: `pca` projects them on the first two of `components` (mean and axes); `tsne` embeds them by t-SNE (van der
    Maaten and Hinton, 2008), which keeps neighbours together.
    """
    mean, axes = components
    positions = (codes - mean) @ axes[:2].T
    if positions.shape[1] < 2:  # codes of one dimension
        positions = np.pad(positions, ((0, 0), (0, 1)))
    if method == "tsne" and len(codes) > 2:
        from sklearn.manifold import TSNE

        perplexity = min(PERPLEXITY, (len(codes) - 1) / 3)
        spread = max(positions[:, 0].std(), np.finfo(np.float32).tiny)
        start = (positions * (1e-4 / spread)).astype(np.float32)  # as init="pca", which needs two dimensions
        positions = TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(codes).astype(np.float64)
    positions = positions - (positions.max(axis=0) + positions.min(axis=0)) / 2
    return positions / max(np.abs(positions).max(), np.finfo(np.float32).tiny)

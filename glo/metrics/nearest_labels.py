"""Classification by k nearest neighbors (k-NN): how often the label of an image is that of most of its neighbors."""

import numpy as np


def accuracy(neighbor_labels: np.ndarray, labels: np.ndarray) -> float:
    """Share of points whose label, int [n], is the most frequent one of their neighbors, int [n, k], nearest first.

    Of labels that are equally frequent, the label of the nearest neighbor counts.
    """
    votes = (neighbor_labels[:, :, None] == neighbor_labels[:, None, :]).sum(axis=2)
    predicted = np.take_along_axis(neighbor_labels, votes.argmax(axis=1)[:, None], axis=1)[:, 0]
    return float(np.mean(predicted == labels))

"""Shortest paths in the nearest-neighbour graph of the learned codes.

A straight line between two codes often passes where there are no learned codes, so that its images are unlike the data.
An edge of the graph joins neighbouring codes and costs their squared distance. Many short hops therefore cost less than
one long hop, and the shortest path stays near learned codes.
"""

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.neighbors import kneighbors_graph

from glo.data.randomness import Stream, permutation

NODES = 20_000  # learned codes in the graph, at most
NEIGHBORS = 10  # that an edge joins each code with
SOURCES = 64  # ends from which paths are searched at once: their distances to all nodes take some tens of megabytes


def shortest_paths(codes: np.ndarray, a: np.ndarray, b: np.ndarray, seed: int = 0) -> list[np.ndarray]:
    """Find the shortest path from each code of `a` to that of `b`, float32 [p, d] both, through learned codes.

    codes: learned codes float32 [N, d], of which at most `NODES`, chosen by the seed, are nodes. The ends are nodes
    too, and need not be learned codes.
    Returns the codes along each path, float32 [m, d], ends included; m is 1 if the ends are equal.
    """
    chosen = codes[np.sort(permutation(len(codes), seed, Stream.GRAPH_CODES)[:NODES])]
    nodes, numbers = np.unique(np.concatenate([chosen, a, b]), axis=0, return_inverse=True)
    first, last = numbers.reshape(-1)[len(chosen) :].reshape(2, -1)
    graph = _connect(_neighbor_graph(nodes), nodes)
    paths = []
    for start in range(0, len(first), SOURCES):
        part = slice(start, start + SOURCES)
        _, previous = dijkstra(graph, indices=first[part], return_predecessors=True)
        for before, source, node in zip(previous, first[part], last[part], strict=True):
            route = [node]
            while route[-1] != source:
                route.append(before[route[-1]])
            paths.append(nodes[route[::-1]])
    return paths


def _neighbor_graph(nodes: np.ndarray) -> csr_array:
    """The symmetric graph [n, n] of squared distances of distinct codes float32 [n, d] to their nearest neighbours."""
    neighbors = min(NEIGHBORS, len(nodes) - 1)
    if neighbors == 0:
        return csr_array((1, 1), dtype=np.float64)
    graph = csr_array(kneighbors_graph(nodes, neighbors, mode="distance"), dtype=np.float64)
    graph.data = _cost(graph.data)
    return graph.maximum(graph.T)


def _connect(graph: csr_array, nodes: np.ndarray) -> csr_array:
    """Join every component but the largest with the rest, by the shortest possible edge, until there is only one."""
    while True:
        count, components = connected_components(graph, directed=False)
        if count == 1:
            return graph
        rows, columns, costs = [], [], []
        for component in np.argsort(np.bincount(components), kind="stable")[:-1]:
            members, others = np.flatnonzero(components == component), np.flatnonzero(components != component)
            nearest, distances = pairwise_distances_argmin_min(nodes[members], nodes[others])
            best = distances.argmin()
            rows.append(members[best])
            columns.append(others[nearest[best]])
            costs.append(_cost(distances[best]))
        bridges = csr_array(coo_array((costs, (rows, columns)), shape=graph.shape))
        graph = graph.maximum(bridges).maximum(bridges.T)


def _cost(distances: np.ndarray) -> np.ndarray:
    """Squared distances, above 0: a sparse graph has no edges of cost 0."""
    return np.maximum(np.square(distances, dtype=np.float64), np.finfo(np.float64).tiny)

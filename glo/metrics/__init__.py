"""Measures of images, functions from arrays to numbers: distances, manifolds, similarity, copying."""

"""Measures of images: distances, manifolds, similarity, memorisation. Arrays in, numbers out."""

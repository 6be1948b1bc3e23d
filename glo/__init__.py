"""Generative Latent Optimization: a generator and one learnable code per image, fitted by reconstruction alone."""

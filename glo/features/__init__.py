"""Networks that compute features of images, for metrics and for the loss `perceptual`, and their weights."""

"""Training: step, loop and its observers, checkpoints, and how a run is resumed."""

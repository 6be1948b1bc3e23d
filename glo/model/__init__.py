"""The model: generator and its layers, code table, losses, precision, schedules, and `GloModel`, which holds them."""

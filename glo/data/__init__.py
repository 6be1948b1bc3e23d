"""The dataset file and what is read from it: layouts, safe HDF5, splits, batches, augmentation, labels and checks."""

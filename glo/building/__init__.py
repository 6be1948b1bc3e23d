"""How a dataset file is built: blocks of samples from a source, initial codes, and builds that can be resumed."""

"""How a dataset file is made: blocks of samples from a source, initial codes, and builds that can be continued."""

"""Several processes that train one model: how they start, which rows each of them owns, and how they notice losses."""

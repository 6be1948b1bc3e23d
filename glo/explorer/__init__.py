"""The explorer: one HTML file that runs a trained model in the browser. `page/` holds its own code."""

"""Networks that compute features of images: the classifier, networks of keras.applications, and their weights."""

"""Networks that look at images: the classifier, networks of keras.applications, and their weights."""

"""The task `per_class`: a row of samples for each class, from a distribution fitted to the codes of that class."""

from typing import Any

import numpy as np

from glo import pictures
from glo.data import labels
from glo.evaluation import results
from glo.evaluation.generate import describe, log_scores
from glo.evaluation.session import Session

EACH = 10  # samples of a class


def run(session: Session) -> dict[str, Any]:
    """Labels are the classes, or attributes where there are no labels; the most frequent ones if there are many."""
    classes = labels.every(session.dataset)
    codes, images, measured = [], [], []
    for image_class in classes:
        sampler = session.fit_sampler(image_class)
        drawn, conditions = session.draw(sampler, EACH, image_class)
        codes.append(drawn)
        images.append(session.run.decoder.images(drawn, conditions))
        n = len(image_class.among(session.dataset.train_rows))
        measured.append({"label": image_class.name, "training_images": n, **session.scores(sampler)})
        log_scores(session, describe(session, image_class), sampler)
    rows = [
        pictures.captioned(image_class.name, pictures.grid(part, EACH))
        for image_class, part in zip(classes, images, strict=True)
    ]
    picture = pictures.captioned(f"samples of each class, {describe(session, None)}", pictures.below(*rows))
    pictures.save(session.path("per_class", "png"), picture)
    names = np.array([image_class.name for image_class in classes])
    results.save_arrays(session.path("per_class", "npz"), image=np.stack(images), code=np.stack(codes), label=names)
    about = {"sampler": session.sampler_name, "temperature": session.temperature, "n": EACH}
    return {"per_class": {**about, "classes": measured}}

"""The task `per_class`: samples of each class, from a sampler that is fitted to the codes of that class."""

from typing import Any

import numpy as np

from glo import pictures
from glo.data import labels
from glo.evaluation import results
from glo.evaluation.generate import describe, log_scores
from glo.evaluation.session import Session

EACH = 10  # samples per class


def run(session: Session) -> dict[str, Any]:
    """Draw a row of samples for each class of `labels.every`: for each label, or for each attribute without labels.

    Writes a picture, and an .npz with `image` uint8 [k, EACH, H, W, C], `code` float32 [k, EACH, d] and `label`.
    """
    classes = labels.every(session.dataset)
    codes, images, scores = [], [], []
    for image_class in classes:
        sampler = session.fit_sampler(image_class)
        drawn, conditions = session.draw(sampler, EACH, image_class)
        codes.append(drawn)
        images.append(session.run.decoder.images(drawn, conditions))
        n = len(image_class.among(session.dataset.train_rows))
        scores.append({"label": image_class.name, "training_images": n, **session.scores(sampler)})
        log_scores(session, describe(session, image_class), sampler)
    rows = [
        pictures.captioned(image_class.name, pictures.grid(part, EACH))
        for image_class, part in zip(classes, images, strict=True)
    ]
    picture = pictures.captioned(f"samples of each class, {describe(session, None)}", pictures.below(*rows))
    pictures.save(session.path("per_class", "png"), picture)
    names = np.array([image_class.name for image_class in classes])
    results.save_arrays(session.path("per_class", "npz"), image=np.stack(images), code=np.stack(codes), label=names)
    return {
        "per_class": {
            "sampler": session.sampler_name,
            "temperature": session.temperature,
            "n": EACH,
            "classes": scores,
        }
    }

"""The task `decode`: images of codes that the user gives."""

from typing import Any

from glo import pictures
from glo.evaluation import results
from glo.evaluation.session import Session

SHOWN = 1024  # at most this many are shown


def run(session: Session) -> dict[str, Any]:
    """Write a grid of the images of the codes of --decode, and an .npz with `image` and `code`."""
    codes, conditions = session.codes
    images = session.run.decoder.images(codes, conditions)
    shown = images[:SHOWN]
    pictures.save(session.path("decode", "png"), pictures.grid(shown, min(len(shown), pictures.columns(len(shown)))))
    results.save_arrays(session.path("decode", "npz"), image=images, code=codes)
    return {"decode": {"n": len(images)}}

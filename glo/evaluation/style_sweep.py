"""The task `style_sweep`: one class along the leading principal directions of the codes."""

from typing import Any

import numpy as np

from glo import pictures
from glo.data.names import printable
from glo.evaluation.session import Session
from glo.inference import sweeps

DIRECTIONS, STEPS, STRENGTH = 6, 11, 2.0


def run(session: Session) -> dict[str, Any]:
    """A row for each direction; as a picture, and as an animation that goes to both ends and back."""
    run, image_class = session.run, session.image_class
    condition = run.conditions.candidates()[0]
    if image_class:
        condition = run.conditions.take(image_class.among(session.dataset.train_rows)).common()
    codes = run.style_codes(image_class)

    def sweep(positions: np.ndarray) -> np.ndarray:
        return sweeps.directions(
            run.decoder, codes, condition, STRENGTH * positions, DIRECTIONS, run.settings.projection
        )

    decoded = sweep(np.linspace(-1, 1, STEPS))
    name = image_class.name if image_class else ", ".join(map(printable, run.conditions.present(condition)))
    caption = f"{name}: " * bool(name) + f"{len(decoded)} principal directions, {STRENGTH:g} deviations each way"
    grid = pictures.grid(decoded.reshape(-1, *decoded.shape[2:]), STEPS)
    pictures.save(session.path("style_sweep", "png"), pictures.captioned(caption, grid))
    circle = 2 * np.pi * np.arange(pictures.GIF_FRAMES) / pictures.GIF_FRAMES
    moving = sweep(np.sin(circle))
    frames = [pictures.grid(moving[:, t], pictures.columns(len(moving))) for t in range(pictures.GIF_FRAMES)]
    pictures.save_gif(session.path("style_sweep", "gif"), frames)
    return {"style_sweep": {"label": name or None, "directions": len(decoded), "strength": STRENGTH}}

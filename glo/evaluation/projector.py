"""The task `projector`: codes for TensorBoard's embedding projector: training and held-out images, and samples."""

from typing import Any

from glo.evaluation.requirements import PROJECTED
from glo.evaluation.session import Session
from glo.inference import projector
from glo.inference.projector import Points
from glo.runtime.log import logger


def run(session: Session) -> dict[str, Any]:
    """At most `PROJECTED` training images, --num_fit held-out images with fitted codes, and --num_samples samples."""
    settings, model_run = session.settings, session.run
    kinds = [model_run.training_points(PROJECTED, settings.seed)]
    if len(session.held_out):
        kinds.append(projector.points("held-out", session.dataset, session.held_out, session.held_out_fit[1].codes))
    drawn, conditions = session.draw(session.sampler, settings.num_samples, session.image_class)
    names = [f"sample {index}" for index in range(len(drawn))]
    kinds.append(Points("sample", drawn, model_run.decoder.images(drawn, conditions), names, {}))
    folder = settings.projector_folder(model_run.prefix.parent)
    projector.write(folder, model_run.step, kinds)
    counts = {points.kind: len(points.codes) for points in kinds}
    text = ", ".join(f"{n} {kind}" for kind, n in counts.items())
    logger.info("points for the projector: %s; next: tensorboard --logdir %s", text, folder)
    return {"projector": counts}

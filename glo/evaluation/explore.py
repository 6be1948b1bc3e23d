"""The task `explore`: the model as one HTML file, which runs it in a browser."""

from typing import Any

from glo.evaluation.session import Session
from glo.explorer.assembly import assemble
from glo.explorer.content import collect
from glo.runtime import files
from glo.runtime.log import logger


def run(session: Session) -> dict[str, Any]:
    """Write the page with at most --max_images training images and the sampler."""
    settings, path = session.settings, session.path("explore", "html")
    content, n = collect(
        session.run,
        session.sampler,
        settings.max_images,
        settings.map,
        settings.weights,
        session.temperature,
        settings.seed,
    )
    page = assemble(content, session.tensorflow_js)
    files.write_text(path, page)
    size = path.stat().st_size
    logger.info("explorer of %.1f MB with %d training images: open %s in a browser", size / 1e6, n, path)
    return {"explore": {"bytes": size, "images": n, "sampler": session.sampler_name, "weights": settings.weights}}

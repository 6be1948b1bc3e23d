"""Every setting of evaler.py: its default, its limits, and what it does."""

from dataclasses import dataclass

from glo.settings.fields import setting
from glo.settings.shared import COMPONENTS, COMPONENTS_HELP, DEVICE, MEMORY, MEMORY_HELP, NAME, SAMPLERS

EXTRACTORS = ("classifier", "InceptionV3", "MobileNetV2", "ResNet50")
INPAINTING_PRIOR, DENOISING_PRIOR = 0.03, 0.01  # what restored held-out MNIST digits best


@dataclass(frozen=True)
class EvalSettings:
    """evaler.py: which checkpoint, which tasks, and their sizes. No task named: reconstruct, generate, interpolate.

    images, inpaint and denoise say what is to be reconstructed, and so imply that task.
    """

    dataset: str | None = setting(None, "name of the dataset that the checkpoint was trained on", **NAME)
    checkpoint: str | None = setting(
        None, "a run folder or RUN/model-STEP (default: the newest run of the dataset)", metavar="PATH"
    )
    prefix: str = setting("default", "last word of the names of the files that are written", **NAME)
    reconstruct: bool = setting(False, "training images from their codes, held-out images from fitted codes")
    generate: bool = setting(False, "images from codes drawn from a distribution fitted to the learned ones")
    interpolate: bool = setting(False, "paths between the codes of pairs of training images")
    per_class: bool = setting(
        False, "a row of samples for each label, or each attribute if there are none; the 100 most frequent"
    )
    label: str | None = setting(
        None,
        "generate from the codes of one class alone: a label's name or number, an attribute's name, or not:ATTRIBUTE",
        metavar="NAME",
    )
    metrics: bool = setting(
        False, "how samples differ from held-out images, in numbers, and how well images are reconstructed"
    )
    compare: tuple[str, ...] = setting(
        (), "run folders, or a folder of them, to put side by side in a table and a plot; nothing else", metavar="RUN"
    )
    num_fit: int = setting(1000, "held-out images to fit, at most", low=1)
    fit_steps: int = setting(200, "code updates for each fitted image", low=1)
    images: str | None = setting(
        None, "reconstruct the pictures of this folder, not held-out images: any sizes and formats", metavar="DIR"
    )
    inpaint: str | None = setting(
        None,
        "fill held-out images, or --images, where this picture is white; it is cropped as they are",
        metavar="MASK",
    )
    denoise: float | None = setting(
        None,
        "add normal noise of this sigma (on 0 to 255) to held-out images, or --images, and denoise them; "
        "0: they are noisy already",
        low=0,
        high=255,
        metavar="SIGMA",
    )
    prior: float | None = setting(
        None,
        "weight of how unlikely a fitted code is among the learned ones "
        f"(default: {INPAINTING_PRIOR} with --inpaint, {DENOISING_PRIOR} with --denoise, else 0)",
        low=0,
        metavar="WEIGHT",
    )
    draws: int = setting(
        0,
        "fit from this many drawn codes too, beside the mean code and those of the nearest training images",
        low=0,
        high=1000,
    )
    sampler: str = setting(
        "auto", "distribution of new codes; auto: the one that the run's settings name", choices=("auto", *SAMPLERS)
    )
    components: int | None = setting(None, f"{COMPONENTS_HELP}; the run's own, if it names gmm", **COMPONENTS)
    temperature: float | None = setting(
        None,
        "factor on the noise that the sampler draws (default: the run's own with its own sampler, else 1)",
        above=0,
        high=10,
    )
    num_samples: int = setting(64, "images to generate", low=1)
    num_metric_samples: int = setting(
        10000, "samples that are measured, but no more than there are held-out or training images", low=10
    )
    extractor: str = setting(
        "classifier",
        f"network whose features --metrics compares: {', '.join(EXTRACTORS)}, or a file of InceptionV3 weights",
        pattern=rf"{'|'.join(EXTRACTORS)}|.+\.(h5|npz)",
        example=f"{', '.join(EXTRACTORS)}, or FILE.h5 or FILE.npz",
        metavar="NAME",
    )
    extractor_sha256: str | None = setting(
        None, "of the file that --extractor names", pattern="[0-9a-f]{64}", example="64 of 0-9 and a-f", metavar="HEX"
    )
    pairs: tuple[str, ...] = setting(
        (),
        "training images to interpolate between, such as 3,17 5,9 (default: random)",
        pattern=r"\d+,\d+",
        example="3,17",
        metavar="A,B",
    )
    seed: int = setting(0, "seed of the fitted images, samples and pairs", low=0, high=2**32 - 1)
    batch_size: int = setting(256, "images a pass", low=1)
    memory_limit: str | None = setting(None, MEMORY_HELP, **MEMORY)
    data_dir: str | None = setting(None, "folder of all datasets (default: as in training)", metavar="DIR")
    train_dir: str = setting("train_dir", "folder of all runs", metavar="DIR")
    output_dir: str | None = setting(
        None, "folder to write to (default: <run>/eval-<step>; --train_dir with --compare)", metavar="DIR"
    )
    device: str = setting("auto", "auto (the first GPU if there is one), cpu, or gpu:N", **DEVICE)
    force: bool = setting(False, "replace files in --output_dir that are not an earlier evaluation's")

    @property
    def prior_weight(self) -> float:
        """--prior, or its default."""
        default = DENOISING_PRIOR if self.denoise is not None else INPAINTING_PRIOR if self.inpaint is not None else 0.0
        return default if self.prior is None else self.prior

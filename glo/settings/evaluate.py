"""The settings of evaler.py, with their defaults, limits and help texts."""

import dataclasses
import math
import re
from dataclasses import dataclass
from pathlib import Path

from glo.runtime.errors import UserError, shortened
from glo.settings import numbers
from glo.settings.shared import (
    COMPONENTS,
    DEVICE,
    DEVICE_HELP,
    MEMORY,
    MEMORY_HELP,
    NAME,
    SAMPLERS,
    SEED,
    data_setting,
    edit_setting,
    explorer_setting,
    fitting_setting,
    machine_setting,
    output_setting,
    sampling_setting,
    task_setting,
)
from glo.settings.train import CONDITIONAL_PRIOR, TrainSettings

# Names in `TRAINED` and `APPLICATIONS` of `glo.features.extractors`, repeated here because settings must not import
# TensorFlow; a test compares them.
EXTRACTORS = ("classifier", "contrastive", "InceptionV3", "MobileNetV2", "ResNet50")
STARTS = ("encoder", "nearest", "both")
DIRECTIONS = ("conditional", "difference")
# For pictures, held-out images of together this many values of pixels are fitted, within these limits.
FITTED_VALUES, MIN_FITTED, MAX_FITTED = 64 * 32 * 32 * 3, 32, 128
MAX_STRENGTHS, MAX_STRENGTH = 21, 100  # of --strengths: how many, and the largest
# The best on average over the masks and noises of docs/RESTORING.md, on digits left out of MNIST's training images.
INPAINTING_PRIOR, DENOISING_PRIOR = 0.1, 0.01


def parse_strengths(text: str) -> tuple[float, ...]:
    """The numbers of --strengths. Raises `ValueError` if some part is not a number from -100 to 100."""
    parts = text.split(",")
    if len(parts) > MAX_STRENGTHS:
        raise ValueError(f"give at most {MAX_STRENGTHS} numbers, not {len(parts)}")
    strengths = []
    for part in parts:
        try:
            strengths.append(numbers.parse(part.strip(), float))
        except ValueError:
            raise ValueError(f"'{shortened(part)}' is not a number: give numbers, such as -2,-1,0,1,2") from None
        if abs(strengths[-1]) > MAX_STRENGTH:
            raise ValueError(f"{shortened(part)} is not between -{MAX_STRENGTH} and {MAX_STRENGTH}")
    return tuple(strengths)


@dataclass(frozen=True)
class EvalSettings:
    """The settings of evaler.py: the checkpoint, the tasks, and their sizes.

    Settings of the group `tasks` request tasks. Without any, evaler.py reconstructs, generates and interpolates.
    """

    # data
    dataset: str | None = data_setting(None, "name of the dataset that the checkpoint was trained on", **NAME)
    checkpoint: str | None = data_setting(
        None, "a run folder or RUN/model-STEP (default: the newest run of the dataset)", metavar="PATH"
    )
    train_dir: str = data_setting("train_dir", "folder of all runs", metavar="DIR")
    data_dir: str | None = data_setting(None, "folder of all datasets (default: as in training)", metavar="DIR")
    seed: int = data_setting(0, "seed of every random choice: fitted images, samples, pairs", **SEED)
    # tasks
    reconstruct: bool = task_setting(False, "training images from their codes, held-out images from fitted codes")
    generate: bool = task_setting(False, "images from codes drawn from a distribution fitted to the learned codes")
    interpolate: bool = task_setting(False, "paths between the codes of pairs of training images")
    per_class: bool = task_setting(
        False, "a row of samples for each label, or for each attribute if there are no labels; at most 100"
    )
    class_sweep: bool = task_setting(
        False, "codes of held-out images under every class of a conditional model, or with and without each attribute"
    )
    style_sweep: bool = task_setting(
        False, "one class, that of --label or the first one, along the principal directions of the codes"
    )
    label: str | None = task_setting(
        None,
        "generate or sweep one class: a label's name or number, an attribute's name, or not:ATTRIBUTE",
        metavar="NAME",
    )
    analogy: tuple[str, ...] | None = task_setting(
        None,
        "A is to B as C is to D: compute D for the training images 3,17,42, or for three pictures, and fill the grid",
        metavar="A,B,C",
    )
    attributes: str | None = task_setting(
        None,
        "change these attributes or labels of held-out images, or those of --images, such as Smiling,Eyeglasses",
        metavar="NAMES",
    )
    directions: bool = task_setting(
        False, "list the directions of --attributes, and how well they predict attributes and labels of held-out images"
    )
    metrics: bool = task_setting(
        False, "measure reconstructions, how samples differ from held-out images, and whether they copy training images"
    )
    rivals: bool = task_setting(
        False, "measure what --compare --table rivals shows of a run, in the same way for every --method"
    )
    projector: bool = task_setting(
        False,
        "write codes of training images, held-out images and samples, with thumbnails, for the embedding projector of "
        "TensorBoard, to the run folder or --output_dir",
    )
    neighbors: bool = task_setting(
        False, "nearest images in code space beside those in pixels, and how often k-NN finds the label"
    )
    images: str | None = task_setting(
        None, "reconstruct the pictures of this folder, of any size and format, instead of held-out images",
        metavar="DIR",
    )  # fmt: skip
    inpaint: str | None = task_setting(
        None,
        "fill held-out images, or those of --images, where this picture is white",
        metavar="MASK",
    )
    denoise: float | None = task_setting(
        None,
        "add normal noise of this standard deviation (in grey levels, 0 to 255) to held-out images, or those of "
        "--images, and denoise them; 0: they are noisy already",
        low=0,
        high=255,
        metavar="SIGMA",
    )
    encode: bool = task_setting(
        False,
        "codes of held-out images, or those of --images, by the encoder and a few steps, with a verdict on each; needs "
        "trainer.py --encoder",
    )
    export_samples: str | None = task_setting(None, "write samples as numbered PNG files to this folder", metavar="DIR")
    export: str | None = task_setting(
        None, "write generator and sampler to this folder as a TensorFlow SavedModel", metavar="DIR"
    )
    explore: bool = task_setting(
        False, "one HTML file that runs the model in a browser: a map of the codes, sliders, samples, your own pictures"
    )
    decode: str | None = task_setting(
        None, "images of the codes in this .npy or JSON file, such as a page of --explore saves", metavar="FILE"
    )
    compare: tuple[str, ...] = task_setting(
        (), "put run folders, or a folder of them, side by side in a table and a plot", metavar="RUN"
    )
    # fitting
    num_fit: int | None = fitting_setting(
        None,
        "fit at most this many held-out images (default: 1,000 for --metrics, --rivals, --encode, --directions and "
        f"--projector; {MIN_FITTED} to {MAX_FITTED} for pictures, fewer the larger the images)",
        low=1,
    )
    fit_steps: int = fitting_setting(200, "code updates for each fitted image", low=1)
    prior: float | None = fitting_setting(
        None,
        "weight of the prior on fitted codes, a Gaussian fitted to the learned ones "
        f"(default: {INPAINTING_PRIOR} with --inpaint, {DENOISING_PRIOR} with --denoise, otherwise "
        f"{CONDITIONAL_PRIOR} for conditional models and 0 for others)",
        low=0,
        metavar="WEIGHT",
    )
    start: str | None = fitting_setting(
        None,
        "codes from which fitting starts: that of the encoder, the mean code and those of the nearest training images, "
        "or both (default: both if there is an encoder)",
        choices=STARTS,
    )
    draws: int = fitting_setting(
        0,
        "number of randomly drawn codes from which fitting also starts, besides the mean code and the codes of the "
        "nearest training images",
        low=0,
        high=1000,
    )
    pairs: tuple[str, ...] = fitting_setting(
        (),
        "training images to interpolate between, such as 3,17 5,9 (default: random)",
        pattern=r"[0-9]{1,12},[0-9]{1,12}",
        example="3,17",
        metavar="A,B",
    )
    path: str = fitting_setting(
        "arc",
        "path of --interpolate beside the straight line: arc, graph (through the nearest neighbours of learned codes), "
        "all, or line for none",
        choices=("line", "arc", "graph", "all"),
    )
    # attributes
    strengths: str = edit_setting(
        "-2,-1,0,1,2",
        "how far codes are moved; 1 is the distance between the codes with and without the attribute",
        check=parse_strengths,
        metavar="NUMBERS",
    )
    direction: str = edit_setting(
        "conditional",
        "direction in which codes are moved: conditional hardly changes other attributes, difference is that of the "
        "class means",
        choices=DIRECTIONS,
    )
    # sampling
    sampler: str = sampling_setting(
        "auto", "distribution of new codes; auto: the one in the run's settings", choices=("auto", *SAMPLERS)
    )
    components: int | None = sampling_setting(
        None,
        "number of Gaussians of the samplers gmm and leading (default: that of the run's settings; otherwise, "
        "gmm chooses it by held-out likelihood, and leading has one for every 400 codes)",
        **COMPONENTS,
    )
    temperature: float | None = sampling_setting(
        None,
        "factor on the noise from which codes are drawn (default: that of the run with the run's sampler; otherwise "
        "0.95 for leading, and 1 for others)",
        above=0,
        high=10,
    )
    num_samples: int = sampling_setting(64, "number of images to generate", low=1)
    num_metric_samples: int = sampling_setting(
        10000, "number of samples that --metrics measures; at most as many as held-out or training images", low=10
    )
    extractor: str = sampling_setting(
        "auto",
        f"network whose features --metrics compares: {', '.join(EXTRACTORS)}, or a file of InceptionV3 weights; auto: "
        "classifier, which learns from labels, or contrastive if there are not two classes",
        pattern=rf"auto|{'|'.join(EXTRACTORS)}|.+\.(h5|npz)",
        example=f"auto, {', '.join(EXTRACTORS)}, or FILE.h5 or FILE.npz",
        metavar="NAME",
    )
    extractor_sha256: str | None = sampling_setting(
        None,
        "SHA-256 of the file that --extractor names",
        pattern="[0-9a-f]{64}",
        example="64 of 0-9 and a-f",
        metavar="HEX",
    )
    # explorer
    max_images: int = explorer_setting(
        2000, "training images on the page of --explore, at most; they decide on its size", low=2, high=20_000
    )
    map: str = explorer_setting(
        "pca", "positions of codes on its map: two principal components, or t-SNE", choices=("pca", "tsne")
    )
    weights: str = explorer_setting(
        "float16", "type of the weights in the page; float32 doubles their size", choices=("float16", "float32")
    )
    tfjs: str | None = explorer_setting(
        None, "tf.es2017.min.js of TensorFlow.js 4.22.0 (default: downloaded once into a cache folder)", metavar="FILE"
    )
    # output
    table: str = output_setting(
        "all",
        "what --compare prints: all figures of each run, or the methods side by side, means over seeds",
        choices=("all", "rivals"),
    )
    prefix: str = output_setting("default", "last word of the names of the files that are written", **NAME)
    output_dir: str | None = output_setting(
        None, "folder to write to (default: <run>/eval-<step>; --train_dir with --compare)", metavar="DIR"
    )
    force: bool = output_setting(
        False, "replace files in --output_dir that no earlier evaluation wrote, and exported folders"
    )
    # machine
    device: str = machine_setting("auto", DEVICE_HELP, **DEVICE)
    batch_size: int = machine_setting(256, "images per pass", low=1)
    memory_limit: str | None = machine_setting(None, MEMORY_HELP, **MEMORY)

    @property
    def analogy_rows(self) -> tuple[int, ...] | None:
        """The three training images that --analogy names, if it does."""
        words = ",".join(self.analogy or ())
        return tuple(map(int, words.split(","))) if re.fullmatch(r"[0-9]{1,12}(,[0-9]{1,12}){2}", words) else None

    @property
    def analogy_pictures(self) -> tuple[str, ...] | None:
        """The pictures that --analogy names, if it does."""
        return None if self.analogy_rows else self.analogy

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The names of --attributes, each once."""
        return tuple(dict.fromkeys(name.strip() for name in (self.attributes or "").split(",")))

    @property
    def strength_values(self) -> tuple[float, ...]:
        """The numbers of --strengths."""
        return parse_strengths(self.strengths)

    def most_fitted(self, image_shape: tuple[int, int, int]) -> int:
        """At most this many held-out images (H, W, C) are fitted: --num_fit, or its default for the tasks."""
        figures = self.metrics or self.rivals or self.encode or self.directions or self.projector
        for_pictures = min(max(FITTED_VALUES // math.prod(image_shape), MIN_FITTED), MAX_FITTED)
        return self.num_fit or (1000 if figures else for_pictures)

    def sampler_of(self, trained: TrainSettings) -> str:
        """The sampler for a run with the settings `trained`: --sampler, or the run's own."""
        return trained.sampler if self.sampler == "auto" else self.sampler

    def extractor_of(self, classes: int) -> str:
        """The extractor for a dataset whose training images have labels of so many classes: --extractor, or `auto`'s.

        A classifier needs two classes.
        """
        if self.extractor != "auto":
            return self.extractor
        return "classifier" if classes > 1 else "contrastive"

    def prior_of(self, trained: TrainSettings) -> float:
        """The weight of the prior for a run with the settings `trained`: --prior, or its default for the task."""
        if self.prior is not None:
            return self.prior
        if self.denoise is not None:
            return DENOISING_PRIOR
        return trained.fitting_prior if self.inpaint is None else INPAINTING_PRIOR

    def requests(self, task_setting: str) -> bool:
        """Whether a setting of the group `tasks` is given. `--denoise 0` is, although 0 == False."""
        value = getattr(self, task_setting)
        return value is not None and value is not False

    def projector_folder(self, run: Path) -> Path:
        """Where --projector writes: --output_dir, or the run folder, where the events are."""
        return Path(self.output_dir) if self.output_dir else run

    def check(self) -> None:
        """Raise `UserError` for settings that exclude each other."""
        tasks = [field.name for field in dataclasses.fields(self) if field.metadata["group"] == "tasks"]
        if self.compare and (self.checkpoint or any(self.requests(name) for name in tasks if name != "compare")):
            raise UserError("--compare reads the results of earlier evaluations: drop --checkpoint and the other tasks")
        if self.table != "all" and not self.compare:
            raise UserError(f"--table {self.table} is a table of --compare: add --compare with run folders")
        if self.label is not None and self.per_class:
            raise UserError("--label generates one class and --per_class all of them: drop one")
        if self.label is not None and self.metrics:
            raise UserError("--label generates one class, and --metrics compares with images of all classes: drop one")
        if self.inpaint is not None and self.denoise is not None:
            raise UserError("--inpaint and --denoise both restore images: drop one")
        if self.inpaint is not None and self.start in ("encoder", "both"):
            raise UserError(
                f"--inpaint cannot start from the encoder, which needs whole images: drop --start {self.start}"
            )
        if (self.encode or self.attributes) and (self.inpaint is not None or self.denoise is not None):
            flag = "--encode" if self.encode else "--attributes"
            task = "--inpaint" if self.denoise is None else "--denoise"
            raise UserError(f"{flag} is for undamaged images, and {task} damages them: drop one")
        if self.analogy_pictures and len(self.analogy_pictures) != 3:
            raise UserError(
                f"--analogy {shortened(' '.join(self.analogy))}: give three training images, such as 3,17,42, or three "
                "pictures, such as a.png b.png c.png"
            )
        if self.attributes and not all(self.attribute_names):
            raise UserError(f"--attributes {shortened(self.attributes)}: a name between two commas is missing")
        if not (self.compare or self.checkpoint or self.dataset):
            raise UserError("give --checkpoint, or --dataset to evaluate its newest run")

"""Every setting of the three commands: its default, its limits, and what it does."""

from dataclasses import dataclass

from glo import objective
from glo.config import PLAIN_NAME, setting
from glo.memory import SIZE

NAME = {"pattern": PLAIN_NAME, "example": "at most 80 letters, digits, '.', '_' and '-'"}
DEVICE = {"pattern": r"auto|cpu|gpu:\d+", "example": "auto, cpu or gpu:0"}
MEMORY = {"pattern": SIZE, "example": "4G or 500M", "metavar": "SIZE"}
MEMORY_HELP = "images that take more than this are read from the file as needed (default: half of the free memory)"
DISTRIBUTIONS = ("PCA", "Gaussian", "Uniform")
PROJECTIONS = ("ball", "sphere", "none")
EXTRACTORS = ("classifier", "InceptionV3", "MobileNetV2", "ResNet50")
COMPONENTS = {"low": 1, "high": 10000}
COMPONENTS_HELP = "with the sampler gmm: number of Gaussians (default: chosen by held-out likelihood)"
INPAINTING_PRIOR, DENOISING_PRIOR = 0.03, 0.01  # what restored held-out MNIST digits best
SAMPLERS = ("gaussian", "diagonal", "unit", "gmm", "imle", "flow", "kde")


@dataclass(frozen=True)
class BuildSettings:
    """download.py: which samples to take, and the initial codes to give them."""

    datasets: tuple[str, ...] = setting((), "known datasets to build, see below", metavar="NAME")
    images: str | None = setting(None, "build from a folder of pictures; its subfolders become labels", metavar="DIR")
    npz: str | None = setting(
        None, "build from an .npz file with arrays image [n,h,w(,c)] and, if any, label [n]", metavar="FILE"
    )
    convert: str | None = setting(
        None, "rewrite a dataset folder with one HDF5 group per id as the fast layout", metavar="DIR"
    )
    info: str | None = setting(
        None,
        "show what a dataset in --data_dir holds, and write some of its images to a picture",
        metavar="NAME",
        **NAME,
    )
    verify: str | None = setting(
        None, "read all of a dataset in --data_dir again, and check it", metavar="NAME", **NAME
    )
    name: str | None = setting(None, "name of the dataset built from --images or --npz", **NAME)
    size: str | None = setting(
        None,
        "of pictures: side length in pixels, or HEIGHTxWIDTH (default: 64 for CELEBA and LSUN, else as they are)",
        pattern=r"[1-9]\d*(x[1-9]\d*)?",
        example="64 or 48x64",
        metavar="SIZE",
    )
    channels: int | None = setting(
        None, "of pictures: 1 for grey, 3 for colour (default: grey only if all in a folder are)", choices=(1, 3)
    )
    crop: str | None = setting(
        None,
        "with CELEBA: side of the central square that is kept of the 178 x 218 pixels, or none (default: 108)",
        choices=("108", "178", "none"),
    )
    category: str | None = setting(
        None, "with LSUN: which scenes, such as bedroom", pattern="[a-z][a-z0-9_]{0,39}", example="bedroom"
    )
    yes: bool = setting(False, "with LSUN: do download its archives; that of bedroom has 46 GB")
    labels: str | None = setting(
        None,
        "take images with these labels only: numbers, or names of classes, such as 3,5 or cats,dogs",
        pattern="[^,]+(,[^,]+)*",
        example="3,5",
        metavar="A,B",
    )
    max_samples: int | None = setting(None, "take so many images of each split, at most", low=1)
    source: str | None = setting(
        None, "take a known dataset's files from this folder, not from the network", metavar="DIR"
    )
    mirror: str | None = setting(
        None,
        "try this base URL before the official ones",
        pattern=r"https?://.+/",
        example="http://host/folder/",
        metavar="URL",
    )
    distribution: str = setting("PCA", "distribution of the initial codes", choices=DISTRIBUTIONS)
    dimension: int | None = setting(
        None, "code dimension d (default: 128, or the most that PCA can give)", low=1, high=65536
    )
    pca_samples: int | None = setting(
        None,
        "fit PCA on at most this many training images, a seeded choice (default: twice an image's pixels, "
        "at least 20,000)",
        low=2,
    )
    code_norm: str = setting(
        "ball", "ball: codes within the unit ball; unit: every code divided by its norm", choices=("ball", "unit")
    )
    test_fraction: float = setting(
        0.1, "share of held-out images where the source has no split of its own", low=0, high=0.9
    )
    seed: int = setting(0, "seed of the codes and of the split", low=0, high=2**32 - 1)
    data_dir: str = setting("datasets", "folder of all datasets", metavar="DIR")
    force: bool = setting(False, "replace a dataset that is there already")
    resume: bool = setting(False, "go on with a build that was interrupted")


@dataclass(frozen=True)
class TrainSettings:
    """trainer.py. `architecture` fields must match a checkpoint; `resume` fields may change when a run goes on."""

    dataset: str | None = setting(None, "name of a dataset in --data_dir", **NAME)
    config: str | None = setting(
        None,
        "YAML file of settings (default: configs/<dataset>.yaml, else configs/default.yaml)",
        stored=False,
        metavar="FILE",
    )
    checkpoint: str | None = setting(
        None, "a run folder to resume, or RUN/model-STEP to start a new run from", stored=False, metavar="PATH"
    )
    dry_run: bool = setting(False, "check everything, print the settings, sizes and steps, and stop", stored=False)
    prefix: str = setting("default", "first word of the run folder's name", **NAME)
    data_dir: str = setting("datasets", "folder of all datasets", resume=True, metavar="DIR")
    train_dir: str = setting("train_dir", "folder of all runs", resume=True, metavar="DIR")
    device: str = setting("auto", "auto (the first GPU if there is one), cpu, or gpu:N", resume=True, **DEVICE)
    seed: int = setting(
        0, "seed of the weights, the batches, and the split where the file has none", low=0, high=2**32 - 1
    )
    # data
    max_samples: int | None = setting(None, "train on this many images only", low=1)
    test_fraction: float = setting(0.1, "share of held-out images where the file has no split", low=0, high=0.9)
    memory_limit: str | None = setting(None, MEMORY_HELP, resume=True, **MEMORY)
    batch_size: int = setting(128, "images a step", low=1)
    augment_to: int = setting(
        0,
        "where training images are fewer, add altered copies of each, with codes of their own, until there are so many",
        low=0,
        high=10**9,
        architecture=True,
    )
    augment: str = setting(
        "move,color",
        "how copies are altered: move (turn, shift, stretch, shear), flip (left and right), color (contrast, "
        "brightness, tint), invert (every other one)",
        pattern="(move|flip|color|invert)(,(move|flip|color|invert))*",
        example="move,color",
        metavar="HOW",
    )
    dimension: int | None = setting(
        None,
        "use the first so many of the codes' dimensions, with PCA the leading directions (default: all)",
        low=1,
        architecture=True,
    )
    # generator
    generator: str = setting(
        "deconv",
        "upsampling by transposed convolution, or bilinear and convolution",
        choices=("deconv", "resize_conv"),
        architecture=True,
    )
    blocks: int | None = setting(
        None,
        "upsampling blocks, each doubling the map (default: from a side of about 4 pixels)",
        low=0,
        high=10,
        architecture=True,
    )
    channels: int = setting(
        32, "channels of the finest hidden map, doubled at each coarser one", low=1, high=4096, architecture=True
    )
    max_channels: int = setting(512, "most channels of any map", low=1, high=8192, architecture=True)
    # objective
    loss: str = setting(
        "lap_l1",
        f"reconstruction loss: one of {objective.describe()}, or a sum, in quotes: 'lap_l1(levels=4)+0.5*mse'",
        check=objective.parse,
        metavar="LOSS",
    )
    # generator step
    generator_optimizer: str = setting("adam", "optimizer of the generator", choices=("adam", "sgd"))
    learning_rate: float = setting(0.005, "the generator's rate", above=0)
    lr_weight_decay: bool = setting(False, "halve the generator's rate every 10,000 steps")
    weight_decay: float = setting(0.0, "decay of the generator's kernels: each step takes rate x this off them", low=0)
    clip_norm: float | None = setting(None, "scale the generator's gradient down to this norm", above=0)
    ema: float = setting(
        0.0, "decay of an average of the generator's weights, which evaluation then uses (0: none)", low=0, high=0.99999
    )
    # code step
    alpha: float = setting(5.0, "step of the code update, on each sample's own loss", low=0)
    code_optimizer: str = setting("adam", "optimizer of the codes, row by row", choices=("sgd", "adam"))
    update: str = setting(
        "joint",
        "joint: generator and codes move on one pass; alternate: codes on a second pass",
        choices=("joint", "alternate"),
    )
    code_noise: float = setting(
        0.0, "standard deviation of the noise that training adds to each coordinate of the generator's input", low=0
    )
    noise_schedule: str = setting(
        "constant",
        "the noise over the learning steps: constant, or falling to 0 along a line or half a cosine",
        choices=("constant", "linear", "cosine"),
    )
    code_decay: float = setting(0.0, "weight of the squared norm of each code in its own loss", low=0)
    projection: str = setting(
        "ball", "where codes are kept: the unit ball, the unit sphere, or anywhere", choices=PROJECTIONS
    )
    sampler: str = setting(
        "gmm", "distribution of new codes, which evaler.py fits to the learned ones", choices=SAMPLERS, resume=True
    )
    components: int | None = setting(None, COMPONENTS_HELP, resume=True, **COMPONENTS)
    temperature: float = setting(
        1.0,
        "factor on the noise that the sampler draws: below 1 samples are likelier and less varied",
        above=0,
        high=10,
        resume=True,
    )
    # length
    schedule: str = setting(
        "cosine",
        "both rates over the planned steps: warm-up and cosine to 0, or constant",
        choices=("cosine", "constant"),
    )
    epochs: int | None = setting(
        None,
        "planned length, over which the schedule runs (default: 30, or as many as make 4,000 steps)",
        low=1,
        resume=True,
    )
    refine_steps: int = setting(
        0, "updates of each code in one more epoch at the end, in which the generator stands still", low=0, high=1000
    )
    max_steps: int | None = setting(
        None, "stop at this many steps in all, even if more are planned", low=1, resume=True
    )
    # speed
    precision: str = setting(
        "float32",
        "the generator's hidden maps in training; auto: bfloat16 if the device has it and it is faster",
        choices=("float32", "bfloat16", "auto"),
    )
    jit: str = setting(
        "auto", "compile the training step with XLA; auto: on GPUs only", choices=("auto", "on", "off"), resume=True
    )
    # records
    log_every: int = setting(50, "steps between lines of metrics.jsonl and TensorBoard", low=1, resume=True)
    save_every: int = setting(1000, "steps between checkpoints; one is always saved at the end", low=1, resume=True)
    keep: int = setting(3, "number of newest checkpoints to keep", low=1, resume=True)
    dump_result: bool = setting(
        False, "write the reconstructed batch to dump_result_<step>.hdf5 at each checkpoint", resume=True
    )

    def copies(self, n: int) -> int:
        """Altered copies of each of n training images."""
        return max(0, -(-self.augment_to // n) - 1)


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

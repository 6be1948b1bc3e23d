"""Every setting of trainer.py: its default, its limits, and what it does."""

from dataclasses import dataclass

from glo.settings import loss_expression
from glo.settings.fields import setting
from glo.settings.shared import COMPONENTS, COMPONENTS_HELP, DEVICE, MEMORY, MEMORY_HELP, NAME, SAMPLERS

PROJECTIONS = ("ball", "sphere", "none")


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
    film: int = setting(
        0,
        "let the code, and so many hidden units made of it, scale and shift the channels of every map (0: no FiLM)",
        low=0,
        high=65536,
        architecture=True,
    )
    # objective
    loss: str = setting(
        "lap_l1",
        f"reconstruction loss: one of {loss_expression.describe()}, or a sum, in quotes: 'lap_l1(levels=4)+0.5*mse'",
        check=loss_expression.parse,
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

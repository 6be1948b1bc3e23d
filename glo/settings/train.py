"""The settings of trainer.py, with their defaults, limits and help texts."""

from dataclasses import dataclass

from glo.settings import loss_expression
from glo.settings.shared import (
    COMPONENTS,
    DEVICE,
    DEVICE_HELP,
    MEMORY,
    MEMORY_HELP,
    NAME,
    SAMPLERS,
    SEED,
    code_setting,
    data_setting,
    machine_setting,
    model_setting,
    output_setting,
    sampling_setting,
    training_setting,
)

PROJECTIONS = ("ball", "sphere", "none")
# Names of `glo.model.generator.UPSAMPLING`, repeated here because settings must not import TensorFlow; a test compares
# them.
GENERATORS = ("deconv", "resize_conv")
METHODS = ("glo", "pca", "autoencoder", "vae", "gan")  # of `glo.training.methods`
CODED = 1000  # training images, at most, to which a GAN is inverted
CONDITIONAL_PRIOR = 0.15  # see `TrainSettings.fitting_prior`


@dataclass(frozen=True)
class TrainSettings:
    """The settings of trainer.py, which are saved with a run.

    Fields with `architecture=True` must equal those of a checkpoint from which a run starts. Only fields with
    `resume=True` may change when a run is resumed.
    """

    # data
    dataset: str | None = data_setting(None, "name of a dataset in --data_dir", **NAME)
    data_dir: str = data_setting("datasets", "folder of all datasets", resume=True, metavar="DIR")
    max_samples: int | None = data_setting(None, "train on at most this many images, chosen at random", low=1)
    test_fraction: float = data_setting(
        0.1, "share of held-out images, for dataset files without a split", low=0, high=0.9
    )
    dimension: int | None = data_setting(
        None,
        "use only this many leading dimensions of the codes: with PCA, the leading directions (default: all)",
        low=1,
        architecture=True,
    )
    augment_to: int = data_setting(
        0,
        "add altered copies of the training images, with codes of their own, until there are this many images",
        low=0,
        high=10**9,
        architecture=True,
    )
    augment: str = data_setting(
        "move,color",
        "how copies are altered: move (rotate, shift, stretch, shear), flip (left and right), color (contrast, "
        "brightness, tint), invert (half of the copies)",
        pattern="(move|flip|color|invert)(,(move|flip|color|invert))*",
        example="move,color",
        metavar="HOW",
    )
    seed: int = data_setting(0, "seed of the weights, the batches, and the split of files without one", **SEED)
    # model
    method: str = model_setting(
        "glo",
        "how the generator learns: glo (a code for each image), or a rival on the same generator: pca (which is "
        "linear), autoencoder, vae or gan",
        choices=METHODS,
        architecture=True,
    )
    generator: str = model_setting(
        "deconv",
        "upsampling by transposed convolutions, or by bilinear resizing and convolutions",
        choices=GENERATORS,
        architecture=True,
    )
    blocks: int | None = model_setting(
        None,
        "number of upsampling blocks, each of which doubles the sides of a map (default: as many as leave a first map "
        "of at least 4 pixels a side)",
        low=0,
        high=10,
        architecture=True,
    )
    channels: int | None = model_setting(
        None,
        "channels of the finest hidden map; every coarser one has twice as many (default: chosen so that the first "
        "map has about 96 for grey images and 320 for others; with --minutes, to suit the time)",
        low=1,
        high=4096,
        architecture=True,
    )
    max_channels: int = model_setting(512, "upper limit of the channels of a map", low=1, high=8192, architecture=True)
    film: int = model_setting(
        0,
        "units of the hidden layer of FiLM, with which the code scales and shifts the channels of every map "
        "(0: no FiLM)",
        low=0,
        high=65536,
        architecture=True,
    )
    conditional: str | None = model_setting(
        None,
        "give the generator, besides the code, the label of the image (--conditional alone) or attributes (NAME,NAME)",
        const="label",
        metavar="NAMES",
        architecture=True,
    )
    ema: float = model_setting(
        0.0,
        "decay of an exponential moving average of the generator's weights, which evaluation uses (0: no average)",
        low=0,
        high=0.99999,
    )
    batch_norm: str = model_setting(
        "local",
        "with several workers: normalise by the statistics of each worker's part of the batch, or by those of the "
        "whole batch, which takes more communication",
        choices=("local", "synced"),
        resume=True,
    )
    # training
    config: str | None = training_setting(
        None,
        "YAML file of settings (default: configs/<dataset>.yaml, or configs/default.yaml)",
        stored=False,
        metavar="FILE",
    )
    checkpoint: str | None = training_setting(
        None, "a run folder to resume, or RUN/model-STEP to start a new run from", stored=False, metavar="PATH"
    )
    encoder: bool = training_setting(
        False, "train an encoder for the finished run of --checkpoint, or continue to", stored=False
    )
    loss: str = training_setting(
        "lap_l1",
        f"reconstruction loss: one of {loss_expression.describe()}, or a weighted sum in quotes: "
        "'lap_l1(levels=4)+0.5*mse'; perceptual compares maps of a network: a CNN trained on the dataset, VGG16, or "
        "VGG16 with weights from a file, which also needs sha256=HEX",
        check=loss_expression.parse,
        metavar="LOSS",
    )
    batch_size: int = training_setting(128, "images per step", low=1)
    epochs: int | None = training_setting(
        None,
        "planned number of epochs, over which the schedule runs (default: 12 to 150, so that 1.2 million images are "
        "seen, or fewer if they are larger than 28x28; and at least 4,000 steps)",
        low=1,
        resume=True,
    )
    minutes: float | None = training_setting(
        None,
        "choose the number of epochs, and of channels unless it is given, so that training takes this many minutes, by "
        "timing some steps at the start",
        above=0,
        high=10**5,
    )
    max_steps: int | None = training_setting(
        None, "stop after this many steps in total, even if more are planned", low=1, resume=True
    )
    learning_rate: float = training_setting(0.005, "learning rate of the generator", above=0)
    schedule: str = training_setting(
        "cosine",
        "schedule of learning_rate and alpha over the planned steps: linear warm-up and cosine decay to 0, or constant",
        choices=("cosine", "constant"),
    )
    lr_weight_decay: bool = training_setting(False, "halve the learning rate of the generator every 10,000 steps")
    generator_optimizer: str = training_setting("adam", "optimizer of the generator", choices=("adam", "sgd"))
    weight_decay: float = training_setting(
        0.0, "weight decay of the generator's kernels, multiplied by the learning rate", low=0
    )
    clip_norm: float | None = training_setting(None, "maximum norm of the generator's gradient", above=0)
    update: str = training_setting(
        "joint",
        "joint: one pass computes the gradients of the generator and the codes; alternate: a second pass computes "
        "those of the codes after the generator step",
        choices=("joint", "alternate"),
    )
    beta: float = training_setting(
        1.0, "weight of the Kullback-Leibler divergence of a vae, in nats a pixel value", low=0
    )
    gradient_penalty: float = training_setting(
        0.0,
        "weight of the squared gradient: with gan, of the discriminator at training images (R1, default 10); with "
        "autoencoder, of the generator at codes (RAE)",
        low=0,
    )
    # codes
    alpha: float = code_setting(5.0, "step size of the codes, each on the loss of its own image", low=0)
    code_optimizer: str = code_setting("adam", "optimizer of the codes, row by row", choices=("sgd", "adam"))
    projection: str = code_setting(
        "ball", "codes are projected onto the unit ball or the unit sphere, or not at all", choices=PROJECTIONS
    )
    code_noise: float = code_setting(
        0.0, "standard deviation of the normal noise that is added to codes in training", low=0
    )
    noise_schedule: str = code_setting(
        "constant",
        "schedule of the code noise over the training steps: constant, or linear or cosine decay to 0",
        choices=("constant", "linear", "cosine"),
    )
    code_decay: float = code_setting(0.0, "weight of the squared norm of a code in the loss of its image", low=0)
    refine_steps: int = code_setting(
        0,
        "updates of each code in a final epoch with a frozen generator",
        low=0,
        high=1000,
    )
    # sampling
    sampler: str = sampling_setting(
        "auto",
        "distribution that evaler.py fits to the learned codes; auto: gmm with components in proportion to the number "
        "of codes",
        choices=("auto", *SAMPLERS),
        resume=True,
    )
    components: int | None = sampling_setting(
        None,
        "number of Gaussians of the samplers gmm (default: chosen by held-out likelihood) and leading (default: one "
        "for every 400 codes)",
        resume=True,
        **COMPONENTS,
    )
    temperature: float | None = sampling_setting(
        None,
        "factor on the noise from which codes are drawn; below 1, samples are more likely and less varied (default: "
        "0.95 for leading, otherwise 1)",
        above=0,
        high=10,
        resume=True,
    )
    # output
    train_dir: str = output_setting("train_dir", "folder of all runs", resume=True, metavar="DIR")
    prefix: str = output_setting("default", "first word of the run folder's name", **NAME)
    log_every: int = output_setting(50, "steps between lines of metrics.jsonl and TensorBoard", low=1, resume=True)
    save_every: int = output_setting(
        1000, "steps between checkpoints; one is always saved at the end", low=1, resume=True
    )
    keep: int = output_setting(3, "number of checkpoints to keep, the newest ones", low=1, resume=True)
    dump_result: bool = output_setting(
        False,
        "write the last batch and its reconstruction to dump_result_<step>.hdf5 at each checkpoint",
        resume=True,
    )
    dry_run: bool = output_setting(
        False, "check everything, print the settings, sizes and steps, and stop", stored=False
    )
    # machine
    device: str = machine_setting("auto", DEVICE_HELP, resume=True, **DEVICE)
    memory_limit: str | None = machine_setting(None, MEMORY_HELP, resume=True, **MEMORY)
    precision: str = machine_setting(
        "float32",
        "type of the generator's hidden maps in training; auto: bfloat16 if the device supports it and it is faster",
        choices=("float32", "bfloat16", "auto"),
    )
    jit: str = machine_setting(
        "auto", "compile the training step with XLA; auto: on GPUs only", choices=("auto", "on", "off"), resume=True
    )
    workers: int | None = machine_setting(
        None,
        "train with this many processes on this machine, one for each GPU if there are GPUs (default: 1, or those that "
        "TF_CONFIG or a step of SLURM lists)",
        low=1,
        high=4096,
        stored=False,
    )
    worker_timeout: float = machine_setting(
        300.0, "seconds until all workers must have started", above=0, high=10**6, stored=False
    )

    @property
    def fitting_prior(self) -> float:
        """Weight of the prior with which new images are fitted. Without it, fitted codes hold more than style."""
        return 0.0 if self.conditional is None else CONDITIONAL_PRIOR

    @property
    def has_encoder(self) -> bool:
        """Whether the method learns an encoder along with the generator."""
        return self.method in ("pca", "autoencoder", "vae")

    @property
    def single_sampler(self) -> str:
        """The distribution that the codes follow if it is N(0, I), otherwise one Gaussian that is fitted to them."""
        return "unit" if self.method in ("vae", "gan") else "gaussian"

    def copies(self, n: int) -> int:
        """Number of altered copies of each of n training images that --augment_to requires."""
        return max(0, -(-self.augment_to // n) - 1)

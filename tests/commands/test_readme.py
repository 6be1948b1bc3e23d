"""Every command of the README and the guides, and every shipped recipe, on small generated files."""

import gzip
import io
import re
import shlex
import shutil
import struct
import zipfile

import lmdb
import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.io import savemat

from tests.support import ROOT, assert_ok, call, samples, write_flat, write_grouped

# In reading order: the guides use the datasets and runs of the README.
GUIDES = [
    ROOT / "README.md",
    *(ROOT / f"docs/{name}.md" for name in ("RESTORING", "RESULTS", "FORMATS", "EXPLORER", "LATENT", "METHODS")),
]
PAGES = {path: path.read_text(encoding="utf-8") for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}
BLOCKS = [block for path in GUIDES for block in re.findall(r"```sh\n(.*?)```", PAGES[path], re.DOTALL)]
COMMANDS = re.findall(r"^python .+$", "\n".join(BLOCKS), re.MULTILINE)
RECIPES = sorted((ROOT / "configs").glob("*.yaml"))
# Flags that make a command short.
SHORT = {
    "download.py": ["--source", "official"],
    "trainer.py": ["--max_steps", "2", "--channels", "4", "--augment_to", "100", "--loss", "mse"],
    "evaler.py": ["--num_fit", "3", "--fit_steps", "2", "--tfjs", "tf.es2017.min.js"],
}


def write_idx(path, values):
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes()))


def official_files(folder):
    """Write small files in the official layouts of MNIST, SVHN, CIFAR-10, CelebA and LSUN."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for split, n in (("train", 150), ("t10k", 20)):
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", random.integers(0, 256, (n, 28, 28), np.uint8))
        write_idx(folder / f"{split}-labels-idx1-ubyte.gz", random.integers(0, 4, n, np.uint8))
    for split, n in (("train", 40), ("test", 10)):
        pixels, labels = random.integers(0, 256, (32, 32, 3, n), np.uint8), random.integers(1, 11, (n, 1), np.uint8)
        savemat(folder / f"{split}_32x32.mat", {"X": pixels, "y": labels})
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        records = random.integers(0, 256, (8, 3073), np.uint8)
        records[:, 0] %= 10
        records.tofile(folder / f"{name}.bin")
    pictures = [jpeg(random.integers(0, 256, (218, 178, 3), np.uint8)) for _ in range(140)]
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for row, picture in enumerate(pictures):
            archive.writestr(f"img_align_celeba/{row}.jpg", picture)
    rows = "".join(f"{row}.jpg {1 - 2 * (row % 2)} {1 - 2 * (row % 3 % 2)} -1\n" for row in range(140))
    (folder / "list_attr_celeba.txt").write_text(f"140\nSmiling Eyeglasses Bald\n{rows}")
    (folder / "list_eval_partition.txt").write_text("".join(f"{row}.jpg {row // 130 * 2}\n" for row in range(140)))
    for part in ("train", "val"):
        (folder / f"bedroom_{part}_lmdb").mkdir()
        with lmdb.open(str(folder / f"bedroom_{part}_lmdb")) as database, database.begin(write=True) as transaction:
            for row in range(5):
                transaction.put(str(row).encode(), pictures[row])


def jpeg(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the files that the README's commands name."""
    home = tmp_path_factory.mktemp("home")
    official_files(home / "official")
    images, codes = samples(14, (8, 8, 3), 4)
    for index, image in enumerate(images):
        (home / f"photos/{'ab'[index % 2]}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(home / f"photos/{'ab'[index % 2]}/{index}.png")
    np.savez(home / "arrays.npz", image=images)
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(home / "mask.png")
    for name in "abc":
        Image.fromarray(images[0]).save(home / f"{name}.png")
    shutil.copytree(ROOT / "configs", home / "configs")
    (home / "my_recipe.yaml").write_text("alpha: 3\n")
    (home / "tf.es2017.min.js").write_text("globalThis.tf = {};")
    np.save(home / "codes.npy", np.zeros((2, 128)))
    write_grouped(home / "datasets/YOUR_DATASET", images, codes, list(map(str, range(14))))
    return home


def test_the_commands_of_the_readme_and_guides_in_order(home, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setattr("glo.features.trained.MIN_STEPS", 2)
    monkeypatch.setattr("glo.building.initial_codes.ITERATIONS", 1)
    monkeypatch.setattr("glo.features.contrastive.MIN_STEPS", 2)
    monkeypatch.setattr("glo.features.contrastive.MAX_STEPS", 2)
    monkeypatch.setattr("glo.samplers.leading.STEPS", 2)
    assert len(COMMANDS) > 12
    for command in COMMANDS:
        _, script, *args = shlex.split(command)
        for index, arg in enumerate(args):
            if match := re.match(r"train_dir/default-([A-Z0-9]+)_lr_0.005-20260101-120000", arg):
                # Here the name of the run contains another time, and the run has fewer steps.
                run = max(home.glob(f"train_dir/default-{match[1]}_lr_*"), key=lambda path: path.name)
                args[index] = arg.replace(match[0], str(run)).replace("model-1000", "model-2")
        extra = list(SHORT[script])
        if script == "trainer.py" and "--checkpoint" in args:
            extra = [] if "--max_steps" in args else ["--max_steps", "4"]
            args = ["4" if arg == "20000" else arg for arg in args]
        if "--datasets" not in args and script == "download.py":
            extra = []
        assert_ok(call(script, *args, *extra))


def test_named_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = {target for text in PAGES.values() for target in re.findall(r"^make (\w+)$", text, re.MULTILINE)}
    assert targets
    for target in targets:
        assert f"\n{target}: " in makefile


def test_pictures_and_linked_files_exist():
    pictures = 0
    for page, text in PAGES.items():
        for mark, target in re.findall(r"(!?)\[[^]]*]\(([^)#]+)\)", text):
            if not target.startswith("https://"):
                assert (page.parent / target).exists(), f"{page.name} names {target}"
            if mark:
                pictures += 1
                assert 0 < (page.parent / target).stat().st_size < 1_500_000
    assert pictures >= 6


def test_defaults_in_tables_of_settings_are_correct():
    from glo.settings import TrainSettings

    defaults = TrainSettings()
    rows = re.findall(r"^\| `--(\w+)` \| ([^|]+) \|", "\n".join(PAGES.values()), re.MULTILINE)
    assert len(rows) >= 6
    for name, default in rows:
        assert str(getattr(defaults, name)) in (default.strip(), f"{default.strip()}.0")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_names_its_command_and_trains(recipe, tmp_path, monkeypatch):
    first = recipe.read_text().splitlines()[0]
    name = {"default": "NAME"}.get(recipe.stem, re.sub("_(generate|conditional)$", "", recipe.stem).upper())
    chosen = [] if recipe.stem in ("default", name.lower()) else ["--config", f"configs/{recipe.name}"]
    assert first == " ".join(["# python trainer.py --dataset", name, *chosen])
    side = {"DIGITS": 8, "MNIST": 28}.get(name, 32)
    grey = name == "DIGITS" or "MNIST" in name
    dimension = yaml.safe_load(recipe.read_text()).get("dimension", 6)
    images, codes = samples(20, (side, side, 1 if grey else 3), dimension)
    write_flat(tmp_path / "datasets" / name, images, codes, label=np.arange(20, dtype=np.int32) % 2)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    overrides = {"batch_size": 4, "augment_to": 40} if "augment_to" in recipe.read_text() else {"batch_size": 4}
    small = [word for setting, value in overrides.items() for word in (f"--{setting}", value)]
    result = call("trainer.py", "--dataset", name, *chosen, "--max_steps", 2, *small)
    assert_ok(result)
    (run,) = tmp_path.glob("train_dir/*")
    used = (run / "config.yaml").read_text()
    for line in recipe.read_text().splitlines():
        setting = line.split(":")[0]
        # config.yaml contains the precision that `auto` chose.
        if not line.startswith("#") and line != "precision: auto":
            expected = f"{setting}: {overrides[setting]}" if setting in overrides else line
            assert f"\n{expected}\n" in "\n" + used

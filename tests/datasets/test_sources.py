"""Every source: small files in its format are decoded, and compared with the pixels they were made from."""

import bz2
import gzip
import io
import logging
import lzma
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

import datasets
from datasets import cifar10, decoding, digits, fetch, folder, idx, mnist, npz, picture, svhn
from glo.data.pixels import float_range, pixel_range, to_uint8
from glo.runtime.errors import UserError

RNG = np.random.default_rng(0)
IMAGE = np.zeros((3, 4, 4), np.uint8)


def random_pixels(*shape):
    return RNG.integers(0, 256, shape, np.uint8)


def fails(function, *words):
    """Check that `function` raises a UserError whose message is one line and contains all of `words`."""
    with pytest.raises(UserError) as caught:
        function()
    assert "\n" not in str(caught.value)
    for word in words:
        assert str(word) in str(caught.value)


def test_every_source_has_files_and_blocks():
    for name in datasets.SOURCES:
        module = datasets.load(name)
        assert callable(module.blocks)
        for file in module.FILES:
            assert len(file.sha256) == 64
            assert all(url.endswith("/" + file.name) for url in file.urls)
    assert [file.name for file in datasets.load("KMNIST").FILES] == list(idx.NAMES)
    fails(lambda: datasets.load("MNITS"), "MNITS", "did you mean MNIST?", "CIFAR10")


# --- IDX ----------------------------------------------------------------------------------------------------------


def idx_bytes(array):
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def idx_set(tmp_path):
    """The paths (by name) and arrays of the four files of a small dataset, in the order of `idx.NAMES`."""
    arrays = (random_pixels(20, 5, 4), random_pixels(20) % 10, random_pixels(7, 5, 4), random_pixels(7) % 10)
    paths = {name: tmp_path / name for name in idx.NAMES}
    for path, array in zip(paths.values(), arrays, strict=True):
        path.write_bytes(gzip.compress(idx_bytes(array)))
    return paths, arrays


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, bytes])
def test_idx(idx_set, compress):
    paths, arrays = idx_set
    paths[idx.NAMES[0]].write_bytes(compress(idx_bytes(arrays[0])))  # under a name that ends in .gz
    train, test = mnist.blocks(paths)
    for block, images, labels, split in ((train, *arrays[:2], 0), (test, *arrays[2:], 1)):
        np.testing.assert_array_equal(block.images, images[..., None])
        np.testing.assert_array_equal(block.labels, labels)
        np.testing.assert_array_equal(block.split, np.full(len(images), split))
        assert (block.images.dtype, block.labels.dtype, block.split.dtype) == (np.uint8, np.int32, np.uint8)


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :]


RAW = idx_bytes(np.arange(60, dtype=np.uint8).reshape(3, 5, 4))
PACKED = gzip.compress(RAW)
HUGE = bytes((0, 0, 8, 3)) + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cut short"),
        (RAW[:3], "cut short"),
        (RAW[:-1], "cut short"),
        (PACKED[:-9], "cut short"),
        (PACKED[:30], "cut short"),
        (RAW + b"x", "has more than the 60 values"),
        (gzip.compress(RAW + bytes(10**6)), "has more than"),
        (flipped(PACKED, -6), "damaged"),
        (flipped(PACKED, 12), ""),
        (flipped(lzma.compress(RAW), 30), "damaged"),
        (idx_bytes(np.zeros(5, np.uint8)), "starts with 00000801, not 00000803"),
        (b"\0\0\x0d\x03" + RAW[4:], "starts with 00000d03"),
        (b"<html>no such file</html>", "starts with"),
        (HUGE, "declares"),
        (idx_bytes(np.zeros((0, 5, 4), np.uint8)), "declares 0 x 5 x 4"),
    ],
    ids=map(str, range(15)),
)
def test_invalid_idx(tmp_path, content, words):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    fails(lambda: idx.read(path, 3), path, words, "download it again")


def test_idx_files_that_do_not_belong_together(idx_set):
    paths, arrays = idx_set
    paths[idx.NAMES[3]].write_bytes(idx_bytes(arrays[3][:-1]))
    fails(lambda: list(idx.blocks(paths)), "7 images", "6 labels")
    paths[idx.NAMES[3]].write_bytes(idx_bytes(arrays[3]))
    paths[idx.NAMES[2]].write_bytes(idx_bytes(arrays[2].reshape(7, 4, 5)))
    fails(lambda: list(idx.blocks(paths)), "(4, 5)", "(5, 4)")
    paths[idx.NAMES[0]].unlink()
    fails(lambda: list(idx.blocks(paths)), "No such file")


# --- SVHN ---------------------------------------------------------------------------------------------------------


def save_mat(path, images, labels, **more):
    from scipy.io import savemat

    savemat(path, {"X": images, "y": labels, **more}, do_compression=True)


def test_svhn(tmp_path, monkeypatch):
    monkeypatch.setattr(svhn, "BLOCK", 4)
    paths = {file.name: tmp_path / file.name for file in svhn.FILES}
    stored, labels = {}, {}
    for (name, path), count in zip(paths.items(), (11, 3), strict=True):
        stored[name] = random_pixels(32, 32, 3, count)
        labels[name] = np.arange(10, 10 - count, -1) % 10
        save_mat(path, stored[name], np.where(labels[name] == 0, 10, labels[name]).astype(np.uint8)[:, None])
    blocks = list(svhn.blocks(paths))
    assert [len(block.images) for block in blocks] == [4, 4, 3, 3]
    assert all(block.images.flags.c_contiguous for block in blocks)
    images = np.concatenate([block.images for block in blocks])
    for i in range(11):
        np.testing.assert_array_equal(images[i], stored["train_32x32.mat"][:, :, :, i])
    np.testing.assert_array_equal(images[11], stored["test_32x32.mat"][:, :, :, 0])
    np.testing.assert_array_equal(np.concatenate([b.labels for b in blocks]), np.concatenate(list(labels.values())))
    np.testing.assert_array_equal(np.concatenate([b.split for b in blocks]), [0] * 11 + [1] * 3)
    assert blocks[0].labels.dtype == np.int32


VALID_X, VALID_Y = np.zeros((32, 32, 3, 4), np.uint8), np.ones((4, 1), np.uint8)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (VALID_X.astype(float), VALID_Y, "X is double"),
        (VALID_X[:30], VALID_Y, "X is uint8 30x32x3x4"),
        (VALID_X, VALID_Y[:3], "y is uint8 3x1 for 4 images"),
        (VALID_X, VALID_Y * 11, "labels"),
        (VALID_X, VALID_Y * 1.5, "labels"),
        (VALID_X, VALID_Y * np.nan, "labels"),
        (VALID_X, "abcd", "y is char"),
    ],
)
def test_invalid_svhn(tmp_path, images, labels, words):
    path = tmp_path / "train_32x32.mat"
    save_mat(path, images, labels)
    fails(lambda: svhn.read(path), path, words)


def test_damaged_svhn(tmp_path):
    path = tmp_path / "train_32x32.mat"
    save_mat(path, random_pixels(32, 32, 3, 4), VALID_Y)
    whole = path.read_bytes()
    flips = [flipped(whole, at) for at in (2000, 130)]
    for content in (b"", b"not MATLAB", whole[:100], whole[:3000], whole[:-4], *flips):
        path.write_bytes(content)
        fails(lambda: svhn.read(path), path, "is not an SVHN file")
    path.unlink()
    fails(lambda: svhn.read(path), path)


@pytest.mark.filterwarnings("error")
def test_numbers_of_a_vax(tmp_path):
    """SciPy warns that it reads them wrongly; the file is refused, and nothing is printed."""
    path = tmp_path / "train_32x32.mat"
    path.write_bytes(struct.pack("<5i", 2000, 1, 1, 0, 2) + b"X\0" + bytes(8))
    fails(lambda: svhn.read(path), path, "no variable y")


# --- CIFAR-10 -----------------------------------------------------------------------------------------------------


@pytest.fixture
def cifar():
    """The content of the six files by name, built record by record as the format defines, and the images and labels."""
    files, images, labels = {}, [], []
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        content = b""
        for _ in range(3):
            image, label = random_pixels(32, 32, 3), int(RNG.integers(10))
            content += bytes([label]) + b"".join(image[:, :, plane].tobytes() for plane in range(3))
            images.append(image)
            labels.append(label)
        files[name] = content
    return files, np.stack(images), labels


def write_tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
                archive.addfile(info)


def read_cifar(path):
    return list(cifar10.blocks({"cifar-10-binary.tar.gz": path}))


def check_cifar(blocks, images, labels):
    np.testing.assert_array_equal(np.concatenate([block.images for block in blocks]), images)
    np.testing.assert_array_equal(np.concatenate([block.labels for block in blocks]), labels)
    np.testing.assert_array_equal(np.concatenate([block.split for block in blocks]), [0] * 15 + [1] * 3)
    assert blocks[0].labels.dtype == np.int32


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "w"])
def test_cifar_archives(tmp_path, cifar, mode):
    files, images, labels = cifar
    members = [(f"cifar-10-batches-bin/{name}", content) for name, content in reversed(files.items())]
    path = tmp_path / "cifar-10-binary.tar.gz"
    write_tar(path, [("readme.html", b"<html>"), *members, ("../evil", b"x"), ("link", None)], mode)
    check_cifar(read_cifar(path), images, labels)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name], "a member was extracted"


@pytest.mark.parametrize("below", [".", "cifar-10-batches-bin"])
def test_cifar_unpacked(tmp_path, cifar, below):
    files, images, labels = cifar
    (tmp_path / below).mkdir(exist_ok=True)
    for name, content in files.items():
        (tmp_path / below / name).write_bytes(content)
    path = fetch.locate(cifar10.FILES[0], tmp_path)
    check_cifar(read_cifar(path), images, labels)
    (tmp_path / below / "test_batch.bin").unlink()
    fails(lambda: read_cifar(path), "test_batch.bin", "No such file")


def test_invalid_cifar(tmp_path, cifar, monkeypatch):
    files, _, _ = cifar
    path = tmp_path / "cifar-10-binary.tar.gz"

    def write(**changed):
        write_tar(path, [(name, changed.get(name.split(".")[0], content)) for name, content in files.items()])

    write(data_batch_2=files["data_batch_2.bin"][:-1])
    fails(lambda: read_cifar(path), path, "data_batch_2.bin", "not whole records")
    write(data_batch_2=b"")
    fails(lambda: read_cifar(path), "data_batch_2.bin", "not whole records")
    write(test_batch=b"\x0a" + files["test_batch.bin"][1:])
    fails(lambda: read_cifar(path), "test_batch.bin", "label 10")
    write(data_batch_3=None)  # a link to another file
    fails(lambda: read_cifar(path), path, "lacks data_batch_3.bin")
    write_tar(path, [*files.items(), ("again/test_batch.bin", files["test_batch.bin"])])
    fails(lambda: read_cifar(path), "test_batch.bin appears twice")
    write_tar(path, [("cifar-10-batches-py/data_batch_1", b"pickle")])
    fails(lambda: read_cifar(path), "binary version")
    write()
    whole = path.read_bytes()
    for content in (b"", b"no archive", whole[:1000], whole[:-20], flipped(whole, 5000), flipped(whole, -6)):
        path.write_bytes(content)
        fails(lambda: read_cifar(path), path, "cannot be read", "download it again")
    path.write_bytes(whole)
    monkeypatch.setattr(cifar10, "MAX_ARCHIVE", 5 * 3 * 3073)
    fails(lambda: read_cifar(path), "unpacks to more than")
    monkeypatch.setattr(cifar10, "MAX_MEMBER", 3073)
    fails(lambda: read_cifar(path), "too many")


# --- DIGITS -------------------------------------------------------------------------------------------------------


def test_digits():
    from sklearn.datasets import load_digits

    (block,) = digits.blocks({})
    expected = load_digits()
    assert block.images.shape == (1797, 8, 8, 1)
    assert (block.images.dtype, block.labels.dtype, block.split) == (np.uint8, np.int32, None)
    assert (block.images.min(), block.images.max()) == (0, 255)
    np.testing.assert_allclose(block.images[..., 0] * (16 / 255), expected.images, atol=0.5 * 16 / 255)
    np.testing.assert_array_equal(block.labels, expected.target)


# --- pixels and .npz ----------------------------------------------------------------------------------------------


def convert(images):
    return to_uint8(images, pixel_range(*float_range(images, "here"), "here"))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_float_pixels_are_converted_back(dtype):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert convert(pixels) is pixels
    np.testing.assert_array_equal(convert((pixels / 255).astype(dtype)), pixels)
    np.testing.assert_array_equal(convert((pixels / 127.5 - 1).astype(dtype)), pixels)


def test_the_kind_of_pixels_depends_on_all_images():
    dark, bright = np.full((2, 2), 0.5), np.full((2, 2), -0.5)
    lows, highs = zip(*(float_range(images, "") for images in (dark, bright, IMAGE)), strict=True)
    low, high = min(lows), max(highs)
    assert (low, high) == (-0.5, 0.5)
    kind = pixel_range(low, high, "")
    assert kind == "symmetric"
    np.testing.assert_array_equal(to_uint8(dark, kind), 191)  # 1.5 * 127.5 = 191.25
    assert pixel_range(*float_range(np.zeros((0, 2)), ""), "") == "uint8"
    assert pixel_range(-1e-7, 1 + 1e-6, "") == "unit"
    np.testing.assert_array_equal(to_uint8(np.array([-1e-4, 1.0005]), "unit"), [0, 255])


def test_invalid_pixels():
    for value in (np.nan, np.inf, -np.inf):
        fails(lambda value=value: convert(np.array([0.5, value, 0.1])), "here", "NaN or infinite")
    fails(lambda: convert(np.array([0.0, 255.0])), "here", "from 0 to 255")
    fails(lambda: convert(np.array([-1.5, 0.0])), "from -1.5 to 0")
    fails(lambda: convert(np.array([1, 2])), "int64")


def test_npz(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(npz, "BLOCK", 4)
    path = tmp_path / "mine.npz"
    pixels, labels, split = random_pixels(10, 6, 5, 3), np.arange(10) - 5, np.arange(10) % 2 == 0
    np.savez_compressed(path, image=np.asfortranarray(pixels / 127.5 - 1), label=labels, split=split, other="x")
    with caplog.at_level(logging.INFO, "glo"):
        blocks = list(npz.blocks(path))
    assert "10 images 6x5x3, float in [-1, 1]" in caplog.text
    assert [len(block.images) for block in blocks] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([block.images for block in blocks]), pixels)
    np.testing.assert_array_equal(np.concatenate([block.labels for block in blocks]), labels)
    np.testing.assert_array_equal(np.concatenate([block.split for block in blocks]), split)
    assert (blocks[0].labels.dtype, blocks[0].split.dtype) == (np.int32, np.uint8)
    np.savez(path, image=pixels[..., 0])
    blocks = list(npz.blocks(path))
    np.testing.assert_array_equal(np.concatenate([block.images for block in blocks]), pixels[..., :1])
    assert blocks[0].labels is blocks[0].split is None


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": IMAGE}, "no array named image"),
        ({"image": IMAGE[0]}, "shape (4, 4)"),
        ({"image": IMAGE[:0]}, "shape (0, 4, 4)"),
        ({"image": np.zeros((3, 4, 4, 2))}, "c 1 or 3"),
        ({"image": IMAGE.astype(np.int64)}, "int64"),
        ({"image": IMAGE.astype(object)}, "Python objects"),
        ({"image": IMAGE + np.nan}, "NaN"),
        ({"image": IMAGE + 200.0}, "floating-point pixels"),
        ({"image": IMAGE, "label": [1, 2]}, "label"),
        ({"image": IMAGE, "label": [[1], [2], [3]]}, "label"),
        ({"image": IMAGE, "label": [1.0, 2.0, 3.0]}, "label"),
        ({"image": IMAGE, "label": [1, 2, 2**31]}, "label"),
        ({"image": IMAGE, "label": np.array([1, 2, 2**64 - 1], np.uint64)}, "label"),
        ({"image": IMAGE, "split": [0, 1, 2]}, "split"),
    ],
)
def test_invalid_npz(tmp_path, arrays, words):
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays)
    fails(lambda: list(npz.blocks(path)), path, words)


def test_damaged_npz(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, image=random_pixels(3, 40, 40))
    whole = path.read_bytes()
    for content in (b"", b"nothing", whole[:-30], flipped(whole, 500), flipped(whole, 60)):
        path.write_bytes(content)
        fails(lambda: list(npz.blocks(path)), path, "numpy.savez")
    path.unlink()
    fails(lambda: list(npz.blocks(path)), path, "No such file")


def test_an_npz_that_declares_a_huge_array(tmp_path):
    path = tmp_path / "mine.npz"
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (10**5, 10**3, 10**2)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.npy", head.getvalue() + bytes(1000))
    fails(lambda: list(npz.blocks(path)), "do not match its shape")


# --- pictures -----------------------------------------------------------------------------------------------------


def pixels_of(*args, channels=3, size=None):
    return picture.decode(*args, size, channels)


def test_color_modes(tmp_path):
    """Pictures in each colour mode are compared with the values they were made from."""
    path = tmp_path / "x.png"
    colour, grey = random_pixels(6, 4, 3), random_pixels(6, 4)

    Image.fromarray(colour).save(path)
    np.testing.assert_array_equal(pixels_of(path), colour)
    luma = np.rint(colour @ [0.299, 0.587, 0.114])
    np.testing.assert_allclose(pixels_of(path, channels=1)[..., 0], luma, atol=1)
    Image.fromarray(grey).save(path)
    np.testing.assert_array_equal(pixels_of(path, channels=1), grey[..., None])
    np.testing.assert_array_equal(pixels_of(path), np.repeat(grey[..., None], 3, axis=2))

    alpha = random_pixels(6, 4)
    over_white = colour * (alpha[..., None] / 255) + (255 - alpha[..., None])
    Image.fromarray(np.dstack([colour, alpha])).save(path)
    np.testing.assert_allclose(pixels_of(path), over_white, atol=1.01)
    Image.fromarray(np.dstack([grey, alpha]), "LA").save(path)
    np.testing.assert_allclose(pixels_of(path, channels=1)[..., 0], grey * (alpha / 255) + 255 - alpha, atol=1.01)

    deep = RNG.integers(0, 65536, (6, 4)).astype(np.uint16)
    for name in ("x.png", "x.tif"):
        Image.fromarray(deep).save(tmp_path / name)
        np.testing.assert_allclose(pixels_of(tmp_path / name, channels=1)[..., 0], deep / 257, atol=0.51)
        assert picture.header(tmp_path / name) == ((6, 4), True)

    indexed = Image.fromarray(random_pixels(6, 4) % 4, "P")
    indexed.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7])
    table = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 8, 7]])
    indexed.save(path)
    np.testing.assert_array_equal(pixels_of(path), table[np.asarray(indexed)])
    indexed.save(path, transparency=3)
    table[3] = 255
    np.testing.assert_array_equal(pixels_of(path), table[np.asarray(indexed)])

    Image.fromarray(grey > 127).save(path)
    np.testing.assert_array_equal(pixels_of(path, channels=1)[..., 0], np.where(grey > 127, 255, 0))

    ink = random_pixels(6, 4, 4)
    Image.fromarray(ink, "CMYK").save(tmp_path / "x.tif")
    expected = (255.0 - ink[..., :3]) * (255.0 - ink[..., 3:]) / 255
    np.testing.assert_allclose(pixels_of(tmp_path / "x.tif"), expected, atol=1.01)
    ink[:] = [0, 200, 100, 20]
    Image.fromarray(ink, "CMYK").save(tmp_path / "x.jpg", quality=95)
    np.testing.assert_allclose(pixels_of(tmp_path / "x.jpg")[0, 0], [235, 51, 143], atol=4)

    Image.fromarray(grey.astype(np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(picture.PictureError, match="floating-point"):
        pixels_of(tmp_path / "f.tif")


def test_the_first_frame_of_an_animated_gif_is_decoded(tmp_path):
    frames = [Image.new("RGB", (5, 4), name) for name in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(pixels_of(tmp_path / "x.gif"), np.broadcast_to([255, 0, 0], (4, 5, 3)))


TRANSFORMS = {  # from stored to displayed pixels, by EXIF orientation
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TRANSFORMS)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_exif_orientation(tmp_path, orientation, suffix):
    stored = random_pixels(6, 4, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"x{suffix}"
    Image.fromarray(stored).save(path, exif=exif)
    expected = TRANSFORMS[orientation](stored)
    np.testing.assert_array_equal(pixels_of(path), expected)
    assert picture.header(path) == (expected.shape[:2], False)


def smooth(height, width):
    """A picture of long waves, uint8 [height, width, 3], which resizing hardly changes."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    return np.rint(127 + 100 * np.sin(6 * np.stack([x, y, x + y], axis=2))).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize(("height", "width"), [(800, 1200), (1200, 800), (37, 800), (10, 10)])
@pytest.mark.parametrize("size", [(20, 20), (16, 24), (25, 11)])
def test_resize_and_centre_crop(tmp_path, suffix, height, width, size):
    """Compared with the simple method: resize the whole picture so that both sides are large enough, then crop it."""
    path = tmp_path / f"x{suffix}"
    Image.fromarray(smooth(height, width)).save(path, quality=95)
    full = Image.open(path)
    scale = max(size[0] / height, size[1] / width)
    large = full.resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS)
    left, top = (large.width - size[1]) / 2, (large.height - size[0]) / 2
    expected = np.asarray(large, float)[round(top) :, round(left) :][: size[0], : size[1]]
    pixels = pixels_of(path, size=size).astype(float)
    assert pixels.shape == (*size, 3)
    assert np.abs(pixels - expected).mean() < 6  # the two methods may differ by a shift of half a pixel


def test_shrinking_a_jpeg_does_not_alias(tmp_path):
    """Stripes too fine for the target size must become uniform grey, although the JPEG decoder reduces the size."""
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "x.jpg", quality=98, subsampling=0)
    pixels = pixels_of(tmp_path / "x.jpg", size=(60, 60))
    np.testing.assert_allclose(pixels[5:-5, 5:-5], 127.5, atol=3)


def save(root, name, pixels, **options):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def joined(blocks):
    blocks = list(blocks)
    assert all(block.split is None and block.codes is None for block in blocks)
    ids = [id_ for block in blocks for id_ in block.ids]
    labels = None if blocks[0].labels is None else np.concatenate([block.labels for block in blocks])
    return np.concatenate([block.images for block in blocks]), labels, ids


def test_folder_with_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "BLOCK_IMAGES", 2)
    names = ["b/2.png", "b/10.png", "a/deep/er/x.PNG", "c/1.png", "a/y.png"]
    stored = {name: random_pixels(4, 6, 3) for name in names}
    for name, pixels in stored.items():
        save(tmp_path, name, pixels)
    save(tmp_path, ".hidden/x.png", random_pixels(3, 3, 3))
    save(tmp_path, "a/.thumbnail.png", random_pixels(3, 3, 3))
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    (tmp_path / "empty").mkdir()
    assert folder.collection(tmp_path).class_names == ["a", "b", "c"]
    assert [len(block.images) for block in folder.collection(tmp_path).blocks()] == [2, 2, 1]
    images, labels, ids = joined(folder.collection(tmp_path).blocks())
    assert ids == ["a/deep/er/x.PNG", "a/y.png", "b/10.png", "b/2.png", "c/1.png"]
    np.testing.assert_array_equal(labels, [0, 0, 1, 1, 2])
    np.testing.assert_array_equal(images, np.stack([stored[name] for name in ids]))
    assert (images.dtype, labels.dtype) == (np.uint8, np.int32)


def test_flat_folder_and_channels(tmp_path, caplog):
    grey = save(tmp_path, "a\nb.png", random_pixels(4, 4))
    images, labels, ids = joined(folder.collection(tmp_path).blocks())
    np.testing.assert_array_equal(images[0, ..., 0], np.asarray(Image.open(grey)))
    assert (images.shape, labels, ids) == ((1, 4, 4, 1), None, ["a_b.png"])
    assert joined(folder.collection(tmp_path, None, 3).blocks())[0].shape == (1, 4, 4, 3)
    save(tmp_path, "below/c.png", random_pixels(4, 4, 3))
    images, labels, _ = joined(folder.collection(tmp_path).blocks())
    assert (images.shape, labels) == ((2, 4, 4, 3), None)
    assert "not used as classes" in caplog.text
    assert joined(folder.collection(tmp_path, (2, 3), 1).blocks())[0].shape == (2, 2, 3, 1)


def test_two_names_with_the_same_id(tmp_path):
    for name in ("a\nb.png", "a_b.png"):
        save(tmp_path, name, random_pixels(4, 4))
    fails(lambda: folder.collection(tmp_path), "line breaks", "rename")


def test_blocks_of_large_pictures_hold_fewer_images(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "BLOCK_BYTES", 150)
    for name in "abc":
        save(tmp_path, f"{name}.png", random_pixels(8, 8))
    assert [len(block.images) for block in folder.collection(tmp_path).blocks()] == [2, 1]


def test_pictures_of_different_sizes_need_a_size(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path, "a.jpg", random_pixels(8, 16, 3))
    save(tmp_path, "b.jpg", random_pixels(16, 8, 3), exif=exif)
    assert joined(folder.collection(tmp_path).blocks())[0].shape == (2, 8, 16, 3)
    save(tmp_path, "c.png", random_pixels(9, 9, 3))
    fails(lambda: list(folder.collection(tmp_path).blocks()), "2 sizes", "16 x 8", "9 x 9", "--size")
    assert joined(folder.collection(tmp_path, (5, 7)).blocks())[0].shape == (3, 5, 7, 3)


def test_unreadable_pictures(tmp_path, caplog, monkeypatch):
    valid = save(tmp_path, "valid.png", random_pixels(40, 40, 3))
    whole = valid.read_bytes()
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "stub.png").write_bytes(whole[:20])
    (tmp_path / "script.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    for name, width, height in (("wide", 30_000, 10), ("vast", 19_000, 19_000)):
        head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        (tmp_path / f"{name}.png").write_bytes(whole[:12] + head + struct.pack(">I", zlib.crc32(head)) + whole[33:])
    images, _, ids = joined(folder.collection(tmp_path, (40, 40)).blocks())
    assert ids == ["valid.png"]
    np.testing.assert_array_equal(images[0], np.asarray(Image.open(valid)))
    for fragment in (
        "empty.jpg: empty file",
        "text.jpg: not a picture",
        "script.jpg: not a picture",
        "cut.png: ",
        "stub.png: ",
        "wide.png: 30000 x 10 pixels; at least 2 and at most 20,000 a side",
        "vast.png: more than",
        "7 of 8 pictures",
    ):
        assert fragment in caplog.text
    valid.unlink()
    fails(lambda: list(folder.collection(tmp_path, (40, 40)).blocks()), "none of the 7 pictures")
    monkeypatch.setattr(decoding, "MAX_WARNINGS", 2)
    save(tmp_path, "valid.png", random_pixels(40, 40, 3))
    caplog.clear()
    list(folder.collection(tmp_path, (40, 40)).blocks())
    assert caplog.text.count("unreadable:") == 2


def test_folders_without_pictures(tmp_path):
    fails(lambda: list(folder.collection(tmp_path / "nowhere").blocks()), "not a folder", "--images")
    (tmp_path / "x.txt").write_text("")
    fails(lambda: folder.pictures(tmp_path), "holds no pictures", ".jpg")

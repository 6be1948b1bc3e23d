"""Files for TensorBoard's projector, read as TensorBoard's page does: lines, split at tabs, and a square sprite."""

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins import projector as tensorboard

from glo.inference import projector
from glo.inference.projector import Points
from glo.runtime.errors import UserError
from tests.support import load, samples, write_flat

HOSTILE = "a\tb\nc\r\x1b[31m\u2028\ud800d\\"


def read(folder):
    """The only embedding of the config, its codes, the lines of its metadata, and its sprite."""
    config = tensorboard.ProjectorConfig()
    text_format.Parse((folder / "projector_config.pbtxt").read_text(), config)
    (embedding,) = config.embeddings
    lines = (folder / embedding.metadata_path).read_bytes().decode().removesuffix("\n").split("\n")
    return (
        embedding,
        np.loadtxt(folder / embedding.tensor_path, delimiter="\t", ndmin=2),
        [line.split("\t") for line in lines],
        np.asarray(Image.open(folder / embedding.sprite.image_path).convert("RGB")),
    )


def test_codes_columns_and_thumbnails_keep_their_order(tmp_path):
    images, codes = samples(7, (6, 6, 3), 4)
    shown = {"label": ["5 (cat)"] * 4, "Smiling": list("0110")}
    kinds = [
        Points("training", codes[:4], images[:4], list("wxyz"), shown),
        Points("sample", codes[4:], images[4:], list("abc"), {}),
    ]
    projector.write(tmp_path, 30, kinds)
    embedding, written, lines, sprite = read(tmp_path)
    assert embedding.tensor_name == "codes at step 30"
    np.testing.assert_allclose(written, codes, rtol=1e-6)
    assert lines[:3] == [
        ["label", "kind", "id", "Smiling"],
        ["5 (cat)", "training", "w", "0"],
        ["5 (cat)", "training", "x", "1"],
    ]
    assert lines[5:] == [["-", "sample", name, "-"] for name in "abc"]
    assert list(embedding.sprite.single_image_dim) == [6, 6]
    assert sprite.shape == (18, 18, 3)
    for index, image in enumerate(images):
        top, left = 6 * (index // 3), 6 * (index % 3)
        np.testing.assert_array_equal(sprite[top : top + 6, left : left + 6], image)
    assert not sprite[12:, 6:].any()


def test_hostile_names_keep_lines_and_columns_apart(tmp_path):
    images, codes = samples(6, (4, 4, 1))
    names = ["kind", "kind", "__next__", "", "a\tb\nc", "id"]
    arrays = {"label": np.arange(6, dtype=np.int32), "attribute": np.eye(6, dtype=np.int8)}
    write_flat(
        tmp_path / "X", images, codes, attributes={"label_names": ["x\ty\n"], "attribute_names": names}, **arrays
    )
    columns = projector.columns(load(tmp_path, "X", test_fraction=0), np.arange(6))
    projector.write(tmp_path, 1, [Points("training", codes, images, [HOSTILE] * 6, columns)])
    _, _, lines, _ = read(tmp_path)
    assert len(lines) == 7
    assert {len(line) for line in lines} == {9}
    assert len(set(lines[0])) == 9
    assert lines[0][:3] == ["label", "kind", "id"]
    assert not {"__next__", "__seq_next__"} & set(lines[0])
    assert lines[1][:3] == ["0 (x?y?)", "training", "a?b?c??[31m??d\\"]
    assert [line[3:] for line in lines[1:]] == np.eye(6, dtype=int).astype(str).tolist()


@pytest.mark.parametrize(
    ("n", "size", "side"),
    [(2, (28, 28), 28), (11_000, (218, 178), 64), (100_000, (28, 28), 25), (20_000, (64, 64), 57)],
)
def test_the_sprite_is_at_most_8192_pixels_wide(n, size, side):
    assert projector.thumbnail_side(n, size) == side
    assert side * np.ceil(np.sqrt(n)) <= 8192


def test_images_that_are_not_square_get_margins():
    image = np.full((4, 8, 1), 200, np.uint8)
    (first, *_) = np.split(projector.sprite([image] * 3, 8), 2)
    expected = np.zeros((8, 8), int)
    expected[2:6] = 200
    np.testing.assert_array_equal(first[:, :8, 0], expected)


def test_points_replace_earlier_ones_and_nothing_else(tmp_path):
    images, codes = samples(4, (4, 4, 1))
    kind = Points("training", codes, images, list("abcd"), {})
    for step in (1, 2):
        projector.require_free(tmp_path, force=False)
        projector.write(tmp_path, step, [kind])
    assert read(tmp_path)[0].tensor_name == "codes at step 2"
    assert {path.name for path in tmp_path.rglob("*")} == {
        *("projector_config.pbtxt", "projector", "codes.tsv", "metadata.tsv", "sprite.png"),
    }
    (tmp_path / "projector_config.pbtxt").write_text("embeddings {}")
    with pytest.raises(UserError, match=r"projector_config\.pbtxt was not written by --projector.*--force"):
        projector.require_free(tmp_path, force=False)
    projector.require_free(tmp_path, force=True)
    (tmp_path / "projector_config.pbtxt").unlink()
    with pytest.raises(UserError, match="--force"):
        projector.require_free(tmp_path, force=False)
    for path in (tmp_path / "projector").iterdir():
        path.rename(path.with_name(f"my {path.name}"))
    with pytest.raises(UserError, match=r"holds no codes\.tsv"):  # not even with --force
        projector.write(tmp_path, 3, [kind])
    assert len(list(tmp_path.glob("projector/my *"))) == 3

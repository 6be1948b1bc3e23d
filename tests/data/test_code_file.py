"""Files of codes: .npy and JSON, which anyone may have written."""

import json

import numpy as np
import pytest

from glo.data import code_file
from glo.runtime.errors import UserError

CODES = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "f2"])
def test_npy_files_of_any_float_type(dtype, tmp_path):
    np.save(tmp_path / "c.npy", CODES.astype(dtype))
    np.testing.assert_allclose(code_file.read(tmp_path / "c.npy", 3)[0], CODES, rtol=1e-2)
    np.save(tmp_path / "c.npy", np.asfortranarray(CODES))
    np.testing.assert_array_equal(code_file.read(tmp_path / "c.npy", 3)[0], CODES)


def test_json_and_single_codes(tmp_path):
    path = tmp_path / "c.json"
    for value in (CODES.tolist(), {"codes": CODES.tolist(), "step": 3}):
        path.write_text(json.dumps(value))
        np.testing.assert_array_equal(code_file.read(path, 3)[0], CODES)
    path.write_text("[1, 2, 3]")
    np.testing.assert_array_equal(code_file.read(path, 3)[0], [[1, 2, 3]])


@pytest.mark.parametrize(("text", "reason"), [
    ("[[1, 2], [3]]", "different lengths"), ("[[1, 2]]", r"\[n, 3\], not \[1, 2\]"), ("[]", "not"),
    ('[["1", "2", "3"]]', "no numbers"), ("[[1, 2, null]]", "no numbers"), ("[[true, false, true]]", "no numbers"),
    ("{}", "no numbers"), ("3", "not"), ("x", "neither"), ("", "neither"), ("[" * 100_000, ""),
    ("[[1, 2, NaN]]", "not finite"), ("[[1, 2, 1e60]]", "not finite"), ("[[[1, 2, 3]]]", "not"),
])  # fmt: skip
def test_other_json_is_refused(text, reason, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(UserError, match=f"--decode {path}.*{reason}") as caught:
        code_file.read(path, 3)
    assert "\n" not in str(caught.value)


def test_damaged_and_malicious_npy_files_are_refused(tmp_path):
    path = tmp_path / "c.npy"
    np.save(path, CODES)
    content = path.read_bytes()
    np.save(path, np.array([{}], object), allow_pickle=True)
    bad = [content[:-3], content[:40], content + b"x", content.replace(b"(5, 3)", b"(5, 9)"), path.read_bytes()]
    bad += [content.replace(b"(5, 3), ", b"(9**9,),")]
    for damaged in bad:
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="--decode"):
            code_file.read(path, 3)
    for other in (tmp_path, tmp_path / "none.npy"):
        with pytest.raises(UserError, match="--decode"):
            code_file.read(other, 3)


def test_conditions_of_conditional_models(tmp_path):
    path, conditions = tmp_path / "c.json", np.eye(5, 2).tolist()
    path.write_text(json.dumps({"codes": CODES.tolist(), "conditions": conditions}))
    codes, read = code_file.read(path, 3, 2)
    np.testing.assert_array_equal(codes, CODES)
    np.testing.assert_array_equal(read, conditions)
    assert read.dtype == np.float32
    for size in (0, 3):
        with pytest.raises(UserError, match=rf"conditions of this model are \[5, {size}\], not \[5, 2\]"):
            code_file.read(path, 3, size)
    np.save(tmp_path / "c.npy", CODES)
    with pytest.raises(UserError, match=r"\[5, 2\], not \[5, 0\]; save the codes as JSON"):
        code_file.read(tmp_path / "c.npy", 3, 2)
    path.write_text(json.dumps({"codes": CODES.tolist(), "conditions": [["a", "b"]] * 5}))
    with pytest.raises(UserError, match="no numbers"):
        code_file.read(path, 3, 2)

"""bench.explorer: its figures of small models."""

import pytest

import glo
from bench import explorer

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("explorer")]


@pytest.mark.parametrize("name", ["digits", "classes"])
def test_the_page_is_measured(name, trained, browser, tensorflow_js, tmp_path, monkeypatch):
    monkeypatch.setattr(explorer, "OPENED", 1)
    monkeypatch.setattr(explorer, "REPEATED", 2)
    run, path, page = glo.load(trained[name]), tmp_path / "page.html", browser.new_page()
    explorer.write(run, path, "float16", "gaussian", tensorflow_js.read_text())
    opened = explorer.opening(page, path)
    assert opened["megabytes"] == pytest.approx(path.stat().st_size / 1e6, abs=0.01)
    assert opened["seconds"] > 0
    decoded = explorer.decoding(run, page, "webgl", 20)  # in two parts
    assert decoded["codes"] == 20
    assert decoded["milliseconds"] > 0
    assert 0 < decoded["levels"] <= 2
    if name == "digits":  # the only one with held-out images
        fitted = explorer.fitting(run, page, "cpu", 3)
        assert fitted["images"] == 3
        assert fitted["psnr"] > fitted["psnr_encode"] - 1 > 10
    page.close()

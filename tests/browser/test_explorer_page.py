"""The explorer's page in use: opened from a file without network, by pointer and keyboard, at several sizes."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image, ImageDraw

import glo
from tests.browser.explorer import HOSTILE, decode, opened, until
from tests.support import assert_ok, call

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("explorer")]

NAMED = """() => Array.from(document.querySelectorAll("button, input, select, canvas, progress, [role=group]"))
    .filter(element => !element.closest("[hidden]"))
    .filter(element => !(element.getAttribute("aria-label") || element.textContent.trim() || element.closest("label")
        || element.querySelector("[aria-label]")))
    .map(element => element.outerHTML)"""


@pytest.fixture(scope="module")
def pages(trained, tensorflow_js):
    """The files that evaler.py --explore writes."""
    written = {}
    for name, run in trained.items():
        log = assert_ok(call("evaler.py", "--checkpoint", run, "--explore", "--tfjs", tensorflow_js))
        assert "used as it is" not in log
        (written[name],) = run.glob("eval-*/explore_default.html")
    return written


def shown(page, canvas="#image"):
    """The pixels of a canvas, uint8 [h, w, 4]."""
    address = page.eval_on_selector(canvas, "canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGBA"))


def wait_for_image(page, before=None):
    """Wait until the panel shows the image of the current code, other than `before`; returns its pixels."""
    for _ in range(100):
        code = page.evaluate("Array.from(explorer.project(explorer.current.code))")
        (expected,) = decode(page, np.array([code]), page.evaluate("explorer.content.image"))
        pixels = shown(page)
        levels = np.rint((expected + 1) * 127.5)
        if np.abs(pixels[..., : levels.shape[-1]] - levels).max() <= 1 and not np.array_equal(pixels, before):
            return pixels
        page.wait_for_timeout(50)
    raise AssertionError("the image of the current code does not appear")


def test_sliders_move_the_code_along_principal_directions(pages, browser):
    with opened(browser, pages["digits"]) as page:
        before = wait_for_image(page)
        slider = page.locator("#sliders input").first
        code = np.array(page.evaluate("Array.from(explorer.current.code)"))
        for value in (-3, 0.5, 3):
            slider.fill(str(value))
        wait_for_image(page, before)
        change = np.array(page.evaluate("Array.from(explorer.current.code)")) - code
        codes = np.array(page.evaluate("explorer.codes.map(code => Array.from(code))"))
        axis = np.linalg.svd(codes - codes.mean(axis=0), full_matrices=False)[2][0]
        assert abs(change @ axis) > 0.999 * np.linalg.norm(change) > 0
        assert page.locator("#sliders output").first.text_content() == "3.0"


def test_a_slider_that_moves_fast_decodes_only_some_positions_and_ends_at_the_last(pages, browser):
    with opened(browser, pages["digits"]) as page:
        wait_for_image(page)
        page.evaluate("""() => {
            window.drawn = 0;
            new MutationObserver(() => window.drawn++).observe(document.getElementById("image-time"),
                {childList: true});
            const slider = document.querySelector("#sliders input");
            for (let i = 0; i <= 200; i++) {
                slider.value = -4 + i / 25;
                slider.dispatchEvent(new Event("input"));
            }
        }""")
        wait_for_image(page)
        assert page.evaluate("window.drawn") < 20


def test_the_map_takes_codes_of_images_and_between_them(pages, browser):
    with opened(browser, pages["digits"]) as page:
        canvas = page.locator("#map-canvas")
        box = canvas.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2 + 20, box["y"] + box["height"] / 2 + 5)
        until(page, "document.getElementById('map-decoded').width === 8")
        caption = page.text_content("#map-caption")
        assert re.fullmatch(r"training image \d+, label \d", caption)
        page.mouse.down()
        page.mouse.up()
        source = page.text_content("#image-caption")
        assert source.startswith(("From training image", "From a point of the map", "From ")), source
        wait_for_image(page)
        before = page.evaluate("Array.from(explorer.current.code)")
        canvas.focus()
        for key in ("ArrowRight", "ArrowUp", "+", "-", "0", "Enter"):
            page.keyboard.press(key)
        code = page.evaluate("Array.from(explorer.current.code)")
        assert code != before
        assert code in page.evaluate("explorer.codes.map(code => Array.from(code))")
        assert "Took the code of training image" in page.text_content("#status")
        wait_for_image(page)


def test_samples_depend_on_seed_and_temperature_and_show_their_neighbours(pages, browser):
    with opened(browser, pages["digits"]) as page:
        grids = {}
        for seed, temperature in (("0", "1"), ("1", "1"), ("0", "0.5"), ("0", "1")):
            page.locator("#temperature").fill(temperature)
            page.locator("#seed").fill(seed)
            page.evaluate("document.getElementById('samples').replaceChildren()")
            page.click("#draw")
            until(page, "document.querySelectorAll('#samples button').length === 64")
            image = page.evaluate("document.querySelector('#samples canvas').toDataURL()")
            assert grids.setdefault((seed, temperature), image) == image
        assert len(set(grids.values())) == 3
        page.locator("#samples button").nth(5).click()
        assert page.text_content("#image-caption") or wait_for_image(page) is not None
        assert page.locator("#neighbors canvas").count() == 8
        wait_for_image(page)


def test_a_drawn_digit_is_fitted(pages, browser):
    with opened(browser, pages["digits"]) as page:
        box = page.locator("#drawing").bounding_box()
        page.mouse.move(box["x"] + 140, box["y"] + 50)
        page.mouse.down()
        for step in range(1, 11):
            page.mouse.move(box["x"] + 140, box["y"] + 50 + 18 * step)
        page.mouse.up()
        target = shown(page, "#target")[..., 0]
        assert target[:, 3:5].mean() > 3 * target[:, :2].mean()
        page.click("#fit")
        until(page, "document.getElementById('fit').textContent === 'Fit'")
        fitted = shown(page, "#fitted")[..., 0].astype(float)
        value = float(re.fullmatch(r"PSNR ([\d.]+) dB", page.text_content("#fit-result"))[1])
        assert value == pytest.approx(-10 * np.log10(np.square((fitted - target) / 255).mean()), abs=0.3)
        codes = np.array(page.evaluate("explorer.codes.map(code => Array.from(code))"))
        decoded = (decode(page, codes, (8, 8)) + 1) / 2
        assert np.square(fitted / 255 - target / 255).mean() < np.square(decoded - target / 255).mean(axis=(1, 2)).min()
        wait_for_image(page)
        assert page.text_content("#image-caption") == "From your picture, fitted"


def picture():
    image = Image.new("RGB", (60, 80), "navy")
    ImageDraw.Draw(image).ellipse((10, 20, 50, 60), "orange")
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    return encoded.getvalue()


def test_files_are_decoded_as_pictures_only(pages, browser, tmp_path):
    refused = [tmp_path / name for name in ("drawing.svg", "<img src=x onerror=alert(1)>.png", "large.png", "wide.png")]
    refused[0].write_text(
        "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><script>alert(1)</script></svg>"
    )
    refused[1].write_text("<script>alert(1)</script>")
    with refused[2].open("wb") as file:
        file.truncate(33 << 20)
    Image.new("1", (8000, 8000)).save(refused[3])  # a small file of too many pixels
    with opened(browser, pages["colours"]) as page:
        for path in refused:
            page.set_input_files("#file", path)
            message = f"Cannot use {path.name}: "
            until(page, "text => document.getElementById('fit-result').textContent.includes(text)", message)
            assert page.is_disabled("#fit")
        (tmp_path / "sun.png").write_bytes(picture())
        page.set_input_files("#file", tmp_path / "sun.png")
        until(page, "!document.getElementById('fit').disabled")
        target = shown(page, "#target")
        assert target.shape == (13, 10, 4)
        assert np.abs(target[6, 5, :3].astype(int) - (255, 165, 0)).max() <= 2


def test_paths_are_shown_played_and_saved(pages, browser, tmp_path):
    with opened(browser, pages["colours"]) as page:
        for row in (0, 1, 2):
            page.evaluate("row => explorer.take(explorer.codes[row], 'a test')", row)
            page.click("#add-to-path")
        page.locator("#path-steps").fill("5")
        page.locator("#path-steps").dispatch_event("change")
        for kind, count in (("arc", 9), ("line", 9), ("analogy", 25)):
            page.select_option("#path-kind", kind)
            until(page, "n => document.querySelectorAll('#strip button').length === n", count)
        codes = page.evaluate("explorer.codes.slice(0, 3).map(code => Array.from(explorer.project(code)))")
        saved = {}
        for button in ("path-npy", "save-gif", "save-strip"):
            with page.expect_download() as download:
                page.click(f"#{button}")
            saved[button] = tmp_path / download.value.suggested_filename
            download.value.save_as(saved[button])
        corners = np.load(saved["path-npy"])[[0, 4, 20]]
        np.testing.assert_allclose(corners, codes, atol=1e-6)
        images = decode(page, np.load(saved["path-npy"]), (13, 10, 3))
        with Image.open(saved["save-gif"]) as animation:
            assert (animation.n_frames, animation.size) == (48, (100, 130))
            for frame in (0, 7, 24):
                animation.seek(frame)
                pixels = np.asarray(animation.convert("RGB"))[5::10, 5::10].astype(int)
                assert np.abs(pixels - (images[frame] + 1) * 127.5).mean() < 4  # 256 colours
        sheet = np.asarray(Image.open(saved["save-strip"]).convert("RGB"))[5::10, 5::10]
        assert np.abs(sheet[13:26, :10] - (images[5] + 1) * 127.5).max() <= 1  # the second row begins with it
        before = shown(page, "#player")
        page.click("#play")
        page.wait_for_timeout(400)
        assert page.text_content("#play") == "Pause"
        assert not np.array_equal(shown(page, "#player"), before)
        page.click("#play")


def test_the_address_keeps_the_state(pages, browser):
    with opened(browser, pages["digits"]) as page:
        page.evaluate("explorer.take(explorer.codes[7].map(value => value + 0.01), 'a test')")
        page.click("#add-to-path")
        page.evaluate("explorer.take(explorer.codes[9], 'a test')")
        page.click("#add-to-path")
        page.locator("#seed").fill("5")
        page.select_option("#path-kind", "arc")
        page.select_option("#map-colour", "")
        box = page.locator("#map-canvas").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
        page.mouse.wheel(0, -800)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 3 + 60, box["y"] + box["height"] / 2 + 30)
        page.mouse.up()
        page.hover("#map-canvas", position={"x": 9, "y": 9})  # marks the image nearest to this place
        pixels, plot = wait_for_image(page), shown(page, "#map-canvas")
        until(page, "/seed=5.*path-kind=arc/.test(location.hash) && /view=-0[^&]*%2C7\\.389/.test(location.hash)")
        fragment = page.evaluate("location.hash")
    with opened(browser, pages["digits"], fragment) as page:
        np.testing.assert_array_equal(wait_for_image(page), pixels)
        assert (page.input_value("#seed"), page.input_value("#path-kind")) == ("5", "arc")
        until(page, "document.querySelectorAll('#waypoints button').length === 2")
        assert page.input_value("#map-colour") == ""
        page.hover("#map-canvas", position={"x": 9, "y": 9})
        difference = np.abs(shown(page, "#map-canvas").astype(int) - plot)
        assert np.mean(difference > 8) < 1e-3  # the link rounds positions
        page.evaluate(
            "location.hash = '#code=AAAA&view=1e99,NaN,-1&path=%3Cb%3E&seed=-3&path-kind=spiral&path-steps=999'"
        )
        until(page, "document.querySelectorAll('#waypoints button').length === 0")
        assert (page.input_value("#seed"), page.input_value("#path-kind")) == ("5", "arc")
        wait_for_image(page)


def test_without_webgl_the_page_computes_on_the_processor(pages, browser):
    script = """for (const type of [HTMLCanvasElement, OffscreenCanvas]) {
        const before = type.prototype.getContext;
        type.prototype.getContext = function (kind, ...rest) {
            return kind.startsWith("webgl") ? null : before.call(this, kind, ...rest);
        };
    }"""
    with opened(browser, pages["digits"], script=script) as page:
        assert page.evaluate("tf.getBackend()") == "cpu"
        assert page.locator("#backend option[value=webgl]").is_disabled()
        wait_for_image(page)


def test_names_of_the_data_are_text(pages, browser):
    with opened(browser, pages["colours"]) as page:
        assert page.title() == "COLOURS: explorer"
        assert HOSTILE in page.text_content("#map-caption")
        assert HOSTILE in page.text_content("#map-colour")
        assert page.locator("img, b").count() == 0


def test_scripts_from_elsewhere_and_connections_are_refused(pages, browser):
    with opened(browser, pages["digits"], refused=True) as page:
        refused = page.evaluate("""async () => {
            const violations = [];
            addEventListener("securitypolicyviolation", event => violations.push(event.effectiveDirective));
            const script = document.createElement("script");
            script.textContent = "window.broken = true";
            document.body.append(script);
            await fetch("data:text/plain,x").catch(() => {});
            await new Promise(resolve => setTimeout(resolve, 200));
            return violations;
        }""")
        assert sorted(refused) == ["connect-src", "script-src-elem"]
        assert page.evaluate("window.broken") is None


@pytest.mark.parametrize("name", ["digits", "colours", "classes"])
def test_the_page_fits_its_window_and_every_control_has_a_name(name, pages, browser):
    with opened(browser, pages[name], viewport={"width": 360, "height": 900}) as page:
        page.click("#draw")
        until(page, "document.querySelectorAll('#samples button').length === 64")
        for width in (360, 1400, 2560):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(NAMED) == []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", paper))) > 3 * 128) == (scheme == "light")


def test_classes_of_a_conditional_model_and_edits_of_labels(pages, browser, tmp_path):
    with opened(browser, pages["classes"]) as page:
        buttons = page.locator("#classes button")
        assert buttons.count() == 3
        assert HOSTILE in buttons.first.text_content()
        page.evaluate("explorer.takeRow(4)")
        pressed = [button.get_attribute("aria-pressed") for button in buttons.all()]
        assert pressed == ["false", "true", "false"]  # its own class
        code = np.array([page.evaluate("Array.from(explorer.project(explorer.current.code))")])
        buttons.nth(2).click()
        page.wait_for_timeout(300)
        levels = np.rint((decode(page, code, (8, 8), [0, 0, 1])[0] + 1) * 127.5)
        assert np.abs(shown(page)[..., 0] - levels).max() <= 1
        page.wait_for_timeout(500)
        fragment = page.evaluate("location.hash")
        with page.expect_download() as download:
            page.click("#save-json")
        download.value.save_as(tmp_path / "code.json")
        page.click("summary")
        slider = page.locator("#attributes input").nth(1)
        slider.fill("1.5")
        moved = np.array(page.evaluate("Array.from(explorer.current.code)")) - code[0]
        step = glo.load(pages["classes"].parent.parent).directions.conditional[1]
        np.testing.assert_allclose(moved, 1.5 * step, atol=1e-5)
    run = pages["classes"].parent.parent
    assert_ok(call("evaler.py", "--checkpoint", run, "--decode", tmp_path / "code.json", "--prefix", "code"))
    with np.load(pages["classes"].with_name("decode_code.npz")) as saved:
        assert np.abs(saved["image"][0, ..., 0] - levels).max() <= 1
    with opened(browser, pages["classes"], fragment) as page:
        assert page.locator("#classes button").nth(2).get_attribute("aria-pressed") == "true"
        page.evaluate("location.hash = location.hash.replace(/condition=[^&]*/, 'condition=1,1')")
        page.wait_for_timeout(200)
        assert page.locator("#classes button").nth(2).get_attribute("aria-pressed") == "true"

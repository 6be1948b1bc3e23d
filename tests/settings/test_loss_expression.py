"""The grammar of --loss: valid texts, and the errors that name the wrong word."""

import re

import pytest

from glo.settings import loss_expression
from glo.settings.loss_expression import Term

LAP = {"levels": 3, "sigma": 1.0, "weights": "plain"}


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("mse", [Term(1.0, "mse", {})]),
        ("lap_l1", [Term(1.0, "lap_l1", LAP)]),
        ("lap_l1()", [Term(1.0, "lap_l1", LAP)]),
        (
            "lap_l1(levels=4,sigma=1.5,weights=paper)+0.5*mse",
            [Term(1.0, "lap_l1", {"levels": 4, "sigma": 1.5, "weights": "paper"}), Term(0.5, "mse", {})],
        ),
        (" 2 * huber( delta = 1e-1 ) + ssim ", [Term(2.0, "huber", {"delta": 0.1}), Term(1.0, "ssim", {})]),
        ("1e+2*l1+1.E+0*mse", [Term(100.0, "l1", {}), Term(1.0, "mse", {})]),
        ("lap_l1(sigma=1e+0)+l1", [Term(1.0, "lap_l1", LAP), Term(1.0, "l1", {})]),
        ("perceptual", [Term(1.0, "perceptual", {"network": "classifier", "sha256": ""})]),
        (
            f"l1+0.1*perceptual( network=../a b/v+1=*.npz , sha256={'0a' * 32} )",
            [Term(1.0, "l1", {}), Term(0.1, "perceptual", {"network": "../a b/v+1=*.npz", "sha256": "0a" * 32})],
        ),
    ],
)
def test_valid_texts(text, terms):
    assert loss_expression.parse(text) == terms


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("lapl1", ["'lapl1' is not one of mse, l1, huber, lap_l1", "did you mean lap_l1?"]),
        ("mse+", ["'' is not one of mse"]),
        ("mse l1", ["'mse l1' is not one of"]),
        ("mse*2", ["'2' is not one of"]),
        ("mse-l1", ["'mse-l1' is not one of"]),
        ("lap_l1(levels=4", ["'lap_l1(levels=4' must look like"]),
        ("2*0.5*mse", ["'2*0.5*mse' must look like"]),
        ("0*mse", ["the weight of mse must be a number from 1e-06 to 1e+06, not '0'"]),
        ("mse+-1*l1", ["the weight of l1 must be a number", "not '-1'"]),
        ("nan*mse", ["the weight of mse"]),
        ("1_0*mse", ["the weight of mse"]),
        ("٣*mse", ["the weight of mse"]),
        ("9" * 480 + "*mse", ["the weight of mse"]),
        ("1e400*mse", ["the weight of mse"]),
        ("lap_l1(levels=٣)", ["levels of lap_l1"]),
        ("lap_l1(levels=" + "3" * 450 + ")", ["levels of lap_l1"]),
        ("inf*mse", ["the weight of mse"]),
        ("*mse", ["the weight of mse"]),
        ("mse(delta=1)", ["mse takes no arguments, not 'delta'"]),
        ("lap_l1(level=4)", ["lap_l1 takes levels, sigma, weights, not 'level', did you mean levels?"]),
        ("lap_l1(levels)", ["lap_l1 takes levels once, as in lap_l1(levels=3)"]),
        ("lap_l1(levels=2,levels=3)", ["lap_l1 takes levels once"]),
        ("lap_l1(levels=2,)", ["not ''"]),
        ("lap_l1(levels=9)", ["levels of lap_l1 must be a whole number from 1 to 8, not '9'"]),
        ("lap_l1(levels=2.5)", ["levels of lap_l1 must be a whole number"]),
        ("lap_l1(sigma=0.01)", ["sigma of lap_l1 must be a number from 0.1 to 10, not '0.01'"]),
        ("lap_l1(sigma=nan)", ["sigma of lap_l1 must be a number"]),
        ("lap_l1(weights=papr)", ["weights of lap_l1 must be one of plain, paper, pixels", "did you mean paper?"]),
        ("huber(delta=0)", ["delta of huber"]),
        ("perceptual(network=vgg19)", ["network of perceptual must look like classifier|vgg16|FILE.npz, not 'vgg19'"]),
        ("perceptual(network=a.npz,sha256=0A)", ["sha256 of perceptual must look like 64 of 0-9 and a-f, not '0A'"]),
        (f"perceptual(network=vgg16,sha256={'0' * 64})", ["sha256 of perceptual is that of a file"]),
        ("perceptual(network=)", ["network of perceptual must look like"]),
        ("perceptual+mse+perceptual(network=vgg16)", ["perceptual may appear once"]),
        ("mse+" * 200, ["at most 500 characters, not 800"]),
    ],
)
def test_errors_of_wrong_texts(text, fragments):
    first, *others = fragments
    with pytest.raises(ValueError, match=re.escape(first)) as caught:
        loss_expression.parse(text)
    for fragment in others:
        assert fragment in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 150


def test_the_network_that_a_loss_needs():
    assert loss_expression.network("mse+l1") is None
    assert loss_expression.network("mse+2*perceptual") == ("classifier", "")
    network = loss_expression.network(f"perceptual(sha256={'0' * 64},network=a/b.h5)")
    assert (network, str(network.file)) == (("a/b.h5", "0" * 64), "a/b.h5")
    assert loss_expression.network("perceptual(network=vgg16)").file is None


def test_the_description_lists_every_loss_in_valid_grammar():
    text = loss_expression.describe()
    assert "lap_l1(levels=3,sigma=1,weights=plain|paper|pixels)" in text
    assert "huber(delta=1)" in text
    defaults = text.replace("|paper|pixels", "").replace("|vgg16|FILE.npz", "").replace(", ", "+")
    assert loss_expression.parse(defaults) == loss_expression.parse("+".join(loss_expression.LOSSES))

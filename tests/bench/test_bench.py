"""What the bench computes from its timings. The timings themselves are no test."""

import pytest

from bench.timing import Range, in_turn, ratio
from glo.settings import TrainSettings


def test_flops_of_the_dcgan_by_hand():
    from bench.steps import DCGAN, flops

    dense, first, second, last = 100 * 4096, 8 * 8 * 4 * 256 * 128, 16 * 16 * 4 * 128 * 64, 32 * 32 * 4 * 64
    assert flops(DCGAN, (32, 32, 1), 100) == 3 * 2 * (dense + first + second + last)
    # A map of 7 x 7 is doubled to 14 and 28.
    expected = 3 * 2 * (64 * 49 * 64 + 14 * 14 * 4 * 64 * 32 + 28 * 28 * 4 * 32)
    assert flops(TrainSettings(blocks=2), (28, 28, 1), 64) == expected


def test_contenders_take_turns_and_the_first_round_warms_up():
    calls = []

    def contender(name):
        return lambda: calls.append(name) or len(calls)

    assert in_turn({"a": contender("a"), "b": contender("b")}, rounds=2) == {"a": [3, 5], "b": [4, 6]}
    assert calls == ["a", "b"] * 3


def test_ratios_are_of_the_same_rounds():
    assert ratio([2.0, 9.0, 4.0], [1.0, 3.0, 4.0]) == Range(2.0, 1.0, 3.0)
    assert str(Range(1.2345678, 1, 2)) == "1.235 (1 - 2)"


def test_an_unknown_comparison_is_one_clear_line(capsys):
    from bench.__main__ import main
    from glo.runtime import errors

    assert errors.run(lambda: main(["--only", "spede"])) == 2
    assert "spede" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["speed", "growth", "streaming", "saving", "around", "fit", "building", "decoding", "quality"]
)
def test_every_comparison_is_there(name):
    from bench.comparisons import ALL

    assert ALL[name].__doc__

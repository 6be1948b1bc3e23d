"""The number of components that `--sampler auto` gives a mixture."""

import pytest

from glo.settings.shared import automatic_components


@pytest.mark.parametrize(("n", "components"), [(1, 1), (99, 1), (1000, 20), (8000, 100), (40_000, 400), (10**6, 1000)])
def test_components_are_in_proportion_to_the_codes(n, components):
    assert automatic_components(n) == components

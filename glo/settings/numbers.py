"""Numbers in flags, YAML files and loss expressions: plain ASCII decimals such as 12, -0.5 and 1e-3."""

import re

# Python's own int() and float() also read 1_000, digits of other scripts, surrounding spaces, nan and inf.
FORMS = {int: r"[+-]?[0-9]+", float: r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"}
MAX_LENGTH = 400  # characters: int() refuses texts of more than 4,300 digits and takes quadratic time
LARGEST = 10**9  # limit of whole numbers that have no other: products of two, such as epochs and steps, fit in int64


def parse(text: str, kind: type[int] | type[float]) -> int | float:
    """Convert text to `kind`; a float may be infinite, as for 1e400. Raises `ValueError` if the form is another one."""
    if len(text) > MAX_LENGTH or not re.fullmatch(FORMS[kind], text):
        raise ValueError(f"not a plain decimal number of at most {MAX_LENGTH} characters")
    return kind(text)

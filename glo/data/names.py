"""Names of labels and attributes as text that is safe to print."""

from glo.runtime import terminal

ABSENT = "not:"  # prefix of an attribute's name that selects the images without the attribute
MAX_LISTED = 20  # names in an error message
MAX_LENGTH = 64  # of a printed name, in characters


def label_name(number: int, names: tuple[str, ...]) -> str:
    """The label as text: '3', or '3 (Dress)' if labels have names. names: of label 0, 1, ..."""
    return f"{number} ({printable(names[number])})" if 0 <= number < len(names) else str(number)


def printable(name: str) -> str:
    """A name that is safe to print: at most `MAX_LENGTH` characters, with ? in place of unprintable ones.

    Names come with the data and may contain line breaks or terminal escape codes.
    """
    return terminal.printable(name[:MAX_LENGTH])

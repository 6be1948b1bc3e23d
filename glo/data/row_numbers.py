"""Row numbers as text for messages."""

import numpy as np

MAX_SPANS = 5  # of consecutive rows that a message lists


def spans(rows: np.ndarray) -> str:
    """Format row numbers int64 [n], ascending, as 'row 7' or 'rows 3 to 5, 9'; at most `MAX_SPANS` spans of them."""
    consecutive = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    listed = [str(span[0]) if len(span) == 1 else f"{span[0]} to {span[-1]}" for span in consecutive[:MAX_SPANS]]
    more = f" and {sum(map(len, consecutive[MAX_SPANS:]))} more" if len(consecutive) > MAX_SPANS else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {', '.join(listed)}{more}"

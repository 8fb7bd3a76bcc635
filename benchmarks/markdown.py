"""Cells and tables of Markdown."""

import numpy as np


def table(titles, rows):
    """Lines of a table."""
    return [
        f"| {' | '.join(cells)} |" for cells in (titles, ["---"] * len(titles), *rows)
    ]


def mean_and_deviation(scores):
    """Mean, and the standard deviation of more than one score."""
    if not scores:
        return "failed"
    if len(scores) == 1:
        return f"{scores[0]:.3f}"
    return f"{np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f}"


def mean_of_seeds(accuracies):
    """Mean, and how many seeds it is of."""
    if not accuracies:
        return ""
    return f"{np.mean(accuracies):.3f} ({len(accuracies)})"

"""A classification tree (CART) whose leaves are boxes of inputs; scikit-learn grows it."""

from collections.abc import Iterator, Sequence

import numpy as np

from jaxecon.analysis.boxes import Column
from jaxecon.core.optional import optional_module


def leaf_boxes(
    columns: Sequence[Column], interest: np.ndarray, mass_min: float, seed: int
) -> Iterator[tuple[np.ndarray, dict[int, np.ndarray], np.ndarray]]:
    """Limits `[column, 2]`, allowed values of each choice, and the cells of every leaf of at least mass `mass_min`.

    Breiman et al. (1984) with the Gini index; choices enter by value. Limits are closed and do not touch: a leaf right
    of a split begins at the next number (the next whole one for an integer).
    """
    purpose = "method='tree'"
    trees = optional_module("sklearn.tree", "scikit-learn", "trees", purpose)
    features, of = [], []
    for j, column in enumerate(columns):
        parts = [column.values == v for v in range(len(column.labels))] if column.kind == "choice" else [column.values]
        features += parts
        of += [(j, value) for value in range(len(parts))]
    smallest = max(1, int(mass_min * len(interest)))
    grown = trees.DecisionTreeClassifier(min_samples_leaf=smallest, random_state=seed)
    tree = grown.fit(np.column_stack(features).astype(np.float32), interest).tree_
    ranges = np.array([[0, 0] if c.kind == "choice" else [c.values.min(), c.values.max()] for c in columns], float)
    every = {j: np.ones(len(c.labels), bool) for j, c in enumerate(columns) if c.kind == "choice"}
    pending = [(0, ranges, every, np.ones(len(interest), bool))]
    while pending:
        node, limits, allowed, inside = pending.pop()
        if tree.children_left[node] < 0:
            yield limits, allowed, inside
            continue
        j, value = of[tree.feature[node]]
        column, cut = columns[j], tree.threshold[node]
        left, right = limits.copy(), limits.copy()
        without, only = allowed, allowed
        if column.kind == "choice":
            is_value = np.arange(len(column.labels)) == value
            without, only = allowed | {j: allowed[j] & ~is_value}, allowed | {j: allowed[j] & is_value}
            low = column.values != value
        else:
            whole = column.kind == "integer"
            left[j, 1] = np.floor(cut) if whole else cut
            right[j, 0] = np.floor(cut) + 1 if whole else np.nextafter(cut, np.inf)
            low = column.values <= cut
        pending.append((tree.children_right[node], right, only, inside & ~low))
        pending.append((tree.children_left[node], left, without, inside & low))

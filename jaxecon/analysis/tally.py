"""Counts and ranges over the cells of a sweep, chunk by chunk."""

import collections
import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxecon.core.model import SOLVED, Model

PENDING = -1


def _no_range() -> np.ndarray:
    return np.full(1, np.nan)


@dataclasses.dataclass
class Tally:
    """What is known of the cells so far: how many have which status, the largest residual of the solved ones, how many
    were tried again and rescued, and the least and the largest value of each outcome (NaN: none yet)."""

    counts: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    residual: float = float("nan")
    retried: int = 0
    rescued: int = 0
    least: np.ndarray = dataclasses.field(default_factory=_no_range)
    largest: np.ndarray = dataclasses.field(default_factory=_no_range)

    @classmethod
    def of(cls, rows: np.ndarray, tries: tuple[int, int]) -> "Tally":
        """Of rows `[outcomes + 2, points]`, the last two the largest residual and the status; `tries`: retried, rescued."""
        codes, counts = np.unique(rows[-1].astype(int), return_counts=True)
        counts = collections.Counter(dict(zip(codes.tolist(), counts.tolist(), strict=True)))
        residual = float(np.max(rows[-2][rows[-1] == SOLVED], initial=-np.inf)) if counts[SOLVED] else float("nan")
        least, largest = (np.asarray(f.reduce(rows[:-2], axis=1), float) for f in (np.fmin, np.fmax))
        return cls(counts, residual, *tries, least, largest)

    @classmethod
    def pending(cls, points: int) -> "Tally":
        """Of cells that are not there yet."""
        return cls(collections.Counter({PENDING: points}))

    def add(self, other: "Tally") -> None:
        self.counts.update(other.counts)
        self.residual = float(np.fmax(self.residual, other.residual))
        self.retried, self.rescued = self.retried + other.retried, self.rescued + other.rescued
        self.least, self.largest = np.fmin(self.least, other.least), np.fmax(self.largest, other.largest)

    def numbers(self, codes: Sequence[int]) -> np.ndarray:
        """As numbers in the order of `names_of_numbers`; statuses not among `codes` are left out."""
        counts = [self.counts[c] for c in codes]
        return np.array([self.retried, self.rescued, self.residual, *counts, *self.least, *self.largest], float)

    @classmethod
    def from_numbers(cls, numbers: np.ndarray, codes: Sequence[int]) -> "Tally":
        head, counts, ranges = np.split(numbers, [3, 3 + len(codes)])
        found = {c: int(n) for c, n in zip(codes, counts, strict=True) if n}
        least, largest = np.split(ranges, 2)
        return cls(collections.Counter(found), float(head[2]), int(head[0]), int(head[1]), least, largest)

    @property
    def failed(self) -> int:
        return self.counts.total() - self.counts[SOLVED]

    def attributes(self, model: Model) -> dict[str, Any]:
        """Cells, solved cells, the failures by reason, the second tries, and the largest residual of the solved cells."""
        failed = {model.reason(c)[0]: n for c, n in sorted(self.counts.items()) if c != SOLVED and n}
        counts = {"cells": self.counts.total(), "solved": self.counts[SOLVED], "failed": json.dumps(failed)}
        counts |= {"retried": self.retried, "rescued": self.rescued}
        return counts | {"largest_residual": self.residual if self.counts[SOLVED] else float("nan")}

    def range_of(self, outcome: int) -> dict[str, Any]:
        """The attribute `actual_range` of an outcome, by the CF conventions; none where no cell has a value."""
        ends = [float(x[min(outcome, len(x) - 1)]) for x in (self.least, self.largest)]
        return {} if np.isnan(ends[0]) else {"actual_range": ends}


def names_of_numbers(codes: Sequence[int], outcomes: Sequence[str]) -> list[str]:
    """What the numbers of a tally are."""
    head = ["retried", "rescued", "largest_residual", *(f"status {c}" for c in codes)]
    return [*head, *(f"least {n}" for n in outcomes), *(f"largest {n}" for n in outcomes)]

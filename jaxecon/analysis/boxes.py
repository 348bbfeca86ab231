"""Records of the search for boxes of inputs: columns, the rules of the search, its moves and its trajectory."""

import dataclasses
from typing import Literal, NamedTuple

import numpy as np

Kind = Literal["real", "integer", "choice"]
Objective = Literal["lenient1", "lenient2", "original"]
KINDS: tuple[Kind, ...] = ("real", "integer", "choice")
LOWER, UPPER = 0, 1


@dataclasses.dataclass(frozen=True)
class Column:
    """One input at every cell: numbers, or for a choice the place of each value among `labels`."""

    name: str
    kind: Kind
    values: np.ndarray
    labels: tuple = ()

    def among(self, cells: np.ndarray) -> "Column":
        """The column at some of the cells."""
        return dataclasses.replace(self, values=self.values[cells])


@dataclasses.dataclass(frozen=True)
class Rules:
    """How to search: shares peeled and pasted at a time, smallest mass of a box, density that it must reach, objective."""

    peel_alpha: float = 0.05
    paste_alpha: float = 0.05
    mass_min: float = 0.05
    density: float = 0.8
    objective: Objective = "lenient1"

    def score(self, n_old: int, k_old: int, n_new: int, k_new: int) -> float:
        r"""Worth of going from `k_old` cells of interest among `n_old` to `k_new` among `n_new`.

        $$ \frac{\bar y_{new} - \bar y_{old}}{|n_{new} - n_{old}|}, \quad
           \frac{n_{new} (\bar y_{new} - \bar y_{old})}{|n_{new} - n_{old}|}, \quad \bar y_{new} $$

        for `lenient1`, `lenient2` and `original`. Grade [D], (14.6) of Friedman and Fisher (1999) and EMA workbench.
        """
        if self.objective == "original":
            return k_new / n_new if n_new else -1.0
        old, new = k_old / n_old, k_new / n_new if n_new else 0.0
        if old == new:
            return 0.0
        if self.objective == "lenient1":
            return (new - old) / abs(n_new - n_old)
        return n_new * (new - old) / abs(n_new - n_old)


class Move(NamedTuple):
    """A candidate: the side of a column that moves to `limit` (of a choice: the value removed or added), and the cells
    and cells of interest that the new box holds."""

    column: int
    side: int
    limit: float
    n: int
    k: int


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """The boxes from all remaining cells to the last, one a step; `limits[s, j]` is the closed interval of column j.

    - `n`, `k`: cells and cells of interest inside; `pasted`: whether the step widened the box.
    - `restricted[s, j]`: columns that are restricted; `allowed[j][s]`: values of choice j that are allowed.
    - `alone_n`, `alone_k` `[s, j, side]`: cells, and those of interest, that only this one restriction keeps out.
    - `inside`: the cells of the last box among all cells.
    """

    n: np.ndarray
    k: np.ndarray
    pasted: np.ndarray
    limits: np.ndarray
    restricted: np.ndarray
    allowed: dict[int, np.ndarray]
    alone_n: np.ndarray
    alone_k: np.ndarray
    sides: np.ndarray
    inside: np.ndarray

    def quasi_p(self, step: int) -> np.ndarray:
        """One-sided binomial test of each restriction, `[column, side]`; NaN where there is none.

        The chance of as many cells of interest as the box holds, if their density were that without the restriction:
        small where the restriction matters. A choice has one value, at the lower side. Bryant and Lempert (2010).
        """
        # Imported late: scipy.stats takes longer to load than most boxes to find.
        from scipy.stats import binom

        n, k = int(self.n[step]), int(self.k[step])
        density = (k + self.alone_k[step]) / (n + self.alone_n[step])
        p = np.minimum(binom.sf(k - 1, n, density), 1.0)
        return np.where(self.sides[step], p, np.nan)

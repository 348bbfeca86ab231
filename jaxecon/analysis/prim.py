"""Patient rule induction (PRIM): boxes of inputs in which cells of interest are dense, on presorted columns.

Friedman and Fisher (1999), Stat. Comput. 9:123; for scenarios Bryant and Lempert (2010), Technol. Forecast. Soc. Change
77:34. Quantiles, candidates, their order and the stopping rules are those of the EMA workbench, so that boxes are the same.

A step looks only at the tails of each column: the order of a column is found once, the cells that are still inside are
read from both ends of it, and the order is cut down whenever half of it has left the box.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jaxecon.analysis.boxes import LOWER, UPPER, Column, Move, Rules, Trajectory

# Bits of a cell's state: inside the box, and of interest too.
INSIDE, INTEREST = 1, 2


def quantile(values: np.ndarray, share: float) -> float:
    """Midpoint of the two sorted values around `share`; of equal ones, the outer is the next that differs inward.

    The convention of the EMA workbench and sdtoolkit: a limit separates values wherever there are two.
    """
    data = np.sort(values)
    place = (len(data) - 1) * share
    low, high = int(np.floor(place)), int(np.ceil(place))
    if data[low] == data[high]:
        if share > 0.5:
            low = max(int(np.searchsorted(data, data[low], "left")) - 1, 0)
        else:
            high = min(int(np.searchsorted(data, data[high], "right")), len(data) - 1)
    return float((data[low] + data[high]) / 2)


def orders_of(columns: Sequence[Column]) -> list[np.ndarray]:
    """Cells of each column from its lowest to its highest value; of a choice none."""

    def order(column: Column) -> np.ndarray:
        if column.kind == "choice":
            return np.zeros(0, np.int32)
        return np.argsort(column.values).astype(np.int32)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(order, columns))


class Search:
    """One box: its limits, and of every remaining cell how many restrictions it breaks and which."""

    def __init__(
        self, columns: Sequence[Column], orders: Sequence[np.ndarray], interest: np.ndarray, ranges: np.ndarray,
        total: int, rules: Rules,
    ) -> None:  # fmt: skip
        self.columns, self.orders, self.rules, self.total = columns, list(orders), rules, total
        self.interest, self.ranges, self.limits = interest, ranges, ranges.copy()
        self.allowed = {j: np.ones(len(c.labels), bool) for j, c in enumerate(columns) if c.kind == "choice"}
        self.n, self.k = len(interest), int(np.count_nonzero(interest))
        self.state = (INSIDE + INTEREST * interest).astype(np.uint8)
        self.broken = np.zeros(self.n, np.int16)
        # Sum of the numbers 2 j + side of the restrictions that a cell breaks: the restriction itself where it is one.
        self.which = np.zeros(self.n, np.int32)
        self.alone = np.zeros((2, 2 * len(columns)), int)
        self.tally = {j: self._count(j, np.arange(self.n)) for j in self.allowed}
        self.skipped = np.zeros((len(columns), 2), int)
        self.steps: list[tuple] = []
        self._note(False)

    def _count(self, j: int, cells: np.ndarray) -> np.ndarray:
        """Cells and cells of interest by value of choice j."""
        codes, size = self.columns[j].values[cells], len(self.columns[j].labels)
        return np.stack([np.bincount(codes, minlength=size), np.bincount(codes[self.interest[cells]], minlength=size)])

    def restricted(self) -> np.ndarray:
        """Which columns are restricted."""
        found = np.any(self.limits != self.ranges, axis=1)
        for j, allowed in self.allowed.items():
            found[j] = not allowed.all()
        return found

    def _note(self, pasted: bool) -> None:
        sides = self.limits != self.ranges
        for j, allowed in self.allowed.items():
            sides[j] = not allowed.all(), False
        allowed = {j: a.copy() for j, a in self.allowed.items()}
        self.steps.append(
            (self.n, self.k, pasted, self.limits.copy(), self.restricted(), allowed, self.alone.copy(), sides)
        )

    def _tail(self, j: int, side: int) -> Move:
        """The peel of one side of a numeric column: it ends between the two values around the quantile.

        Where these are equal the inner one is the next that differs. A whole number is cut at the number towards zero,
        or past it where the box already ends there, and the limit is the outermost value that is left.
        """
        x, order = self.columns[j].values, self.orders[j]
        inward = order[self.skipped[j, LOWER] :] if side == LOWER else order[::-1][self.skipped[j, UPPER] :]
        # Ranks from the outside of the two values around the quantile.
        place = (self.n - 1) * (self.rules.peel_alpha if side == LOWER else 1 - self.rules.peel_alpha)
        ranks = int(np.floor(place)), int(np.ceil(place))
        near, far = ranks if side == LOWER else (self.n - 1 - ranks[1], self.n - 1 - ranks[0])
        size = int(1.1 * (far + 2) * len(order) / self.n) + 64
        other = np.zeros(0, int)
        while True:
            states = self.state[inward[:size]]
            inside = np.flatnonzero(states)
            if len(inside) > far:
                outer = x[inward[inside[near]]]
                other = np.flatnonzero(x[inward[inside[far:]]] != outer)
            if len(other) or size >= len(inward):
                break
            size *= 2
        self.skipped[j, side] += inside[0]
        beyond = far + int(other[0]) if len(other) else self.n
        inner = x[inward[inside[beyond]]] if len(other) else outer
        limit = cut = float((outer + inner) / 2)
        past = cut != outer
        if self.columns[j].kind == "integer":
            cut = float(np.trunc(cut))
            past = cut != outer or cut == self.limits[j, side]
            limit = float(inner if past else outer)
        out = beyond if past else int(np.count_nonzero(x[inward[inside[: near + 1]]] != outer))
        lost = int(np.count_nonzero(states[: inside[out]] > INSIDE)) if out < self.n else self.k
        return Move(j, side, limit, self.n - out, self.k - lost)

    def peels(self) -> Iterator[Move]:
        """Candidates of one peeling step, in the order of preference among equals."""
        for j, column in enumerate(self.columns):
            if column.kind != "choice":
                yield self._tail(j, UPPER)
                yield self._tail(j, LOWER)
            elif np.count_nonzero(self.allowed[j]) > 1:
                for value in np.flatnonzero(self.allowed[j]):
                    n, k = self.tally[j][:, value]
                    yield Move(j, LOWER, int(value), self.n - int(n), self.k - int(k))

    def pastes(self) -> Iterator[Move]:
        """Candidates of one pasting step: each side of a restricted column outward, each value that was removed."""
        singles = np.flatnonzero(self.broken == 1)
        singles = singles[np.argsort(self.which[singles], kind="stable")]
        edges = np.searchsorted(self.which[singles], np.arange(2 * len(self.columns) + 1))
        inside = np.flatnonzero(self.broken == 0)
        restricted = self.restricted()
        # As in the EMA workbench: without a restricted real column nothing is pasted.
        if not any(restricted[j] and c.kind == "real" for j, c in enumerate(self.columns)):
            return
        for j in np.flatnonzero(restricted).tolist():
            for side in (LOWER, UPPER):
                cells = singles[edges[2 * j + side] : edges[2 * j + side + 1]]
                if self.columns[j].kind == "choice":
                    n, k = self._count(j, cells)
                    for value in np.flatnonzero(~self.allowed[j]) if side == LOWER else ():
                        yield Move(j, LOWER, int(value), self.n + int(n[value]), self.k + int(k[value]))
                    continue
                x, limit = self.columns[j].values, self.limits[j, side]
                outside, at = x[cells], x[inside]
                reach = np.concatenate([outside, at[at == limit]])
                alpha = self.rules.paste_alpha
                new = quantile(reach, 1 - alpha if side == LOWER else alpha) if len(reach) else self.ranges[j, side]
                back = outside >= new if side == LOWER else outside <= new
                k = np.count_nonzero(self.interest[cells[back]])
                yield Move(j, side, float(new), self.n + int(np.count_nonzero(back)), self.k + int(k))

    def best(self, moves: Iterator[Move]) -> tuple[Move | None, float]:
        """The first of the candidates with the largest score, then with the fewest restricted columns."""
        restricted, chosen, top = self.restricted(), None, (-np.inf, -np.inf)
        for move in moves:
            j = move.column
            others = int(np.count_nonzero(restricted)) - int(restricted[j])
            if j in self.allowed:
                changed = self.allowed[j].copy()
                changed[int(move.limit)] ^= True
                mine = not changed.all()
            else:
                mine = (
                    move.limit != self.ranges[j, move.side]
                    or self.limits[j, 1 - move.side] != self.ranges[j, 1 - move.side]
                )
            rank = (self.rules.score(self.n, self.k, move.n, move.k), -(others + mine))
            if rank > top:
                chosen, top = move, rank
        return chosen, top[0]

    def take(self, move: Move, pasted: bool) -> None:
        """Make the move: cells that it lets in or out break one restriction less or more."""
        j, side = move.column, move.side
        x = self.columns[j].values
        if j in self.allowed:
            cells = np.flatnonzero(x == int(move.limit))
            self.allowed[j][int(move.limit)] = pasted
        else:
            old, new = self.limits[j, side], move.limit
            low, high = min(old, new), max(old, new)
            cells = np.flatnonzero((x >= low) & (x < high) if side == LOWER else (x > low) & (x <= high))
            self.limits[j, side] = new
        number, sign = 2 * j + side, -1 if pasted else 1
        self._alone(cells, -1)
        was = self.broken[cells] == 0
        self.broken[cells] += sign
        self.which[cells] += sign * number
        self._alone(cells, 1)
        now = self.broken[cells] == 0
        self.state[cells] = np.where(now, INSIDE + INTEREST * self.interest[cells], 0)
        changed = cells[was != now]
        for choice in self.allowed:
            self.tally[choice] -= sign * self._count(choice, changed)
        self.n, self.k = move.n, move.k
        self._note(pasted)

    def _alone(self, cells: np.ndarray, sign: int) -> None:
        """Enter or take out those of the cells that one restriction alone keeps out."""
        mine = cells[self.broken[cells] == 1]
        size = self.alone.shape[1]
        self.alone[0] += sign * np.bincount(self.which[mine], minlength=size)
        self.alone[1] += sign * np.bincount(self.which[mine[self.interest[mine]]], minlength=size)

    def _shorten(self) -> None:
        """Drop cells outside the box from the orders once they are half of them."""
        for j, order in enumerate(self.orders):
            if len(order) > 2 * self.n:
                self.orders[j] = order[self.state[order] > 0]
                self.skipped[j] = 0

    def run(self) -> None:
        """Peel while a smaller box is better, then paste while a larger one is."""
        while True:
            move, score = self.best(self.peels())
            if move is None or move.n / self.total < self.rules.mass_min or move.n >= self.n or not score > 0:
                break
            self.take(move, False)
            self._shorten()
        while True:
            move, score = self.best(self.pastes())
            if move is None or move.n / self.total < self.rules.mass_min or move.n <= self.n or not score > 0:
                break
            if not move.k / move.n > self.k / self.n:
                break
            self.take(move, True)

    def trajectory(self, cells: np.ndarray, total: int) -> Trajectory:
        """The steps as arrays; `cells` are the numbers of the remaining cells among all."""
        n, k, pasted, limits, restricted, allowed, alone, sides = zip(*self.steps, strict=True)
        inside = np.zeros(total, bool)
        inside[cells[self.broken == 0]] = True
        by_side = np.stack(alone).reshape(len(n), 2, len(self.columns), 2)
        return Trajectory(
            n=np.array(n), k=np.array(k), pasted=np.array(pasted), limits=np.stack(limits),
            restricted=np.stack(restricted), allowed={j: np.stack([a[j] for a in allowed]) for j in self.allowed},
            alone_n=by_side[:, 0], alone_k=by_side[:, 1], sides=np.stack(sides), inside=inside,
        )  # fmt: skip


def peel_boxes(columns: Sequence[Column], interest: np.ndarray, rules: Rules, boxes: int = 1) -> list[Trajectory]:
    """Up to `boxes` boxes, each among the cells that the earlier ones leave over, in the order in which they are found.

    Stops at the first box whose density is below `rules.density`. Real columns come before integers and these before
    choices, as in the EMA workbench; columns of one kind keep their order, which decides between equal candidates.
    """
    total = len(interest)
    ranges = np.array([[0, 0] if c.kind == "choice" else [c.values.min(), c.values.max()] for c in columns], float)
    cells, orders, found = np.arange(total), orders_of(columns), []
    while len(cells):
        search = Search(columns, orders, interest, ranges, total, rules)
        search.run()
        if search.k / search.n < rules.density:
            break
        found.append(search.trajectory(cells, total))
        if len(found) == boxes:
            break
        keep = search.broken > 0
        place = np.cumsum(keep, dtype=np.int32) - 1
        orders = [place[o[keep[o]]] for o in orders]
        columns, cells, interest = [c.among(keep) for c in columns], cells[keep], interest[keep]
    return found

"""Variance shares from outputs that arrive a few base samples at a time."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from jaxecon.analysis.sobol import SobolIndices, SobolSums, add_sums, bootstrap_weights, indices_of, start_sums


class SobolStream:
    """Indices of any number of outcomes from outputs that arrive a few base samples at a time.

    Each piece is resampled on its own (a stratified bootstrap), so that nothing but the sums is kept: memory is that of
    one piece and of `outcomes x (1 + resamples) x terms` numbers. `group` > 1 resamples groups of so many base samples,
    formed at random within a piece, in place of single ones: many outcomes then cost a `group`-th of the products, and
    half-widths have a relative error of `1/sqrt(2 n/group)` beside the `1/sqrt(2 resamples)` of any bootstrap.
    """

    def __init__(self, k: int, resamples: int = 100, seed: int = 0, group: int = 1) -> None:
        self.k, self.resamples, self.group, self.seed = k, resamples, group, seed
        self.sums: SobolSums | None = None
        self.pieces = self.base = self.kept = 0

    def add(self, y: Float[np.ndarray, "blocks n o"]) -> None:
        """Outputs of more base samples, in the blocks of `saltelli_design`; a base sample with a NaN is dropped.

        Their number must be a multiple of `group`.
        """
        y = np.asarray(y, float)
        kept = np.isfinite(y.sum(axis=2)).all(axis=0)
        n, number = y.shape[1], int(np.sum(kept))
        self.base, self.kept = self.base + n, self.kept + number
        seed = (self.seed, self.pieces) if self.pieces else self.seed
        self.pieces += 1
        if not number:
            return
        # Neighbors among quasi-random points are balanced: only groups at random vary as rows do.
        order = np.random.default_rng((self.seed, self.pieces)).permutation(n) if self.group > 1 else None
        if self.sums is None:
            self.sums = start_sums(y, kept, self.resamples, self.k)
        self.sums = add_sums(
            self.sums, y, kept, bootstrap_weights(n // self.group, self.resamples, seed), order, self.k
        )

    def state(self) -> dict[str, np.ndarray]:
        """All that is needed to go on, as arrays by name."""
        sums = {} if self.sums is None else {f.name: getattr(self.sums, f.name) for f in dataclasses.fields(self.sums)}
        return {"counts": np.array([self.base, self.kept, self.pieces]), **sums}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a state of a stream of the same settings."""
        self.base, self.kept, self.pieces = state["counts"].tolist()
        names = [f.name for f in dataclasses.fields(SobolSums)]
        self.sums = SobolSums(**{n: state[n] for n in names}) if names[0] in state else None

    def indices(self, level: float = 0.95) -> SobolIndices:
        """The indices so far."""
        if self.sums is None:
            raise ValueError("no base sample was kept yet")
        return indices_of(self.sums, self.k, level)

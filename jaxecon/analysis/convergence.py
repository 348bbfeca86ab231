"""The stopping rule of a study of variance shares: the shares after growing numbers of base samples, and the verdict."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxecon.analysis.sobol import SobolIndices

# What a look keeps, in this order.
SHARES = {
    "first": "first-order share",
    "first_ci": "first-order share: half-width",
    "total": "total-order share",
    "total_ci": "total-order share: half-width",
}


@dataclasses.dataclass
class Looks:
    """The looks so far at a study: after `base[look]` base samples the arrays `shares[look]` `[4, o, k]` of `SHARES`."""

    tolerance: float
    base: list[int] = dataclasses.field(default_factory=list)
    shares: list[np.ndarray] = dataclasses.field(default_factory=list)

    def add(self, base: int, found: SobolIndices) -> None:
        """Another look."""
        self.base.append(base)
        self.shares.append(np.stack([getattr(found, name) for name in SHARES]))

    @property
    def widest(self) -> float:
        """The widest half-width at the last look."""
        return float(np.max(self.shares[-1][1::2]))

    @property
    def moved(self) -> float:
        """How far a share moved between the last two looks; infinite at the first."""
        return float(np.max(np.abs(self.shares[-1][::2] - self.shares[-2][::2]))) if len(self.base) > 1 else np.inf

    @property
    def converged(self) -> bool:
        """Whether neither exceeds the tolerance."""
        return bool(self.base) and self.widest <= self.tolerance and self.moved <= self.tolerance

    def variables(self) -> dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]]:
        """Shares and half-widths over growing samples."""
        wide, stacked = ("look", "outcome", "parameter"), np.stack(self.shares, axis=1)
        found: dict[str, Any] = {
            f"{name}_path": (wide, values, {"doc": f"{doc} after so many base samples"})
            for (name, doc), values in zip(SHARES.items(), stacked, strict=True)
        }
        return found | {"base_samples": (("look",), np.array(self.base, float), {"units": "1"})}

    def about(self) -> dict[str, Any]:
        """Attributes: the verdict."""
        after, limit = f"after {self.base[-1]} base samples", f"{self.tolerance:g}"
        verdict = (
            f"converged: {after} no half-width exceeds {limit} and no index moved by more since the last doubling"
            if self.converged
            else f"not converged: {after} the widest half-width is {self.widest:.3g} and an index moved by "
            f"{self.moved:.3g}, tolerance {limit}; raise samples"
        )
        return {"tolerance": self.tolerance, "converged": "yes" if self.converged else "no", "verdict": verdict}

    def state(self) -> dict[str, np.ndarray]:
        """All looks, as arrays by name."""
        return {"look_base": np.array(self.base), "look_shares": np.stack(self.shares)} if self.base else {}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from the looks of a state."""
        if "look_base" in state:
            self.base, self.shares = state["look_base"].tolist(), list(state["look_shares"])

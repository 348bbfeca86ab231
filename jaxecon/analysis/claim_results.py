"""What became of a claim: its margin, its share of the prior box, and where it turns."""

import dataclasses
import math
from typing import Any

from jaxecon.analysis.boundary import BoundaryMap


@dataclasses.dataclass(frozen=True)
class ClaimResult:
    """What became of one claim.

    **Attributes**

    - `margin`: at the given parameters and policy; positive = holds (for a `report`: the size found).
    - `holds`: the verdict there; `None` for a `report` and where the margin could not be evaluated.
    - `share`: of the evaluated draws of the prior box on which it holds; `None` for a `report` or without draws.
    - `draws`: draws of the box; `solved`: share of them with a finite margin; `capped`: fewer than asked for.
    - `quantiles`: of the margin over the draws; `influence`: see `BoundaryMap`, of claims that hold in part; `boundary`: the
      map or `None`.
    - `parts`: results of the parts, whose smallest margin is the claim's; `messages`: what the reader must know.
    """

    id: str
    statement: str
    grade: str
    expectation: str
    cost: str
    margin: float
    holds: bool | None
    share: float | None
    draws: int
    solved: float | None
    capped: bool
    messages: tuple[str, ...]
    quantiles: dict[str, float]
    details: dict[str, Any]
    parts: tuple["ClaimResult", ...]
    boundary: BoundaryMap | None
    influence: dict[str, float]
    note: str
    record: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The result ready for JSON: without the arrays of the map; NaN becomes `None`."""
        skip = ("boundary", "parts", "record")
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in skip}
        plain["messages"] = list(self.messages)
        plain["boundary"] = None if self.boundary is None else [self.boundary.x, self.boundary.y]
        return _finite(plain | {"parts": [part.to_dict() for part in self.parts]})


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

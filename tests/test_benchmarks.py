"""A partial run of the benchmarks loses no row of an earlier one."""

import json

from benchmarks.__main__ import kept_rows


def test_a_partial_run_keeps_the_other_rows_with_their_commit(tmp_path):
    path = tmp_path / "cpu.json"
    assert kept_rows(path, ["sweep"], "cpu") == []
    rows = [{"benchmark": "sweep", "ours_s": 1.0}, {"benchmark": "sobol", "ours_s": 2.0, "commit": "old"}]
    rows.append({"benchmark": "gradient", "ours_s": 3.0})
    path.write_text(json.dumps({"environment": {"device": "cpu", "commit": "new"}, "rows": rows}))
    kept = kept_rows(path, ["sweep"], "cpu")
    assert {r["benchmark"]: r["commit"] for r in kept} == {"sobol": "old", "gradient": "new"}
    assert kept_rows(path, ["sweep"], "gpu") == []

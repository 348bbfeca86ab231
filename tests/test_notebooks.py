"""Each notebook runs from top to bottom at small size."""

import os
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "path", [pytest.param(p, id=p.stem, marks=pytest.mark.xdist_group(f"notebook {p.stem}")) for p in NOTEBOOKS]
)
def test_notebook_runs(path, monkeypatch, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setitem(os.environ, "JAXECON_NOTEBOOK", "small")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert any(cell.get("outputs") for cell in notebook.cells)


def test_there_is_a_tour():
    assert "tour" in [p.stem for p in NOTEBOOKS]

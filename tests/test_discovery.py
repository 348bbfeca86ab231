"""Models are found, and the public function that lists them stays one whatever is imported first."""

import subprocess
import sys

import pytest

import jaxecon

FIRST = (
    "import jaxecon; jaxecon.load('rent_seeking')",
    "from jaxecon.models.rent_seeking import MODEL; import jaxecon",
)


@pytest.mark.parametrize("first", FIRST)
def test_models_is_a_function_after_a_model_is_loaded(first):
    code = f"{first}; print(*jaxecon.models())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == sorted(jaxecon.models())

"""What is slow to load is not loaded before it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.settings_files import PROGRAM

SLOW = ("statsmodels", "pandas", "scipy", "matplotlib")
MODULES = sorted(
    "allocation" if path.stem == "__init__" else f"allocation.{path.stem}"
    for path in (PROGRAM / "allocation").glob("*.py")
    if path.stem != "__main__"
)


def test_no_module_loads_it_by_itself() -> None:
    program = (
        f"import importlib, sys\nfor name in {MODULES!r}:\n    importlib.import_module(name)\n"
        f"    for slow in {SLOW!r}:\n        assert slow not in sys.modules, (name, slow)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=Path(PROGRAM)
    )
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize(("model", "loads"), [("planned", "True"), ("linear", "False")])
def test_a_model_loads_statsmodels_when_it_needs_it(model: str, loads: str) -> None:
    """The test above can fail: this is what it looks for."""
    program = (
        "import sys; from tests.unit.allocation.histories import burning, last;"
        "from allocation.forecast import forecast; from allocation.plan import Plan;"
        "s = burning([1.0] * 120);"
        "before = 'statsmodels' in sys.modules;"
        f"forecast([s], now=last(s), plan=Plan(), model='{model}');"
        "print(before, 'statsmodels' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(PROGRAM)
    )
    assert answer.stdout.split() == ["False", loads]

"""Finds the public test vectors that lie beside the checkout and are no part of it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

_BESIDE_THE_CHECKOUT = Path(__file__).parents[2].parent / "shared" / "vectors"


def load_vectors(name: str) -> Any:
    """Return the JSON of the vector file `name`; skip the asking test or module if it is absent.

    The folder is ``../shared/vectors`` beside the checkout, or where SCHUTZNETZ_VECTORS points.
    """
    path = Path(os.environ.get("SCHUTZNETZ_VECTORS") or _BESIDE_THE_CHECKOUT) / name
    if not path.is_file():
        pytest.skip(
            f"shared vectors absent: {name} is neither in ../shared/vectors nor where "
            "SCHUTZNETZ_VECTORS points",
            allow_module_level=True,
        )
    return json.loads(path.read_text(encoding="utf-8"))

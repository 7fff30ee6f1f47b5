"""Machine code from Python functions over arrays, kept on disk where that is possible.

Importing this module loads numba, about 0.4 s: whatever must start quickly imports it late.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """The function, compiled at its first call for the types it is called with.

    Arithmetic is IEEE 754's as it is written, indices are not checked, and the GIL is released.
    The code is kept in the module's ``__pycache__``, else in the user's cache folder or in
    NUMBA_CACHE_DIR; where none of them can be written it is compiled again in every process.
    """
    made: Any
    try:
        made = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba's word for "no folder to keep it in"
        made = numba.njit(nogil=True, error_model="numpy")(function)
    return cast("_Function", made)

"""Freely licensed photographs that stand in for the material in demo, tests and figures.

ORIGINS.md, beside this file, says where each comes from and under which licence.
"""

from pathlib import Path


def picture_paths() -> list[Path]:
    """The photographs, sorted by name: JPEG files without metadata, 450 to 640 pixels wide."""
    return sorted(Path(__file__).parent.glob("*.jpg"))

"""The table of all settings, as docs/settings.md holds it."""

from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from node.settings import SETTING_NAMES, Settings
from node.settings_sources import OTHER_VARIABLES


def settings_table() -> str:
    """Returns the table of all settings in Markdown, as docs/settings.md holds it."""
    lines = ["| setting | default | allowed | unit | what it is |", "|---|---|---|---|---|"]
    for name in SETTING_NAMES:
        field = Settings.model_fields[name]
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        default = extra["shown"] or _shown(field.default)
        cells = (f"`{name}`", default, _allowed(field), extra["unit"], field.description)
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    lines += ["", "| environment only | what it is |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, text in OTHER_VARIABLES.items()]
    return "\n".join(lines) + "\n"


def _shown(default: object) -> str:
    if default is PydanticUndefined:
        return "has to be set"
    if default is None:
        return "not set"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _allowed(field: FieldInfo) -> str:
    """Returns the bounds of a number or the choices of a text; empty where there are none."""
    if field.annotation is bool:
        return "`true`, `false`"
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    low = next((mark.ge for mark in field.metadata if hasattr(mark, "ge")), None)
    high = next((mark.le for mark in field.metadata if hasattr(mark, "le")), None)
    return "" if low is None else f"{low} to {high}"

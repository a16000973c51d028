"""Groups that clients join by themselves, for what their claims say."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from signalr_bridge.settings.sections.fields import Section, read_list


def read_joins(value: Any) -> Any:
    """A list of rules, or one rule, perhaps as JSON."""
    values = read_list(f"[{value}]" if isinstance(value, str) and value.lstrip().startswith("{") else value)
    return [values] if isinstance(values, dict) else values


class JoinSettings(Section):
    claim: str = Field(min_length=1)
    group: str = Field(min_length=1, max_length=1024)


Joins = Annotated[tuple[JoinSettings, ...], BeforeValidator(read_joins)]

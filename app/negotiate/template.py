"""A user id's template, such as ``{query.userId}``: what a binding expression is in Azure Functions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.errors import SettingsError, Unauthenticated
from app.web.callers import CHALLENGE

_PLACEHOLDER = re.compile(r"\{(query|headers)\.([A-Za-z0-9_.-]{1,64})\}")
Sources = Mapping[str, Mapping[str, Sequence[str]]]
"""The values of ``query`` and ``headers`` by name, names in lower case."""


@dataclass(frozen=True, slots=True)
class Template:
    """Literal text with placeholders. ``optional``: a placeholder that is absent names nobody, instead of refusing."""

    text: str
    optional: bool = False

    def fill(self, sources: Sources) -> str | None:
        """The text with every placeholder replaced. ``Unauthenticated`` when one is absent, empty or repeated."""
        parts = _PLACEHOLDER.split(self.text)
        filled = [parts[0]]
        for kind, name, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            values = sources[kind].get(name.lower(), ())
            if not values and self.optional:
                return None
            if len(values) != 1 or not values[0]:
                detail = f"The {kind} value that names the user is absent, empty or repeated."
                raise Unauthenticated(detail, headers=CHALLENGE)
            filled += [values[0], literal]
        return "".join(filled)


def parse_template(text: str, *, setting: str, optional: bool = False) -> Template:
    """Raises ``SettingsError`` for a brace that begins no placeholder."""
    rest = _PLACEHOLDER.sub("", text)
    if "{" in rest or "}" in rest:
        raise SettingsError(f"{setting}: a placeholder is {{query.<name>}} or {{headers.<name>}}.")
    return Template(text, optional)

"""A template, such as ``{query.userId}``: what a binding expression is in Azure Functions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signalr_bridge.errors import BadToken, SettingsError

_PLACEHOLDER = re.compile(r"\{(?:(query|headers)\.([A-Za-z0-9_.-]{1,64})|(claims)\.([^{}\s]{1,256}))\}")
Sources = Mapping[str, Mapping[str, Sequence[str]]]
"""The values of ``query``, ``headers`` and ``claims`` by name; the names of the first two in lower case."""


@dataclass(frozen=True, slots=True)
class Template:
    """Literal text with placeholders. ``optional``: a placeholder that is absent names nobody, instead of refusing."""

    text: str
    optional: bool = False

    def fill(self, sources: Sources) -> str | None:
        """The text with every placeholder replaced. ``BadToken`` when one is absent, empty or repeated."""
        filled, position = [], 0
        for match in _PLACEHOLDER.finditer(self.text):
            kind, name = (match[1], match[2].lower()) if match[1] else (match[3], match[4])
            values = sources.get(kind, {}).get(name, ())
            if not values and self.optional:
                return None
            if len(values) != 1 or not values[0]:
                raise BadToken(f"a value of the {kind} that the template wants is absent, empty or repeated")
            filled += [self.text[position : match.start()], values[0]]
            position = match.end()
        return "".join([*filled, self.text[position:]])


def parse_template(text: str, *, setting: str, optional: bool = False) -> Template:
    """Raises ``SettingsError`` for a brace that begins no placeholder."""
    rest = _PLACEHOLDER.sub("", text)
    if "{" in rest or "}" in rest:
        raise SettingsError(f"{setting}: a placeholder is {{query.<name>}}, {{headers.<name>}} or {{claims.<name>}}.")
    return Template(text, optional)

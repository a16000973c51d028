"""Everything that is wrong with the settings, in one run: each by itself, between them, and the rules in them.

Nothing is imported, opened or asked. What handlers get wrong shows when they are loaded, after that.
"""

from collections.abc import Iterator
from dataclasses import replace

from signalr_bridge.errors import SettingsError
from signalr_bridge.negotiate import rules
from signalr_bridge.runtime import RUNTIME
from signalr_bridge.settings import Diagnostic, Level, Review, Settings, judge_servable, review
from signalr_bridge.settings.diagnosis import locate
from signalr_bridge.settings.names import PREFIX
from signalr_bridge.settings.value import Values, spell
from signalr_bridge.upstream import join
from signalr_bridge.upstream.forward import rule


def review_to_serve(values: Values) -> Review:
    """What ``review`` finds, and all else for which ``serve`` would refuse these settings."""
    found = review(values)
    if found.partial is None:
        return found
    said = [one.setting for one in found.diagnostics if one.level is Level.ERROR]
    more = [*judge_servable(found.partial, wrong={_name_section(one) for one in said})]
    more += [Diagnostic.of(one) for one in _find_errors(found.partial)]
    settings = {spell(one) for one in said}
    told = [locate(one, values) for one in more if spell(one.setting) not in settings]
    return replace(found, diagnostics=(*found.diagnostics, *told))


def _name_section(setting: str) -> str:
    """The section of a setting. What is not called ``BRIDGE_`` names endpoints or how to open them."""
    ours = spell(setting).partition(PREFIX.lower())
    return ours[2].partition(":")[0] if not ours[0] and ours[1] else "endpoints"


def _find_errors(settings: Settings) -> Iterator[SettingsError]:
    """An error for each setting in a rule that could never work."""
    for name, given in settings.forward.items():
        yield from rule.find_errors(name, given, RUNTIME.new_id)
    yield from join.find_errors(settings)
    yield from rules.find_errors(settings)

"""What ``dev`` makes of the settings: what it takes, what it overrules, and what it leaves out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol.origin import is_loopback
from signalr_bridge.settings import find_connections
from signalr_bridge.settings.azure import DEFAULT, WRITTEN_BY_TOOLS
from signalr_bridge.settings.fields import read_list
from signalr_bridge.settings.files import EVERY_ORIGIN
from signalr_bridge.settings.names import PREFIX, READ_ELSEWHERE, find_path
from signalr_bridge.settings.value import COMMAND_LINE, Value, Values, drop_blank, name_values, spell

DEMO = "signalr_bridge.demo:chat"
"""The handler that ``dev`` runs where the settings name nothing that handles events."""
FORWARD = "dev"
"""The name of the rule that ``--forward`` makes."""

_OURS = PREFIX.lower()
_PORT = "host:localhttpport"
_OF_AZURE = ("azuresignalr", "azure:signalr")
_ENDPOINT_NAMES = ("azure:signalr:endpoints:",)
_OWN = "dev"
"""The source of what ``dev`` sets where the settings are silent."""

_EMULATOR = "dev has an emulator of its own"
_FORWARDED = "--forward gets all events"
_REASONS: Mapping[str, tuple[str, ...]] = {
    _EMULATOR: ("connection", "endpoints:"),
    "the emulator signs its calls with its own key": ("upstream:code", "upstream:keys", "upstream:entra:"),
    "dev listens on 127.0.0.1 alone, at --port": (
        "host",
        "port",
        "uds",
        "public_url",
        "root_path",
        "metrics_listen",
        "callers:listen",
        "callers:anonymous",
    ),
    "clients may negotiate for every hub in dev": ("hubs_only", "negotiate:hubs"),
    "dev runs alone": ("state:", "virtual:", "function_app:timers"),
}
"""The settings that ``dev`` overrules, by the reason. ``:`` at the end stands for all names that begin so.

Some of them are of no release yet.
"""
_KNOWING = frozenset({"jwt", "platform_identity"})
"""The rules by which clients are known."""
_TRUST = "trust_client_input"
_APP = "function_app:folder"
"""Names a function app, which answers where ``dev`` would else bring handlers and a hub of its own."""


@dataclass(frozen=True, slots=True)
class DevSettings:
    """The settings as ``dev`` takes them.

    Attributes:
        values: What is left of the settings, and what ``dev`` sets where they are silent.
        taken: The settings that count, but for those of the command line and of ``dev`` itself.
        overruled: The settings that do not count, by the reason.
        left_out: The settings with addresses of other machines, by the section that is left out for it.
    """

    values: Values = field(repr=False)
    taken: tuple[Value, ...]
    overruled: Mapping[str, tuple[Value, ...]]
    left_out: Mapping[str, Value]

    @property
    def port(self) -> int | None:
        """``LocalHttpPort`` of a ``local.settings.json``. Raises ``SettingsError`` when it is not a port."""
        found = self.values.get(_PORT)
        if found is None:
            return None
        if not found.text.isascii() or not found.text.isdecimal() or int(found.text) > 65_535:
            raise SettingsError("write a number from 0 to 65535.", setting="LocalHttpPort", place=found.source)
        return int(found.text)

    def describe(self) -> Iterator[str]:
        """A line for each source, for each reason to overrule settings, and for each section that is left out."""
        for source in dict.fromkeys(one.source for one in self.taken):
            yield f"Settings of {source}: {', '.join(_show(one) for one in self.taken if one.source == source)}"
        for reason, values in self.overruled.items():
            yield f"Not used, because {reason}: {', '.join(f'{_show(one)} ({one.source})' for one in values)}"
        for name, one in self.left_out.items():
            yield (
                f"Left out, because its address is not on this machine: {name} ({_show(one)}, {one.source}). "
                "--remote takes it in."
            )


def make_dev_settings(values: Values, *, remote: bool = False) -> DevSettings:
    """What ``dev`` takes of the settings. It never raises for what they say.

    The rule of ``--forward`` is among them, from the command line, under the name ``FORWARD``.

    Args:
        values: All settings of all sources.
        remote: Whether events may be posted to other machines.
    """
    values = drop_blank(values)
    reasons = dict(_find_overruled(values))
    kept = {spelled: one for spelled, one in values.items() if spelled not in reasons}
    left_out = {} if remote else dict(_find_remote(kept))
    taken = {spelled: one for spelled, one in kept.items() if _find_section(spelled) not in left_out}
    return DevSettings(
        {
            **_fill_silence(taken, posts=bool(left_out)),
            **_allow_every_hub(values),
            **{spelled: one for spelled, one in taken.items() if spelled not in _list_read(values, taken)},
        },
        tuple(taken[spelled] for spelled in sorted(taken) if _counts(spelled, taken[spelled])),
        {why: tuple(values[one] for one, found in reasons.items() if found == why) for why in reasons.values()},
        left_out,
    )


def is_remote(url: str) -> bool:
    """Whether a URL does not name this machine as its host."""
    try:
        return not is_loopback(urlsplit(url).netloc)
    except ValueError:
        return True


def _list_read(values: Values, taken: Values) -> frozenset[str]:
    """What has been read already. A file of which nothing is left would be taken for one without settings."""
    return frozenset({EVERY_ORIGIN, *(["bridge_settings_file"] if len(taken) < len(values) else [])})


def _find_overruled(values: Values) -> Iterator[tuple[str, str]]:
    """The settings that ``dev`` does not use, each with the reason."""
    connections = find_connections(values)
    forwards = _is_forwarded(values)
    for spelled, found in sorted(values.items()):
        if _is_connection(spelled, connections):
            yield spelled, _EMULATOR
        elif spelled.startswith(_OURS):
            name = spelled.removeprefix(_OURS)
            if forwards and found.source != COMMAND_LINE and _gets_events(name, values):
                yield spelled, _FORWARDED
            elif (reason := _find_reason(name)) is not None:
                yield spelled, reason


def _find_reason(name: str) -> str | None:
    """Why ``dev`` does not use a setting of ours, be it for all hubs or for one. None when it does."""
    path = find_path(name)
    if path is not None and path[0] == "hubs":
        name = ":".join(path[2:])
    return next((why for why, names in _REASONS.items() if any(_is_meant(name, one) for one in names)), None)


def _is_meant(name: str, overruled: str) -> bool:
    return name.startswith(overruled) if overruled.endswith(":") else name == overruled


def _is_connection(spelled: str, connections: Sequence[str]) -> bool:
    """Whether a setting gives endpoints. A connection's name may stand in ``bridge.toml`` as if it were one of ours."""
    if spelled.startswith(_OURS) and find_path(spelled.removeprefix(_OURS)) is not None:
        return False
    name = spelled.removeprefix(_OURS).removeprefix("connectionstrings:").removeprefix("customconnstr_")
    known = {*map(spell, (DEFAULT, *WRITTEN_BY_TOOLS, *connections))}
    return name.startswith(_ENDPOINT_NAMES) or name in known or name.startswith(tuple(f"{one}:" for one in known))


def _is_forwarded(values: Values) -> bool:
    found = values.get(f"{_OURS}forward:{FORWARD}:url")
    return found is not None and found.source == COMMAND_LINE


def _gets_events(name: str, values: Values) -> bool:
    """Whether a setting belongs to what handles events. A backend that is asked at negotiate does not."""
    path = find_path(name) if name.startswith("forward:") else None
    if path is None or path[1] == FORWARD:
        return name in {"handlers", _APP} or name.startswith(("forward:", "functions:"))
    category = values.get(f"{_OURS}forward:{path[1]}:category")
    return category is None or category.text != "negotiate"


def _find_remote(values: Values) -> Iterator[tuple[str, Value]]:
    """The sections that would post to another machine, such as ``forward.orders``, with the setting that says so."""
    for spelled, found in sorted(values.items()):
        section = _find_section(spelled)
        if section is not None and spelled.endswith(":url") and is_remote(found.text):
            yield section, found


def _find_section(spelled: str) -> str | None:
    """The section of a setting that belongs to where events are posted. None for all other settings."""
    name = spelled.removeprefix(_OURS)
    if name.startswith("functions:"):
        return "functions"
    path = find_path(name) if name.startswith("forward:") else None
    return None if path is None else f"forward.{path[1]}"


def _fill_silence(taken: Values, *, posts: bool) -> Values:
    """What ``dev`` sets. Where the settings say something of it, they count.

    Args:
        taken: The settings that count.
        posts: Whether there are sections that would post events, and that are left out.
    """
    own: dict[str, object] = {
        **({} if f"{_OURS}{_APP}" in taken else {"default_hub": "chat"}),
        "docs": True,
        "console": True,
        "log_level": "warning",
        "limits:drain_seconds": 0,
        "limits:grace_seconds": 1,
        "function_app:timers": True,  # one replica says so, and dev is the only one
    }
    if not posts and not any(_gets_events(spelled.removeprefix(_OURS), taken) for spelled in taken):
        own["handlers"] = [DEMO]
    own |= _admit(taken)
    return {
        spelled: one
        for spelled, one in name_values(((f"{_OURS}{name}", given) for name, given in own.items()), _OWN).items()
        if spelled not in taken
    }


def _allow_every_hub(values: Values) -> Values:
    """All hubs for clients, beside those that the settings name, which are listed as before."""
    name = f"{_OURS}negotiate:hubs"
    try:
        named = read_list(values[name].value) if name in values else []
    except ValueError:
        named = []
    return name_values([(name, [*named, "*"] if isinstance(named, list) else ["*"])], _OWN)


def _admit(taken: Values) -> dict[str, object]:
    """The rules for clients, where the settings have none.

    Who has said how clients are known wants to see that, for all hubs or for one. So nobody else is admitted there.
    """
    general: dict[str, Value] = {}
    hubs: dict[str, dict[str, Value]] = {}
    for spelled, found in taken.items():
        path = find_path(spelled.removeprefix(_OURS)) or ()
        if path[:1] == ("negotiate",):
            general[path[1]] = found
        elif path[:1] == ("hubs",) and path[2] == "negotiate":
            hubs.setdefault(path[1], {})[path[3]] = found
    if _KNOWING & general.keys():
        return {}
    knowing = [hub for hub, own in hubs.items() if _KNOWING & own.keys()]
    rules: dict[str, object] = {f"hubs:{hub}:negotiate:anonymous": False for hub in knowing}
    rules["negotiate:anonymous"] = True
    trusts = [own[_TRUST].text.lower() for own in (general, *hubs.values()) if _TRUST in own]
    if not knowing and "user_id" not in general and set(trusts) <= {"true", "1"}:
        rules |= {"negotiate:user_id": "{query.userId}", f"negotiate:{_TRUST}": True}
    return rules


def _counts(spelled: str, found: Value) -> bool:
    """Whether a setting is one of those that ``dev`` says it took."""
    name = spelled.removeprefix(_OURS)
    known = spelled.startswith(_OURS) and (find_path(name) is not None or name in READ_ELSEWHERE)
    return found.source != COMMAND_LINE and (known or spelled in {EVERY_ORIGIN, _PORT} or spelled.startswith(_OF_AZURE))


def _show(found: Value) -> str:
    """The name of a setting, as an environment variable has it."""
    if found.written.startswith("Host:"):
        return found.written.replace(":", ".")
    name = found.written.replace(":", "__")
    return name.upper() if name.lower().startswith(_OURS) else name

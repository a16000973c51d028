"""What a Python function app and the settings say to one another before the settings are judged.

The app's code finds its settings in the environment. What its bindings say of connections counts as settings do, where
all sources are silent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from signalr_bridge.errors import InvalidName, SettingsError, blame
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.belief import SIGNALR_KINDS
from signalr_bridge.functions.connections import DEFAULT, PROPERTY
from signalr_bridge.functions.description import FunctionDescription, Kind
from signalr_bridge.functions.expressions import resolve_settings
from signalr_bridge.functions.python_app import FOLDER_SETTING, PythonApp, load_python_app
from signalr_bridge.protocol.names import check_hub
from signalr_bridge.settings.diagnosis import locate
from signalr_bridge.settings.loading import list_app_settings
from signalr_bridge.settings.names import write_name
from signalr_bridge.settings.sources import Sources
from signalr_bridge.settings.value import SECRETS, Diagnostic, Values, drop_blank, first_of, name_values

SOURCE = "function app"
"""The source of what the bindings of an app say."""

_NOTHING: Mapping[str, str] = MappingProxyType({})
_FOLDER = "bridge_function_app:folder"
_NOT_FOR_CODE = ("host:", "bridge_")


@dataclass(frozen=True, slots=True)
class AppReading:
    """All settings once the app that they name is loaded.

    Attributes:
        values: All settings, what the app says of connections among them.
        sources: The same sources, by which that counts after each change, too.
        app: The app. None where the settings name none.
    """

    values: Values = field(repr=False)
    sources: Sources
    app: PythonApp | None


def read_with_app(sources: Sources) -> AppReading:
    """All settings, and the Python function app that they name. Raises what ``Sources`` and ``load_python_app`` do."""
    values = sources.read()
    app = find_python_app(values, sources.folder)
    defaults = _list_defaults(app, values)
    return AppReading(first_of(values, defaults), replace(sources, defaults=defaults), app)


def load_app(values: Values, folder: Path) -> tuple[PythonApp | None, Values]:
    """The Python function app that settings name, and the settings with what its bindings say of connections.

    The arguments and errors are those of ``find_python_app``.
    """
    app = find_python_app(values, folder)
    return app, first_of(values, _list_defaults(app, values))


def _list_defaults(app: PythonApp | None, values: Values) -> Values:
    return {} if app is None else list_connections(app.descriptions, drop_blank(values))


def find_python_app(values: Values, folder: Path, more: Mapping[str, str] = _NOTHING) -> PythonApp | None:
    """The Python function app that the settings name, with its code loaded. None where they name none.

    Args:
        values: All settings of all sources.
        folder: The folder that its path is relative to.
        more: Further settings of the app, which count first.

    Raises:
        SettingsError: What ``load_python_app`` does.
    """
    values = drop_blank(values)
    found = values.get(_FOLDER)
    if found is None:
        return None
    app_settings, variables = list_app_settings(values) | dict(more), {**list_variables(values), **more}
    try:
        with blame(FOLDER_SETTING):
            return load_python_app(folder / found.text, app_settings, variables)
    except SettingsError as error:
        raise locate(Diagnostic.of(error), values).as_error() from error


def list_variables(values: Values) -> Mapping[str, str]:
    """What the Functions host puts into the environment of an app: its own settings, out of its file and of secrets.

    What comes from elsewhere is there already, or is the bridge's own.
    """
    return {
        one.written: one.text
        for name, one in values.items()
        if (one.source == SECRETS or one.source.endswith(".json")) and not name.startswith(_NOT_FOR_CODE)
    }


def list_connections(functions: Sequence[FunctionDescription], values: Values) -> Values:
    """The connection of each hub that the bindings of an app name, as settings.

    Where they name one for all hubs, and the default one has no value, that one is the default.
    """
    named = find_connections(functions, AppSettings(list_app_settings(values)))
    names = dict.fromkeys(named.values())
    if len(names) == 1 and not any(one.startswith(DEFAULT.lower()) for one in values):
        return name_values([("BRIDGE_CONNECTION", one) for one in names if one != DEFAULT], SOURCE)
    written = [(write_name(("hubs", hub, "connection")), name) for hub, name in named.items() if name != DEFAULT]
    return name_values(written, SOURCE)


def find_connections(functions: Sequence[FunctionDescription], app_settings: AppSettings) -> Mapping[str, str]:
    """The connection of each hub that is always the same, as the bindings of an app name it.

    A hub that has two keeps the first, and its check says so. A connection string in place of a name is left out,
    because it is a secret.
    """
    named: dict[str, str] = {}
    for function in functions:
        try:
            resolved = resolve_settings(function, app_settings)
        except SettingsError:
            continue  # it is said where the function's bindings are checked
        for one in resolved.bindings:
            hub, name = one.text("hubName"), one.text(PROPERTY) or DEFAULT
            if one.kind in SIGNALR_KINDS | {Kind.SIGNALR_TRIGGER} and _is_hub(hub) and not set(";=") & set(name):
                named.setdefault(hub.lower(), name)
    return named


def _is_hub(name: str) -> bool:
    try:
        return bool(check_hub(name))
    except InvalidName:
        return False

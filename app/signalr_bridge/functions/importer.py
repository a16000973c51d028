"""What becomes of each function of an app: the same checks as at a start, under the settings that it needs.

A function is tried with nothing granted first. What it needs is what makes it start.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app import AppFunctions, FunctionApps, Invoker, sort_functions
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.app_values import find_connections
from signalr_bridge.functions.bindings import Bindings
from signalr_bridge.functions.connections import DEFAULT
from signalr_bridge.functions.description import FunctionDescription
from signalr_bridge.functions.imported_app import ImportedApp
from signalr_bridge.functions.invocation import FunctionFailed, FunctionResult, Invocation
from signalr_bridge.functions.timers import make_timers
from signalr_bridge.runtime import RUNTIME
from signalr_bridge.settings import Settings, review
from signalr_bridge.settings.loading import list_app_settings
from signalr_bridge.settings.value import Values, first_of, name_values

MakeBindings: TypeAlias = Callable[[Settings], Bindings]
"""Makes the bindings that settings stand for, without opening anything."""


@dataclass(frozen=True, slots=True)
class Grants:
    """What the settings have to grant a function so that it starts.

    Attributes:
        platform_identity: It reads headers that a platform writes.
        trust_client_input: It names clients by what they can write themselves.
    """

    platform_identity: bool = False
    trust_client_input: bool = False

    def __or__(self, other: "Grants") -> "Grants":
        return Grants(
            self.platform_identity or other.platform_identity, self.trust_client_input or other.trust_client_input
        )


_ATTEMPTS = (Grants(), Grants(platform_identity=True), Grants(trust_client_input=True), Grants(True, True))


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a function.

    Attributes:
        function: It, with app settings for each ``%Name%`` that is known.
        brought: What it is here. None for one that cannot start.
        grants: What has to be granted for it.
        error: Why it does not start as it is. None where nothing has to be granted.
    """

    function: FunctionDescription
    brought: AppFunctions | None
    grants: Grants = Grants()
    error: SettingsError | None = None


@dataclass(frozen=True, slots=True)
class Connections:
    """The connections that the app's bindings name: that of most hubs, and those of single hubs that name another."""

    default: str = DEFAULT
    of_hubs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of an app.

    Attributes:
        fates: Those of its functions, in the order of their names.
        connections: What its bindings call their connections.
        grants: What has to be granted for all of them.
        together: Why they cannot start together, although each of them could. None where they can.
    """

    fates: Sequence[Fate]
    connections: Connections
    grants: Grants
    together: SettingsError | None = None


class _NoRunner:
    """Stands for what runs functions. Nothing is run while an app is looked at."""

    async def run(self, invocation: Invocation) -> FunctionResult:
        raise FunctionFailed("nothing is run while an app is looked at")


class Judge:
    """Tries the functions of an app as a start does.

    Args:
        app: The app.
        make_bindings: Makes the bindings for the settings under which the functions are tried.
    """

    def __init__(self, app: ImportedApp, make_bindings: MakeBindings) -> None:
        self._app, self._make_bindings = app, make_bindings
        self.connections = name_connections(app)
        self._tried: dict[Grants, tuple[Settings, Bindings]] = {}

    def judge(self) -> Judgement:
        """What becomes of the app."""
        functions = sorted(self._app.functions, key=lambda one: (one.name.lower(), one.name))
        fates = [self._find_fate(one) for one in functions]
        grants = Grants()
        for one in fates:
            grants |= one.grants
        starting = [one.function for one in fates if one.brought is not None]
        return Judgement(fates, self.connections, grants, self._find_error(starting, grants))

    def _find_fate(self, function: FunctionDescription) -> Fate:
        if not self._app.model.runs_here:
            return Fate(function, None)
        first, last = None, SettingsError()
        for grants in _ATTEMPTS:
            settings, bindings = self._grant(grants)
            try:
                return Fate(bindings.resolve(function), self._start([function], settings, bindings), grants, first)
            except SettingsError as error:
                first, last = first or error, error
        return Fate(function, None, Grants(), last)

    def _find_error(self, functions: Sequence[FunctionDescription], grants: Grants) -> SettingsError | None:
        try:
            self._start(functions, *self._grant(grants))
        except SettingsError as error:
            return error
        return None

    def _start(self, functions: Sequence[FunctionDescription], settings: Settings, bindings: Bindings) -> AppFunctions:
        """The functions as parts of the bridge. Raises ``SettingsError`` where they could not start."""
        invoker = Invoker(_NoRunner(), bindings, RUNTIME)
        app_settings = AppSettings(settings.app_settings)
        is_beside = not self._app.model.is_python
        brought = sort_functions(functions, invoker, bindings, self._app.host, app_settings, is_beside=is_beside)
        FunctionApps(make_timers(settings, RUNTIME), [brought])
        return brought

    def _grant(self, grants: Grants) -> tuple[Settings, Bindings]:
        if grants not in self._tried:
            settings = self._load(grants)
            self._tried[grants] = (settings, self._make_bindings(settings))
        return self._tried[grants]

    def _load(self, grants: Grants) -> Settings:
        ours = {
            "BRIDGE_FUNCTION_APP__FOLDER": str(self._app.folder),  # otherwise there are no app settings
            "BRIDGE_CONNECTION": self.connections.default,
            "BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": grants.platform_identity,
            "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": grants.trust_client_input,
        }
        of_hubs = {f"BRIDGE_HUBS__{hub}__CONNECTION": name for hub, name in self.connections.of_hubs.items()}
        found = review(first_of(name_values((ours | of_hubs).items(), "import"), _without_ours(self._app.settings)))
        return found.settings or found.partial or found.accept()


def _without_ours(settings: Values) -> Values:
    """The app's own settings, without what is said there to the bridge or to the Functions host."""
    return {name: one for name, one in settings.items() if not name.startswith(("bridge_", "host:"))}


def name_connections(app: ImportedApp) -> Connections:
    """The connections that the bindings of an app name."""
    of_hubs = find_connections(app.functions, AppSettings(list_app_settings(app.settings)))
    named = sorted(set(of_hubs.values()))
    default = DEFAULT if not named or DEFAULT in named else named[0]
    return Connections(default, {hub: name for hub, name in sorted(of_hubs.items()) if name != default})

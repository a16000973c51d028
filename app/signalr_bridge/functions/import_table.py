"""The table that ``import`` prints: each function, what it became, and what needs a hand, with the sentence why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from signalr_bridge.functions.app_folder import HOST_FILE
from signalr_bridge.functions.belief import CLIENT_KINDS
from signalr_bridge.functions.description import Binding, FunctionDescription, Kind
from signalr_bridge.functions.imported_app import LOCAL_SETTINGS, ImportedApp, Model, find_missing_scripts
from signalr_bridge.functions.importer import Fate, Judgement
from signalr_bridge.functions.source_hints import Hint, SourceHints
from signalr_bridge.settings.files import EVERY_ORIGIN

_BACKENDS = "write them anew as handlers in Python, or as a backend in any language (docs/handlers.md, deploy/examples)"
_NOT_RUN = {
    Model.DOTNET: "Functions of .NET in-process run inside the Functions host's own process, which is not here",
    Model.ISOLATED: "Functions of .NET isolated run in a worker of the Functions host, which is not here",
    Model.JAVA: "Functions in Java run in a worker of the Functions host, which is not here",
    Model.POWERSHELL: "Functions in PowerShell run in a worker of the Functions host, which is not here",
    Model.UNKNOWN: "The files do not say in which language this app is written",
}
_WITHOUT_WORDS = frozenset({"extensions", "extensionbundle", "logging"})
"""Members of ``host.json`` that nobody misses."""
_RIGHTS = {"function": "functions", "admin": "functions-admin"}
_UNSEEN = (
    "Its bindings are in the code, and --no-run reads files only. There may be more functions than those that the code "
    "shows at a glance."
)
_MOST_PLACES = 3

OTHERWISE = (
    "A call of the service is checked by its signature or token always. The bindings check nothing as soon as one "
    "endpoint has no access key.",
    "A client gets a neutral text where a function fails. The bindings send the stack of the error to it.",
    "An empty destination is an error, unless BRIDGE_OUTPUT__EMPTY_MEANS_ALL is true. The bindings send to everybody.",
    "An endpoint that is not known is an error. The bindings drop it, and send to nobody without a word.",
    "A function gets the whole of a claim that was given at negotiate. The bindings cut it at its first comma.",
    "A platform's sign-in headers are taken off every request, unless BRIDGE_NEGOTIATE__PLATFORM_IDENTITY is true.",
    "An id token is verified, unless BRIDGE_NEGOTIATE__ID_TOKEN_UNVERIFIED is true. The bindings copy from any.",
    "An expression that nothing resolves is an error at the start, and not in each call.",
    "Keys of functions are keys of the bridge (BRIDGE_CALLERS__KEYS), with the right functions or functions-admin.",
    "A run of a timer that was missed is not made up, and one replica of the bridge runs the timers.",
    "Several endpoints work with the transport type Transient, too.",
    "AzureWebJobsStorage is not needed: the bridge keeps no keys and no locks there.",
)
"""What the bridge does otherwise than the bindings and their host."""


@dataclass(frozen=True, slots=True)
class Row:
    """A function, what it became, and what needs a hand."""

    function: str
    became: str
    hands: Sequence[str] = ()


def list_rows(app: ImportedApp, judgement: Judgement) -> list[Row]:
    """A row for each function of an app."""
    rows = [_write_row(app, one) for one in judgement.fates]
    return [*rows, *(Row(one, "not seen", (_UNSEEN,)) for one in app.unseen)]


def _write_row(app: ImportedApp, fate: Fate) -> Row:
    name = fate.function.name
    if not app.model.runs_here:
        return Row(name, f"not run: {app.model}")
    if fate.brought is None:
        return Row(name, "an error: the app does not start", (_explain_error(fate),))
    if fate.brought.left_out:
        return Row(
            name, f"left out: {fate.brought.left_out[0].reason}", tuple(_advise(fate.brought.left_out[0].reason))
        )
    return Row(name, _describe(app, fate.function), tuple(_find_hands(fate)))


def _explain_error(fate: Fate) -> str:
    said = "" if fate.error is None else fate.error.detail.rstrip(".")
    off = f"AzureWebJobs.{fate.function.name}.Disabled=true"
    return f"{said}. Mend that, or switch the function off by the setting {off}."


def _advise(reason: str) -> Iterator[str]:
    if "disabled" not in reason and "host.json" not in reason:
        yield "It stays in a Functions host, which sends through the bridge by POST /hubs/<hub>/send."


def _describe(app: ImportedApp, function: FunctionDescription) -> str:
    trigger = function.trigger
    if trigger is None:
        return ""
    if trigger.kind == Kind.SIGNALR_TRIGGER:
        event, category = trigger.text("event"), trigger.text("category").lower()
        return f"handler of '{event}' ({category}) of the hub '{trigger.text('hubName')}'"
    if trigger.kind == Kind.TIMER_TRIGGER:
        return f"timer, {trigger.text('schedule')}"
    methods = ", ".join(one.upper() for one in trigger.texts("methods") or ()) or "any method"
    path = "/".join(filter(None, ["", app.host.route_prefix, _read_route(function, trigger)]))
    return f"{methods} /{path.lstrip('/')} ({_read_level(trigger)})"


def _read_route(function: FunctionDescription, trigger: Binding) -> str:
    return trigger.text("route").strip("/") or function.name


def _read_level(trigger: Binding) -> str:
    return trigger.text("authLevel").lower() or "function"


def _find_hands(fate: Fate) -> Iterator[str]:
    function, trigger = fate.function, fate.function.trigger
    if fate.grants.platform_identity:
        yield (
            "It reads who has signed in from headers of App Service. A container does not take them off what clients "
            "send, so the file lets this machine alone reach the bridge until you have decided."
        )
    if fate.grants.trust_client_input:
        yield (
            "It names a client by what the client itself writes, so anybody can be anybody. The file lets this machine "
            "alone reach the bridge until you have decided."
        )
    if trigger is None:
        return
    if trigger.kind == Kind.TIMER_TRIGGER:
        yield "It runs where BRIDGE_FUNCTION_APP__TIMERS is true: say so for one replica, or it runs in each."
    if trigger.kind == Kind.HTTP_TRIGGER:
        yield from _find_access(function, _read_level(trigger))


def _find_access(function: FunctionDescription, level: str) -> Iterator[str]:
    if level in _RIGHTS:
        yield (
            f"Its callers need a key of the bridge with the right '{_RIGHTS[level]}' (BRIDGE_CALLERS__KEYS), as code, "
            "x-functions-key or X-API-Key: the keys of the Functions host do not move."
        )
    elif _admits_everybody(function):
        yield "Whoever reaches it gets a token for its hub: it is anonymous, and no binding of it names a user."


def _admits_everybody(function: FunctionDescription) -> bool:
    clients = [one for one in function.inputs if one.kind in CLIENT_KINDS]
    return bool(clients) and not any("{" in one.text("userId") for one in clients)


def list_hands(app: ImportedApp, judgement: Judgement, hints: SourceHints) -> list[str]:
    """What needs a hand in the app as a whole."""
    return [*_judge_model(app), *_judge_files(app), *_judge_host(app), *_judge_code(app, judgement, hints)]


def _judge_model(app: ImportedApp) -> Iterator[str]:
    if not app.model.runs_here:
        yield f"{_NOT_RUN[app.model]}: {_BACKENDS}."
    if app.model.is_javascript:
        yield "JavaScript runs beside the bridge, not in it: node functions-node <folder> (deploy/functions-node)."
    if app.model is Model.CUSTOM:
        yield "The program of a custom handler is started by you, with FUNCTIONS_CUSTOMHANDLER_PORT in its environment."
    if app.model.runs_here and not app.functions and not app.unseen:
        yield "No function was found."


def _judge_files(app: ImportedApp) -> Iterator[str]:
    if not app.host.is_there:
        yield f"There is no {HOST_FILE}: is this the app's folder? The defaults are used."
    if not app.has_settings:
        yield f"There is no {LOCAL_SETTINGS}, so the names of the app's settings are known from its bindings alone."
    if (app.folder / "proxies.json").is_file():
        yield "proxies.json is not read: write its routes into the proxy in front of the bridge."
    for name in find_missing_scripts(app) if app.model.runs_here else ():
        yield f"The code of '{name}' is not there: build the app first."
    yield from (f"{one[:1].upper()}{one[1:]}" for one in app.troubles)


def _judge_host(app: ImportedApp) -> Iterator[str]:
    unread = [one for one in app.host.others if one not in _WITHOUT_WORDS]
    if unread:
        yield f"{HOST_FILE}: {', '.join(unread)}: this means nothing here."
    if app.host.route_prefix != "api":
        yield f"{HOST_FILE}: routes stand below '/{app.host.route_prefix}', and pages negotiate there."
    if EVERY_ORIGIN in app.settings:
        yield (
            "CORS '*' is not taken over, because pages of all origins could then act for their visitors: name your "
            "pages' origins in BRIDGE_CORS__ORIGINS."
        )


def _judge_code(app: ImportedApp, judgement: Judgement, hints: SourceHints) -> Iterator[str]:
    if judgement.together is not None and app.model.runs_here:
        yield f"The functions do not start together. {judgement.together.detail}"
    if hints.empty_destinations and app.model.runs_here:
        yield (
            f"The code seems to send to an empty destination ({_write_places(hints.empty_destinations)}), which means "
            "everybody to the bindings. The file has output.empty_means_all = true. Take it out if that is not so."
        )
    if hints.platform_headers and not judgement.grants.platform_identity:
        yield (
            f"The code reads headers of a platform's sign-in ({_write_places(hints.platform_headers)}). They are taken "
            "off every request, unless negotiate.platform_identity = true."
        )


def _write_places(hints: Sequence[Hint]) -> str:
    places = list(dict.fromkeys(one.place for one in hints))
    more = f", and {len(places) - _MOST_PLACES} more" if len(places) > _MOST_PLACES else ""
    return ", ".join(places[:_MOST_PLACES]) + more


def write_table(app: ImportedApp, rows: Sequence[Row], hands: Sequence[str]) -> Iterator[str]:
    """The lines of the table. None of them is cut."""
    yield f"{app.folder}: {app.model}, {len(app.functions)} function{'s' * (len(app.functions) != 1)}"
    width = max(len(one) for one in ("function", *(row.function for row in rows))) + 2
    if rows:
        yield ""
        yield f"{'function':<{width}}what it became"
        yield from (f"{one.function:<{width}}{one.became}" for one in rows)
    told = _group([(one.function, hand) for one in rows for hand in one.hands])
    if told or hands:
        yield ""
        yield "Needs a hand:"
        yield from (f"- {', '.join(names)}: {hand}" for hand, names in told.items())
        yield from (f"- {hand}" for hand in hands)
    yield ""
    yield "What the bridge does otherwise than the bindings:"
    yield from (f"- {one}" for one in OTHERWISE)


def _group(told: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The names of the functions by what is said of them."""
    grouped: dict[str, list[str]] = {}
    for name, hand in told:
        grouped.setdefault(hand, []).append(name)
    return grouped

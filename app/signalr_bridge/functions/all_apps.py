"""All function apps of the settings, assembled: those that run in this process, and those beside it."""

from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.functions.app import FunctionApps
from signalr_bridge.functions.bindings import Bindings
from signalr_bridge.functions.python_app import PythonApp, make_python_functions
from signalr_bridge.functions.remote_app import ProgramParts, make_remote_app
from signalr_bridge.functions.timers import make_timers
from signalr_bridge.negotiate.negotiator import Negotiator
from signalr_bridge.negotiate.rules import ClientAdmission
from signalr_bridge.outbound.sender import Sender
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings import Settings


def make_function_apps(
    python_app: PythonApp | None,
    program_parts: ProgramParts | None,
    settings: Settings,
    clients: ClientAdmission,
    negotiator: Negotiator,
    directory: EndpointDirectory,
    sender: Sender,
    runtime: Runtime,
) -> FunctionApps:
    """The apps that the settings name. Raises ``SettingsError`` for a function that could never work.

    Args:
        python_app: The app in Python, where it is loaded already.
        program_parts: What calls a program beside the bridge. None where nothing is called.
        settings: The settings of the bridge, and the apps' own.
        clients: The rules for the clients of each hub.
        negotiator: Signs the tokens of clients.
        directory: The endpoints of each hub.
        sender: Sends items, and is what code in this process talks back by.
        runtime: The clock, and new ids.
    """
    bindings = Bindings(settings, clients.rules_of, negotiator, directory, sender)
    python = make_python_functions(python_app, settings, bindings, sender, runtime)
    beside = make_remote_app(settings, bindings, program_parts, runtime)
    return FunctionApps(make_timers(settings, runtime), python, beside)

"""All function apps of the settings, assembled: those that run in this process, and those beside it."""

from signalr_bridge.functions.app import FunctionApps
from signalr_bridge.functions.bindings import Bindings
from signalr_bridge.functions.python_app import PythonApp, make_python_functions
from signalr_bridge.functions.remote_app import RemoteApp
from signalr_bridge.functions.timers import make_timers
from signalr_bridge.outbound.sender import Sender
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings import Settings


def make_function_apps(
    python_app: PythonApp | None,
    remote_app: RemoteApp,
    settings: Settings,
    bindings: Bindings,
    sender: Sender,
    runtime: Runtime,
) -> FunctionApps:
    """The apps that the settings name. Raises ``SettingsError`` for a function that could never work.

    Args:
        python_app: The app in Python, where it is loaded already.
        remote_app: The app in a program beside the bridge. It brings nothing where there is none.
        settings: The settings of the bridge, and the apps' own.
        bindings: Fills inputs and sends outputs.
        sender: Is what code in this process talks back by.
        runtime: The clock, and new ids.
    """
    python = make_python_functions(python_app, settings, bindings, sender, runtime)
    return FunctionApps(make_timers(settings, runtime), [*python, remote_app.functions])

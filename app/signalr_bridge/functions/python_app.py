"""A function app in Python: its code, loaded as Microsoft's worker loads it, and its functions as parts of the bridge.

The v2 model is a ``function_app.py`` with one ``FunctionApp``. The v1 model is a folder for each function, with a
``function.json`` beside its code.

Source: https://learn.microsoft.com/azure/azure-functions/functions-reference-python
"""

import asyncio
import importlib
import importlib.util
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import TYPE_CHECKING, Any

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app import AppFunctions, Invoker, read_time_limit, sort_functions
from signalr_bridge.functions.app_folder import HostFile, read_functions, read_host
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.bindings import Bindings
from signalr_bridge.functions.description import FunctionDescription, read_description
from signalr_bridge.functions.left_out import find_reason
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings import Settings
from signalr_bridge.settings.sources import LOCAL_SETTINGS
from signalr_bridge.upstream.outbox import Outbox
from signalr_bridge.upstream.python.handler import explain_error

if TYPE_CHECKING:  # it needs Microsoft's library, which is not there unless an app runs
    from signalr_bridge.functions.python_function import PythonFunction

_LOG = logging.getLogger("signalr_bridge.functions")
FOLDER_SETTING = "BRIDGE_FUNCTION_APP__FOLDER"
_PACKAGES = Path(".python_packages") / "lib" / "site-packages"
_SCRIPT_NAME = "PYTHON_SCRIPT_FILE_NAME"
_RUNTIME = "FUNCTIONS_WORKER_RUNTIME"
_PACKAGE = "__app__"
"""The package that the functions of a v1 app are in. The worker calls it so, and apps may import from it."""

_V1_FILE, _V1_ENTRY = "__init__.py", "main"
_LIBRARIES = ("asyncio", "azure", "concurrent", "h2", "httpcore", "httpx", "msal", "urllib3", "uvicorn", "werkzeug")
_INSTALLED = {"site-packages", "dist-packages"}
_NAME = re.compile(r"Function (\w+) does not have (?:a unique|a trigger)")
_PASSED_ON = (SettingsError, KeyboardInterrupt, asyncio.CancelledError)


@dataclass(frozen=True, slots=True)
class PythonApp:
    """A function app whose code is loaded.

    Attributes:
        folder: Where it is.
        host: What its ``host.json`` says.
        descriptions: All of its functions.
        functions: Those that may run, with their code.
    """

    folder: Path
    host: HostFile
    descriptions: Sequence[FunctionDescription]
    functions: "Sequence[PythonFunction]" = field(repr=False)

    def enter(self, log_level: str) -> None:
        """Make the process as it is under the worker: the app's folder is the current one, and its own log is shown.

        Args:
            log_level: The lowest level of what the app logs. Libraries log warnings only.
        """
        os.chdir(self.folder)
        file = self.folder / LOCAL_SETTINGS
        settings = f", with the settings of its {file.name}" if file.is_file() else ""
        _LOG.info(
            "function app loaded", extra={"what": f"{self.folder.name}: {len(self.functions)} functions{settings}"}
        )
        logging.getLogger().setLevel(log_level.upper())
        for name in _LIBRARIES:
            logging.getLogger(name).setLevel(logging.WARNING)


def load_python_app(folder: Path, app_settings: Mapping[str, str], variables: Mapping[str, str]) -> PythonApp:
    """The app in a folder, with its code. The process is from then on as the worker's is for the app.

    Its folder and its packages are importable, and its variables are in the environment, where nothing else is there.

    Args:
        folder: The folder with its ``host.json``.
        app_settings: Its settings by their names, which may disable functions and fill ``%Name%``.
        variables: What its code finds in the environment.

    Raises:
        SettingsError: There is no such app, its code cannot be loaded, or a function does not fit its bindings.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise SettingsError(
            f"there is no folder '{folder.name}': name the one with the app's host.json.", setting=FOLDER_SETTING
        )
    host, settings = read_host(folder), AppSettings(app_settings)
    _check_runtime(settings)
    _set_variables(folder, variables)
    _make_importable(folder)
    _check_library()
    with chdir(folder):  # code that reads files when it is imported finds them as under the worker
        found = _find_functions(folder, settings.find(_SCRIPT_NAME) or "function_app.py")
        chosen = [(one, load) for one, load in found if find_reason(one, host, settings) is None]
        return PythonApp(folder, host, [one for one, _ in found], [_read(one, load) for one, load in chosen])


def make_python_functions(
    app: PythonApp | None, settings: Settings, bindings: Bindings, outbox: Outbox, runtime: Runtime
) -> list[AppFunctions]:
    """The functions of an app as parts of the bridge. Raises ``SettingsError`` for one that could never work.

    Args:
        app: The app. None takes the one that the settings name, which may be none.
        settings: The settings of the bridge, and the app's own.
        bindings: Fills inputs and sends outputs.
        outbox: By which code talks back.
        runtime: The clock, and new ids.
    """
    if app is None:
        if settings.function_app.folder is None:
            return []
        app = load_python_app(Path(settings.function_app.folder), settings.app_settings, {})
    from signalr_bridge.functions.python_function import PythonRunner

    limit = read_time_limit(app.host, settings.limits.handler_seconds)
    invoker = Invoker(PythonRunner(app.functions, outbox), bindings, runtime, limit)
    app_settings = AppSettings(settings.app_settings)
    return [sort_functions(app.descriptions, invoker, bindings, app.host, app_settings)]


_LoadCode = Callable[[], tuple[Callable[..., Any], str]]
"""Gives the code of a function and its folder. Raises ``SettingsError``."""


def _find_functions(folder: Path, script: str) -> list[tuple[FunctionDescription, _LoadCode]]:
    found = _load_v2(folder, script) if (folder / script).is_file() else _load_v1(folder)
    if not found:
        raise SettingsError(
            f"the folder '{folder.name}' has no function: it needs a {script} with functions, or a folder with a "
            "function.json for each of them.",
            setting=FOLDER_SETTING,
        )
    _check_unique([one for one, _ in found])
    return found


def _read(description: FunctionDescription, load: _LoadCode) -> "PythonFunction":
    from signalr_bridge.functions.python_function import read_function

    code, directory = load()
    return read_function(description, code, directory)


def _check_runtime(settings: AppSettings) -> None:
    runtime = settings.find(_RUNTIME).lower()
    if runtime not in {"", "python"}:
        raise SettingsError(
            f"the app is not written for Python, as its {_RUNTIME} says: only apps in Python run in the bridge. "
            "Run it beside the bridge, and set BRIDGE_FUNCTIONS__URL.",
            setting=FOLDER_SETTING,
        )


def _check_library() -> None:
    try:
        importlib.import_module("azure.functions")
    except ModuleNotFoundError:
        raise SettingsError(
            'function apps need Microsoft\'s library: pip install "signalr-bridge[functions]".', setting=FOLDER_SETTING
        ) from None


def _set_variables(folder: Path, variables: Mapping[str, str]) -> None:
    of_the_host = {_RUNTIME: "python", "AzureWebJobsScriptRoot": str(folder)}
    for name, text in (of_the_host | dict(variables)).items():
        if name and "=" not in name and "\0" not in name + text:
            os.environ.setdefault(name, text)


def _make_importable(folder: Path) -> None:
    """Put the app and its packages in front of installed packages, and behind the standard library."""
    wanted = [str(folder), str(folder / _PACKAGES)]
    sys.path[:] = [one for one in sys.path if one not in wanted]
    place = next((at for at, one in enumerate(sys.path) if Path(one).name in _INSTALLED), len(sys.path))
    sys.path[place:place] = wanted
    importlib.invalidate_caches()


@contextmanager
def _blame(what: str, folder: Path) -> Iterator[None]:
    """Say of what the code of an app raises where it was raised. Its text may hold a secret."""
    try:
        yield
    except _PASSED_ON:
        raise
    except BaseException as error:
        raise SettingsError(
            f"{what} cannot be loaded ({_explain(error, folder)}): "
            "are the app's packages installed, and does it run on its own?"
        ) from error


def _explain(error: BaseException, folder: Path) -> str:
    """What went wrong, and where in the app's own code. Elsewhere where it is known without."""
    lines = [one for one in extract_tb(error.__traceback__) if Path(one.filename).is_relative_to(folder)]
    if isinstance(error, SyntaxError | ImportError) or not lines:
        return explain_error(error)
    return f"{type(error).__name__}, {lines[-1].filename}, line {lines[-1].lineno}"


def _check_unique(functions: Sequence[FunctionDescription]) -> None:
    names = [one.name.lower() for one in functions]
    twice = next((one for one in functions if names.count(one.name.lower()) > 1), None)
    if twice is not None:
        raise SettingsError(f"{twice.source}: two functions are called '{twice.name}': rename one.")


def _import_file(name: str, path: Path) -> ModuleType:
    """The module of a file, under a name of its own, so that no other module of that name is taken for it."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SettingsError(f"{path.name} is not a Python file: its name ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _load_v2(folder: Path, script: str) -> list[tuple[FunctionDescription, _LoadCode]]:
    """The functions of the one ``FunctionApp`` in a module."""
    import azure.functions as func

    with _blame(script, folder):
        module = _import_file(Path(script).stem, folder / script)
    apps = {id(one): one for one in vars(module).values() if isinstance(one, func.FunctionRegister)}
    if len(apps) != 1:
        how_many = "no FunctionApp" if not apps else "more than one FunctionApp"
        raise SettingsError(f"{script} has {how_many}: write one, such as app = func.FunctionApp().")
    return [_describe(one, script, str(folder)) for one in _list_functions(script, *apps.values())]


def _list_functions(script: str, app: Any) -> Sequence[Any]:
    try:
        found: Sequence[Any] = app.get_functions()
    except ValueError as error:
        named = _NAME.match(str(error))
        which = f"the function '{named[1]}'" if named else "a function"
        raise SettingsError(
            f"{script}: {which} has no trigger, or another one has the same name: see to its decorators."
        ) from error
    return found


def _describe(function: Any, script: str, directory: str) -> tuple[FunctionDescription, _LoadCode]:
    name = str(function.get_function_name())
    description = read_description(json.loads(function.get_function_json()), name, script)
    code: Callable[..., Any] = function.get_user_function()
    return replace(description, entry_point=code.__name__), lambda: (code, directory)


def _load_v1(folder: Path) -> list[tuple[FunctionDescription, _LoadCode]]:
    """The functions with a ``function.json``. Their modules are in one package, as the worker has it."""
    for name in [one for one in sys.modules if one == _PACKAGE or one.startswith(f"{_PACKAGE}.")]:
        del sys.modules[name]
    package = ModuleType(_PACKAGE)
    package.__path__ = [str(folder)]
    sys.modules[_PACKAGE] = package
    return [(one, _make_loader(folder, one)) for one in read_functions(folder)]


def _make_loader(folder: Path, function: FunctionDescription) -> _LoadCode:
    return lambda: (_load_code(folder, function), str(folder / function.name))


def _load_code(folder: Path, function: FunctionDescription) -> Callable[..., Any]:
    script, entry = function.script_file or _V1_FILE, function.entry_point or _V1_ENTRY
    path = Path(os.path.normpath(folder / function.name / script))
    if path.suffix != ".py" or not path.is_relative_to(folder):
        raise SettingsError(f"{function.source}: its scriptFile is not a Python file (.py) of the app: write one.")
    if not path.is_file():
        raise SettingsError(f"{function.source}: its scriptFile is not there: write the name of a file of the app.")
    parts = path.relative_to(folder).with_suffix("").parts
    name = ".".join([_PACKAGE, *(parts[:-1] if path.name == _V1_FILE else parts)])
    with _blame(f"{function.source}: '{path.relative_to(folder)}'", folder):
        module = importlib.import_module(name)
    code: object = getattr(module, entry, None)
    if not callable(code):
        raise SettingsError(
            f"{function.source}: '{path.relative_to(folder)}' has no function '{entry}': write it, or an entryPoint."
        )
    return code

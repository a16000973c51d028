"""A function app as ``import`` finds it: which model it has, its functions, its settings, and what cannot be seen."""

import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import signalr_bridge
from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app_folder import HOST_FILE, HostFile, find_function_files, read_functions, read_host
from signalr_bridge.functions.app_process import MOST_SECONDS, AppProcess
from signalr_bridge.functions.description import FunctionDescription, read_description
from signalr_bridge.settings.files import read_file
from signalr_bridge.settings.value import Value, Values

LOCAL_SETTINGS = "local.settings.json"

_HERE = Path(__file__).parent
_JAVASCRIPT_SERVER = _HERE / "functions_node"
"""A link to ``deploy/functions-node``, which an installation has here."""
_PYTHON_FILE, _PYTHON_FILE_SETTING = "function_app.py", "python_script_file_name"
_NOT_FOR_THE_APP = ("bridge:", "bridge_", "host:", "connectionstrings:", f"{LOCAL_SETTINGS}:")
_COMPLAINT = re.compile(r"^functions-node: (cannot load [^:\n]{1,200}|no file matches '[^'\n]{1,200}')", re.MULTILINE)
_BUILD = ": build the app first (npm run build)"
_MISSING_PACKAGE = re.compile(r"Cannot find (?:module|package) '(@?[\w./-]{1,200})'")
_PYTHON_FUNCTION = re.compile(r"^@\w+\.(?!function_name\b)\w+\(.*?^(?:async )?def (\w+)", re.MULTILINE | re.DOTALL)
_JAVASCRIPT_FUNCTION = re.compile(r"\bapp\.\w+\(\s*['\"`]([A-Za-z][\w-]*)['\"`]")


class Model(StrEnum):
    """How an app is written, which decides what runs it."""

    PYTHON_V2 = "Python (function_app.py)"
    PYTHON_V1 = "Python (function.json)"
    NODE_V4 = "JavaScript (@azure/functions 4)"
    NODE_V3 = "JavaScript (function.json)"
    CUSTOM = "a custom handler"
    DOTNET = ".NET in-process"
    ISOLATED = ".NET isolated"
    JAVA = "Java"
    POWERSHELL = "PowerShell"
    UNKNOWN = "unknown"

    @property
    def is_python(self) -> bool:
        return self in {Model.PYTHON_V1, Model.PYTHON_V2}

    @property
    def is_javascript(self) -> bool:
        return self in {Model.NODE_V3, Model.NODE_V4}

    @property
    def runs_here(self) -> bool:
        """Whether the bridge runs its functions, or calls the program that does."""
        return self.is_python or self.is_javascript or self is Model.CUSTOM


_OF_RUNTIME = {
    "custom": Model.CUSTOM,
    "dotnet": Model.DOTNET,
    "dotnet-isolated": Model.ISOLATED,
    "java": Model.JAVA,
    "powershell": Model.POWERSHELL,
}
_OF_FILES = (("pom.xml", Model.JAVA), ("*.gradle*", Model.JAVA))
_PROJECTS = ("*.csproj", "*.fsproj")
_EXTENSIONS = "extensions.csproj"
"""What ``func extensions install`` writes into apps of every language."""
_ISOLATED = "Microsoft.Azure.Functions.Worker"
_OF_SCRIPT = {
    ".py": Model.PYTHON_V1,
    ".dll": Model.DOTNET,
    ".jar": Model.JAVA,
    ".ps1": Model.POWERSHELL,
    **dict.fromkeys((".js", ".mjs", ".cjs", ".ts"), Model.NODE_V3),
}


@dataclass(frozen=True, slots=True)
class ImportedApp:
    """A function app.

    Attributes:
        folder: Where it is, as it was named.
        model: How it is written.
        host: What its ``host.json`` says.
        settings: Those of its ``local.settings.json``. They may hold secrets.
        functions: Those that could be seen.
        unseen: The names of those that are in the code and were not loaded, as far as the code shows them.
        troubles: Sentences about what could not be loaded.
    """

    folder: Path
    model: Model
    host: HostFile
    settings: Values = field(default_factory=dict, repr=False)
    functions: Sequence[FunctionDescription] = ()
    unseen: Sequence[str] = ()
    troubles: Sequence[str] = ()

    @property
    def has_settings(self) -> bool:
        """Whether it has a ``local.settings.json``."""
        return (self.folder / LOCAL_SETTINGS).is_file()


def read_app(folder: Path, *, run: bool = True, seconds: float = MOST_SECONDS) -> ImportedApp:
    """The app in a folder.

    Args:
        folder: The folder with its ``host.json``.
        run: Whether the app may be loaded, in a process of its own, where its files do not say which functions it has.
        seconds: How long loading may take.

    Raises:
        SettingsError: There is no such folder, a file cannot be read, or the app cannot be loaded.
    """
    if not folder.is_dir():
        raise SettingsError(f"'{folder}' is no folder: name the one with the app's {HOST_FILE}.")
    host = read_host(folder)
    local = folder / LOCAL_SETTINGS
    settings = read_file(local) if local.is_file() else {}
    described = read_functions(folder)
    model = find_model(folder, host, settings, described)
    app = ImportedApp(folder, model, host, settings, described)
    if model in {Model.PYTHON_V2, Model.NODE_V4}:
        return _load(app, seconds) if run else _look(app)
    return app


def find_model(folder: Path, host: HostFile, settings: Values, described: Sequence[FunctionDescription]) -> Model:
    """How an app is written, by what it says itself, and else by its files."""
    if host.custom_handler is not None:
        return Model.CUSTOM
    runtime = _read_text(settings, "functions_worker_runtime").lower()
    if runtime in _OF_RUNTIME:
        return _OF_RUNTIME[runtime]
    is_v2 = (folder / (_read_text(settings, _PYTHON_FILE_SETTING) or _PYTHON_FILE)).is_file()
    if runtime == "python" or (not runtime and is_v2):
        return Model.PYTHON_V2 if is_v2 else Model.PYTHON_V1
    if runtime == "node":
        return _find_javascript_model(folder, described)
    for pattern, model in _OF_FILES:
        if any(folder.glob(pattern)):
            return model
    projects = [one for pattern in _PROJECTS for one in folder.glob(pattern) if one.name.lower() != _EXTENSIONS]
    if projects:
        is_isolated = any(_ISOLATED in one.read_text("utf-8", "replace") for one in projects)
        return Model.ISOLATED if is_isolated else Model.DOTNET
    scripts = [_find_script_model(folder, one) for one in described]
    found = next((one for one in scripts if one is not None), None)
    if found is Model.NODE_V3 or (found is None and (folder / "package.json").is_file()):
        return _find_javascript_model(folder, described)
    return found or Model.UNKNOWN


def _read_text(settings: Values, name: str) -> str:
    found = settings.get(name)
    return "" if found is None else found.text


def _find_script_model(folder: Path, function: FunctionDescription) -> Model | None:
    if function.script_file:
        return _OF_SCRIPT.get(Path(function.script_file).suffix.lower())
    files = sorted((folder / function.name).iterdir())
    return next((_OF_SCRIPT[one.suffix] for one in files if one.suffix in _OF_SCRIPT), None)


def _find_javascript_model(folder: Path, described: Sequence[FunctionDescription]) -> Model:
    """A v4 app has a main that registers functions. ``npm init`` writes one into a v3 app, too."""
    return Model.NODE_V3 if described else Model.NODE_V4


def _look(app: ImportedApp) -> ImportedApp:
    """The app without loading it. The names of functions are what its code shows at a glance."""
    names: dict[str, None] = {}
    pattern, files = (
        _JAVASCRIPT_FUNCTION,
        sorted(app.folder.glob("src/**/*.[jt]s")) or sorted(app.folder.glob("*.[jt]s")),
    )
    if app.model is Model.PYTHON_V2:
        pattern, files = _PYTHON_FUNCTION, sorted(app.folder.glob("*.py"))
    for path in files:
        text = path.read_text("utf-8", "replace")
        names |= dict.fromkeys(pattern.findall(text))
    return ImportedApp(app.folder, app.model, app.host, app.settings, app.functions, tuple(names))


def _load(app: ImportedApp, seconds: float) -> ImportedApp:
    process = AppProcess(app.folder.resolve(), _list_environment(app.settings), seconds)
    functions, troubles = _load_python(process) if app.model is Model.PYTHON_V2 else _load_javascript(app, process)
    return ImportedApp(app.folder, app.model, app.host, app.settings, functions, (), troubles)


def _list_environment(settings: Values) -> Mapping[str, str]:
    """What the Functions host puts into the environment of an app: its ``Values``."""
    return {
        one.written: one.text
        for name, one in settings.items()
        if not name.startswith(_NOT_FOR_THE_APP) and _is_variable(one)
    }


def _is_variable(value: Value) -> bool:
    return "=" not in value.written and "\0" not in value.written + value.text


def _load_python(process: AppProcess) -> tuple[Sequence[FunctionDescription], Sequence[str]]:
    command = [sys.executable, "-P", "-m", "signalr_bridge.functions.python_listing", "."]
    package = str(Path(signalr_bridge.__file__).parents[1])
    printed = process.run(command, {"PYTHONPATH": package, "PYTHONDONTWRITEBYTECODE": "1"})
    listed = _read_list(printed.output)
    if isinstance(listed, str):
        raise SettingsError(f"The app cannot be loaded: {listed}")
    return listed, ()


def _load_javascript(app: ImportedApp, process: AppProcess) -> tuple[Sequence[FunctionDescription], Sequence[str]]:
    node = shutil.which("node")
    if node is None:
        raise SettingsError(
            "JavaScript apps are loaded by Node 20 or newer, which is not here: install it, or --no-run."
        )
    printed = process.run([node, str(_JAVASCRIPT_SERVER), ".", "--list"])
    said = printed.complaints.decode("utf-8", "replace")
    troubles = [f"{one}{_BUILD if one.startswith('no file') else ''}." for one in _COMPLAINT.findall(said)]
    troubles += [f"the package '{one}' is not there: npm install." for one in _MISSING_PACKAGE.findall(said)]
    troubles = list(dict.fromkeys(troubles))
    listed = _read_list(printed.output) if printed.code == 0 else ""
    if isinstance(listed, str):
        raise SettingsError(
            " ".join(["The app cannot be loaded.", *(f"{one[0].upper()}{one[1:]}" for one in troubles)])
        )
    return listed, troubles


def _read_list(text: bytes) -> list[FunctionDescription] | str:
    """The functions in a list of ``function.json`` objects, or why there is none."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return "its process ended without a list of functions."
    if isinstance(document, dict):
        return str(document.get("error") or "its process printed no list of functions.")
    if not isinstance(document, list) or not all(isinstance(one, dict) for one in document):
        return "its process printed no list of functions."
    return [read_description(one, str(one.get("name") or ""), _name_source(one)) for one in document]


def _name_source(document: Mapping[str, object]) -> str:
    found = document.get("source") or document.get("scriptFile") or document.get("name")
    return str(found)


def find_missing_scripts(app: ImportedApp) -> list[str]:
    """The files with code that ``function.json`` files name and that are not there."""
    folders = {path.parent.name: path.parent for path in find_function_files(app.folder)}
    named = [
        (one, folders[one.name] / one.script_file) for one in app.functions if one.script_file and one.name in folders
    ]
    return [one.name for one, path in named if not path.is_file()]

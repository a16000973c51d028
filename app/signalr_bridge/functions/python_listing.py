"""A process of its own that loads a Python app and prints its functions as a JSON list: ``import`` starts it.

What cannot be loaded is printed as an object with its ``error``.
"""

import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.description import FunctionDescription
from signalr_bridge.functions.python_app import load_python_app


def describe_app(folder: Path) -> object:
    """The functions of the app in a folder, each as its ``function.json``, or an object with an ``error``."""
    try:
        with redirect_stdout(sys.stderr):  # what the app itself prints is not a part of the list
            app = load_python_app(folder, os.environ, {})
    except SettingsError as error:
        return {"error": error.sentence}
    return [_describe(one) for one in app.descriptions]


def _describe(function: FunctionDescription) -> dict[str, object]:
    return {
        "name": function.name,
        "source": function.source,
        "scriptFile": function.script_file,
        "entryPoint": function.entry_point,
        "disabled": function.is_disabled,
        "bindings": [dict(one.properties) for one in function.bindings],
    }


if __name__ == "__main__":
    print(json.dumps(describe_app(Path(sys.argv[1]))))

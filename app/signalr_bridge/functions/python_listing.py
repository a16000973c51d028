"""A process of its own that loads a Python app and prints its functions as a JSON list: ``import`` starts it.

What cannot be loaded is printed as an object with its ``error``.
"""

import json
import os
import sys
from pathlib import Path

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.description import FunctionDescription
from signalr_bridge.functions.python_app import load_python_app


def main() -> None:
    """Print the functions of the app in the folder that is the argument, and end whatever the app goes on with."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as output:
        os.dup2(2, 1)  # what the app itself prints is not a part of the list
        output.write(json.dumps(describe_app(Path(sys.argv[1]))))
        output.flush()
        os._exit(0)  # threads that the app has started would keep the process


def describe_app(folder: Path) -> object:
    """The functions of the app in a folder, each as its ``function.json``, or an object with an ``error``."""
    try:
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
        "disabled": function.disabled_by or function.is_disabled,
        "bindings": [dict(one.properties) for one in function.bindings],
    }


if __name__ == "__main__":
    main()

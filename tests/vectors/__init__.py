"""Values from outside: what other programs and the specification say, against which our own code is held."""

import json
import tomllib
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


def read_vectors(name: str) -> Any:
    """The content of ``<name>.toml`` or ``<name>.json`` beside this file; each says where its values come from."""
    toml = _HERE / f"{name}.toml"
    if toml.exists():
        return tomllib.loads(toml.read_text("utf-8"))
    return json.loads((_HERE / f"{name}.json").read_text("utf-8"))

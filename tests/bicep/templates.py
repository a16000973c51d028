"""The Bicep templates as pycep reads them, and what they come to for given parameters.

pycep writes a name and a text alike. A text that is a name in its scope is taken for the name, so that templates must
not use such texts. The names of resources stand for what a test says of them.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

import pycep

from tests.shape.tree import ROOT

FOLDER = ROOT / "deploy" / "bicep"
TENANT = "99999999-9999-9999-9999-999999999999"
GROUP = {"id": "/subscriptions/s/resourceGroups/g", "location": "westeurope"}
_INTERPOLATION = re.compile(r"\$\{([^{}]*)\}")

Scope = Mapping[str, Any]


@cache
def read_template(name: str) -> Any:
    """The tree of a template, which pycep could parse."""
    return pycep.BicepParser().parse(text=(FOLDER / name).read_text("utf-8"))


def open_scope(name: str, given: Scope) -> dict[str, Any]:
    """The parameters with their defaults, and the variables. ``given`` has parameters and what resources are."""
    tree = read_template(name)
    scope: dict[str, Any] = dict(given)
    for key, one in tree["parameters"].items():
        if key not in scope:
            assert one["default"] is not None, f"{name} needs {key}"
            scope[key] = evaluate(one["default"], scope)
    for key, one in tree.get("variables", {}).items():
        scope[key] = evaluate(one["value"], scope)
    return scope


def render(name: str, given: Scope) -> dict[str, Any]:
    """The resources of a template that are there with these parameters."""
    scope = open_scope(name, given)
    found = {key: evaluate_if(one["config"], scope) for key, one in read_template(name)["resources"].items()}
    return {key: one for key, one in found.items() if one is not None}


def evaluate_if(config: Any, scope: Scope) -> Any:
    """None for what has a condition that does not hold."""
    if set(config) != {"condition", "config"}:
        return evaluate(config, scope)
    return evaluate(config["config"], scope) if evaluate(config["condition"], scope) else None


def evaluate(node: Any, scope: Scope) -> Any:
    """The value of a part of the tree."""
    if isinstance(node, list):
        return [evaluate(one, scope) for one in node]
    if isinstance(node, str):
        return scope[node] if node in scope else _interpolate(node, scope)
    if not isinstance(node, dict):
        return node
    if "loop_type" in node:
        return list(_loop(node, scope))
    if "operator" in node:
        return _operate(node["operator"]["type"], node["operator"]["operands"], scope)
    if "function" in node:
        return _call(node["function"]["type"], list(node["function"].get("parameters", {}).values()), scope)
    return {_interpolate(key.strip("'"), scope): evaluate(one, scope) for key, one in node.items()}


def _interpolate(text: str, scope: Scope) -> str:
    return _INTERPOLATION.sub(lambda match: str(_follow(match[1], scope)), text)


def _follow(path: str, scope: Scope) -> Any:
    value: Any = scope
    for name in path.replace("!", "").split("."):
        value = value[name]
    return value


def _loop(node: Any, scope: Scope) -> Iterator[Any]:
    detail = node["loop_type"]["detail"]
    for index, item in enumerate(scope[detail["array_name"]]):
        counted = {detail["index_name"]: index} if "index_name" in detail else {}
        yield evaluate(node["config"], {**scope, detail["item_name"]: item, **counted})


def _operate(kind: str, operands: Any, scope: Scope) -> Any:
    values = list(operands.values())
    if kind == "property_accessor":
        return _access(evaluate(values[0], scope), values[1], scope)
    if kind == "function_accessor":
        return evaluate(values[0], scope)[operands["func_name"]]
    if kind == "conditional":
        return evaluate(values[1] if evaluate(values[0], scope) else values[2], scope)
    first, *rest = (evaluate(one, scope) for one in values)
    operations: Mapping[str, Callable[[], Any]] = {
        "index_accessor": lambda: first[rest[0]],
        "not": lambda: not first,
        "or": lambda: first or rest[0],
    }
    return operations[kind]()


def _access(value: Any, path: Any, scope: Scope) -> Any:
    """pycep reads `a.b.c` as `a.(b.c)`, and `a.?b ?? c` as `a.?(b ?? c)`."""
    if isinstance(path, str):
        return value[path]
    first, second = path["operator"]["operands"].values()
    if path["operator"]["type"] == "coalesce":
        return value[first] if first in value else evaluate(second, scope)
    return _access(value[first], second, scope)


def _call(name: str, nodes: list[Any], scope: Scope) -> Any:
    arguments = [_make_lambda(one, scope) for one in nodes if one is not None]
    return _FUNCTIONS[name](*arguments)


def _make_lambda(node: Any, scope: Scope) -> Any:
    if isinstance(node, dict) and node.get("type") == "lambda_expression":
        detail = node["detail"]
        return lambda item: evaluate(detail["expression"], {**scope, detail["var_1"]: item})
    return evaluate(node, scope)


def _write_text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")) if isinstance(value, (list, dict)) else str(value)


def _merge(*objects: Mapping[str, Any]) -> dict[str, Any]:
    return {key: one for each in objects for key, one in each.items()}


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "concat": lambda *lists: [one for each in lists for one in each],
    "contains": lambda container, item: item in container,
    "empty": lambda value: not value,
    "filter": lambda items, keeps: [one for one in items if keeps(one)],
    "flatten": lambda lists: [one for each in lists for one in each],
    "guid": lambda *texts: ":".join(texts),
    "items": lambda given: [{"key": key, "value": value} for key, value in sorted(given.items())],
    "join": lambda items, separator: separator.join(items),
    "json": float,
    "map": lambda items, change: [change(one) for one in items],
    "resource_group": lambda *_: GROUP,
    "string": _write_text,
    "subscription_resource_id": lambda *parts: "/".join(parts),
    "take": lambda text, length: text[:length],
    "tenant": lambda: {"tenantId": TENANT},
    "union": _merge,
    "unique_string": lambda *_: "abcdefghijklm",
    "uri_component": lambda text: quote(text, safe="-._~!*'()"),
}

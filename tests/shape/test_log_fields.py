"""Every field of a log line has one name, and one spelling: whoever searches a log learns each once."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shape.tree import APP, modules

FIELDS = {
    # What a line is about.
    "address",
    "backend",
    "caller",
    "category",
    "connection",
    "clients",
    "credential",
    "endpoint",
    "endpoint_type",
    "event",
    "function",
    "handler",
    "handlers",
    "hub",
    "issuer",
    "operation",
    "output",
    "request_id",
    "user",  # not the user id
    "version",
    "webhook_id",
    # What happened.
    "changes",
    "count",
    "error",  # the name of an exception's class, nothing else
    "given_up",
    "line",
    "method",
    "milliseconds",
    "outcomes",
    "path",
    "reason",
    "result",
    "settings",
    "status",
    "what",
    "who",
}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log", "makeRecord"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def log_calls(tree: ast.AST) -> Iterator[tuple[Function, ast.expr]]:
    """The fields of every call of a logger, with the function that makes it."""
    for function in functions(tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                yield from ((function, one.value) for one in node.keywords if one.arg == "extra")


def field_names(expression: ast.expr, function: Function) -> Iterator[str]:
    """The names in dictionaries that are written down, also in variables of the function. ``ValueError`` for others."""
    match expression:
        case ast.Dict(keys=keys):
            for key in keys:
                if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                    raise ValueError(f"line {expression.lineno}: a field's name is not written down")
                yield key.value
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from field_names(left, function)
            yield from field_names(right, function)
        case ast.IfExp(body=left, orelse=right):
            yield from field_names(left, function)
            yield from field_names(right, function)
        case ast.Name(id=name):
            values = list(assigned(name, function))
            if not values:
                raise ValueError(f"line {expression.lineno}: '{name}' is not made in this function")
            for value in values:
                yield from field_names(value, function)
        case _:
            raise ValueError(f"line {expression.lineno}: the fields are not written down")


def assigned(name: str, function: Function) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                yield value
            case ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value) if found == name:
                yield value
            case ast.AugAssign(target=ast.Name(id=found), value=value) if found == name:
                yield value


def all_names(source: str) -> set[str]:
    return {name for function, extra in log_calls(ast.parse(source)) for name in field_names(extra, function)}


@pytest.mark.parametrize("module", modules(), ids=lambda path: path.relative_to(APP).as_posix())
def test_log_fields_are_those_we_know(module: Path) -> None:
    assert all_names(module.read_text("utf-8")) - FIELDS == set()


def test_every_known_field_is_logged_somewhere() -> None:
    assert {name for module in modules() for name in all_names(module.read_text("utf-8"))} == FIELDS


@pytest.mark.parametrize(
    "fields",
    [
        'log.info("x", extra={"why": 1})',
        'log.info("x", extra={"hub": 1} | {"why": 1})',
        'log.info("x", extra={"why": 1} if now else {})',
        'extra = {"hub": 1}; extra |= {"why": 1}; log.log(1, "x", extra=extra)',
    ],
)
def test_a_name_is_found_wherever_it_is_written(fields: str) -> None:
    assert "why" in all_names(f"def f(): {fields}")


@pytest.mark.parametrize("fields", ["make()", "{name: 1}", "{**more}", "given"])
def test_fields_that_nobody_can_read_here_are_refused(fields: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        all_names(f'def f(given): log.info("x", extra={fields})')


def logger_names(tree: ast.Module) -> Iterator[str]:
    """What the loggers that a module makes for itself are called."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Attribute(attr="getLogger"))):
                yield name


@pytest.mark.parametrize("module", modules(), ids=lambda path: path.relative_to(APP).as_posix())
def test_a_modules_logger_is_called_log(module: Path) -> None:
    names = list(logger_names(ast.parse(module.read_text("utf-8"))))
    assert [name for name in names if not name.startswith("_LOG")] == []
    assert names.count("_LOG") <= 1

"""The README says what the code says: the tree of modules, and the table of errors."""

import re

import pytest
from signalr_bridge import errors
from signalr_bridge.errors import BridgeError

from tests.shape.tree import ROOT, tree_lines

# What a caller may meet. Whoever changes a line here changes the HTTP interface.
CONTRACT = {
    400: "malformed-json invalid-name invalid-query invalid-header token-too-long confirmation-required "
    "invalid-continuation-token",
    401: "unauthenticated",
    403: "forbidden",
    404: "route-not-found hub-not-found no-default-hub connection-not-found not-present no-handler",
    405: "method-not-allowed",
    409: "idempotency-in-progress",
    413: "body-too-large",
    415: "unsupported-media-type",
    422: "invalid-item unknown-property unknown-endpoint invalid-name reserved-claim url-too-long idempotency-mismatch",
    429: "rate-limited",
    500: "internal-error",
    502: "delivery-failed invoke-failed",
    503: "no-endpoint-available throttled overloaded credential-insufficient negotiate-failed shutting-down "
    "not-started",
    504: "delivery-unknown client-timeout",
}
LISTED = {(status, code) for status, codes in CONTRACT.items() for code in codes.split()}
# Never an answer under their own code: translated (malformed-json, forbidden), a completion's text, start-up only, or
# raised to an author outside any event.
UNLISTED = {(400, "malformed-message"), (403, "rejected"), (200, "hub-error"), (500, "bad-settings")}
UNLISTED |= {(503, "not-running")}


def kinds() -> list[type[BridgeError]]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BridgeError)]


def readme() -> str:
    return (ROOT / "README.md").read_text("utf-8")


def error_table() -> dict[str, set[int]]:
    """Of every table row that begins with a code and a status (in either order): the code's statuses."""
    table: dict[str, set[int]] = {}
    for line in readme().splitlines():
        cells = "|".join(line.split("|")[1:3])
        codes, statuses = re.findall(r"`([a-z]+(?:-[a-z]+)*)`", cells), re.findall(r"\b[1-5]\d\d\b", cells)
        if line.startswith("|") and len(codes) == 1 and statuses:
            table.setdefault(codes[0], set()).update(map(int, statuses))
    return table


def test_the_tree_in_the_readme_is_made_of_the_modules_first_lines() -> None:
    block = re.search(r"^## The tree\n.*?^```\w*\n(.*?)^```", readme(), re.MULTILINE | re.DOTALL)
    assert block is not None, "README.md has no fenced block after the heading '## The tree'"
    wanted = "\n".join(tree_lines())
    if block[1].rstrip("\n") != wanted:
        pytest.fail(f"paste this (python -m tests.shape.tree):\n{wanted}", pytrace=False)


def test_codes_and_statuses_are_those_of_the_contract() -> None:
    assert {(kind.status, kind.code) for kind in kinds()} - LISTED - UNLISTED == set()


def test_every_error_that_becomes_an_answer_has_a_row_in_the_readme() -> None:
    answers = {kind.code: kind.status for kind in kinds() if (kind.status, kind.code) in LISTED}
    table = error_table()
    assert set(answers) - set(table) == set(), "without a row: | `code` | status | ... |"
    assert {code for code, status in answers.items() if status not in table[code]} == set(), "with another status"


def test_every_row_in_the_readme_is_an_error() -> None:
    assert set(error_table()) - {kind.code for kind in kinds() if (kind.status, kind.code) in LISTED} == set()

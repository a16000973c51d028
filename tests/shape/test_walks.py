"""One request runs through few of our files: a reader follows it without losing the thread."""

import re

import pytest

from tests.shape.test_product import run

MOST = {"send": 31, "negotiate": 31, "upstream to Python": 25, "upstream to HTTP": 40}


@pytest.fixture(scope="module")
def walks() -> dict[str, list[str]]:
    """In a process of its own: whatever other tests have set, the log is off."""
    found: dict[str, list[str]] = {}
    files: list[str] = []
    for line in run("-m", "tests.shape.walks", "--files").splitlines():
        if (heading := re.fullmatch(r"(\w[\w ]*): (\d+)", line)) is not None:
            found[heading[1]] = files = []
        else:
            files.append(line.strip())
    return found


def test_a_request_runs_through_few_files(walks: dict[str, list[str]]) -> None:
    assert set(walks) == set(MOST)
    assert {name: files for name, files in walks.items() if len(files) > MOST[name]} == {}


def test_the_measure_sees_what_runs_and_nothing_else(walks: dict[str, list[str]]) -> None:
    assert {"wire/http_protocol.py", "outbound/sender.py", "endpoints/rest_transport.py"} <= set(walks["send"])
    assert {"upstream/python/handler.py", "upstream/receiver.py"} <= set(walks["upstream to Python"])
    assert {"upstream/forward/forward.py", "outbound/sender.py"} <= set(walks["upstream to HTTP"])
    assert not {file for file in walks["send"] if file.startswith(("negotiate/", "upstream/python/"))}
    assert not {file for file in walks["negotiate"] if file.startswith("outbound/")}

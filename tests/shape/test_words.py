"""Names are the field's: no module, class, function or log field bears a word that a standard term has replaced."""

from pathlib import Path

import pytest

from tests.shape.tree import APP, ROOT, modules
from tests.shape.words import Name, find_names, find_words, is_replaced


def test_no_name_bears_a_word_that_was_replaced() -> None:
    names = [name for module in modules() for name in find_names(module)]
    assert len(names) > 500
    assert [f"{name.place}: {name.kind} {name.text}" for name in names if is_replaced(name)] == []


def test_nor_does_a_name_among_the_tests() -> None:
    modules = sorted((ROOT / "tests").rglob("*.py"))
    names = [name for module in modules for name in find_names(module) if name.kind != "log field"]
    assert len(names) > 2000
    assert [f"{name.place}: {name.kind} {name.text}" for name in names if is_replaced(name)] == []


def test_some_words_stand_nowhere() -> None:
    texts = [*modules(), *(path for suffix in ("js", "html", "css") for path in (APP / "page").glob(f"*.{suffix}"))]
    found = [(path, *one) for path in texts for one in find_words(path.read_text("utf-8"))]
    assert [f"{path.relative_to(ROOT)}:{number}: {word}" for path, number, word in found] == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("class", "Voucher"),
        ("class", "EndpointFleet"),
        ("class", "Keys"),
        ("module", "order"),
        ("class", "NeverArrived"),
        ("function", "_vouch_for"),
        ("function", "is_held"),
        ("test function", "test_a_door_is_shut"),
        ("log field", "mistakes"),
    ],
)
def test_a_word_that_was_replaced_is_seen(kind: str, text: str) -> None:
    assert is_replaced(Name(kind, text, "x:1"))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("class", "KeyRotation"),
        ("class", "IssuerKeys"),
        ("class", "ObjectReader"),
        ("class", "UpstreamAuthenticator"),
        ("function", "keys"),
        ("test function", "test_no_log_and_no_answer_holds_one"),
        ("function", "acknowledge"),
        ("log field", "event"),
    ],
)
def test_another_name_is_not(kind: str, text: str) -> None:
    assert not is_replaced(Name(kind, text, "x:1"))


def test_names_and_words_are_found_where_they_stand(tmp_path: Path) -> None:
    module = tmp_path / "seal.py"
    text = (
        'class A:\n    """It vouches."""\n\n    def b(self):\n'
        '        fields = {"e": 2}\n        LOG.info("c", extra=fields | {"d": 1})  # a HeldSeal\n'
    )
    module.write_text(text, "utf-8")
    places = [(name.kind, name.text, name.place) for name in find_names(module)]
    assert places == [
        ("module", "seal", "seal.py:1"),
        ("class", "A", "seal.py:1"),
        ("function", "b", "seal.py:4"),
        ("log field", "e", "seal.py:5"),
        ("log field", "d", "seal.py:6"),
    ]
    assert list(find_words(text)) == [(2, "vouches"), (6, "seal")]

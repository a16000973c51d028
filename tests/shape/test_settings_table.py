"""The README's table of settings is that of the model."""

from signalr_bridge.settings.names import settings_below, settings_by_path

from tests.shape.settings_table import BLOCK, README, table_lines, written


def test_the_table_in_the_readme_is_made_of_the_model() -> None:
    readme = README.read_text("utf-8")
    assert BLOCK.search(readme) is not None
    assert readme == written(readme), "run: python -m tests.shape.settings_table"


def test_every_setting_says_what_it_means() -> None:
    fields = [*settings_by_path().items(), *settings_below("hubs").items(), *settings_below("forward").items()]
    assert [path for path, field in fields if not field.description] == []


def test_a_row_is_a_name_a_default_and_a_meaning() -> None:
    lines = table_lines()
    assert "| `BRIDGE_PORT` | `8080` | port to listen on |" in lines
    assert "| `BRIDGE_DOCS` | `false` | serve `/docs` and `/openapi.json` |" in lines
    assert "| `BRIDGE_FORWARD__<NAME>__UNSIGNED` | `false` | post without a signature |" in lines
    assert any(line.startswith("| `BRIDGE_FORWARD__<NAME>__URL` | required | where to post") for line in lines)
    assert "| `BRIDGE_HUBS__<HUB>__NEGOTIATE__...` | | as `BRIDGE_NEGOTIATE__...`, for one hub |" in lines
    assert any(line.startswith("| `BRIDGE_UPSTREAM__CODE`") and line.endswith(" (live) |") for line in lines)
    assert {line.count("|") for line in lines} == {4}

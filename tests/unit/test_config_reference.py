"""The reference page, and that the table of settings covers every field of the settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from callsheet.config import reference_page
from callsheet.config.setting_table import SETTINGS, TABLES, Setting, of_section, of_table
from callsheet.settings import Settings, ToolkitSettings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_committed_page_is_what_the_table_renders() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page.render(), (
        "run: python -m callsheet.config.reference_page > docs/configuration.md"
    )


def test_every_table_has_its_sentence_on_the_page() -> None:
    assert set(reference_page.MEANINGS) == set(TABLES)


@pytest.mark.parametrize("table", sorted(reference_page.HOLDERS))
def test_every_field_can_be_set(table: str) -> None:
    """A field that no setting fills would be one that operators can't reach."""
    holder = reference_page.HOLDERS[table]
    built = {"source", "legacy", "name", "secret_variables", "login"}  # by the reader, of where and what it read
    nested = {Settings: {"sites", "log", "mail", "retry", "plugins", "toolkit"}, ToolkitSettings: {"projects"}}.get(holder, set())
    tables = ("", "crew") if holder is Settings else (table,)
    fields = {one.name for one in dataclasses.fields(holder)} - built - nested
    assert {setting.to for name in tables for setting in of_table(name).values()} - {None} == fields


def test_no_two_settings_share_an_option_of_the_conf() -> None:
    options = [(section, option.lower()) for section, option in (one.conf for one in SETTINGS if one.conf)]
    assert len(options) == len(set(options))
    assert set(of_section("shotgun")) == {"server", "name", "key", "proxy_server", "use_session_uuid"}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: f"{one.table}.{one.key}")
def test_an_example_shows_a_value_as_both_files_write_it(setting: Setting) -> None:
    assert setting in SETTINGS
    written = setting.written(conf=True)
    assert '"' not in written
    assert setting.key in setting.written(conf=False)

"""Keys that a person has chosen, and the file they are in."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import MachineError
from hvtui import settings
from hvtui.actions import ACTIONS, find
from hvtui.bindings import as_keymap, bindings
from hvtui.keymap import OF_PANES, Keymap, KeymapError, key_name, keymap, label


@pytest.mark.parametrize(
    ("written", "name"),
    [("x", "x"), ("X", "X"), ("?", "question_mark"), ("F7", "f7"), ("ctrl+x", "ctrl+x"), ("ctrl+X", "ctrl+x"),
     ("space", "space"), (" ", "space"), ("alt+.", "alt+full_stop"), ("+", "plus"), ("shift+tab", "shift+tab"),
     ("full_stop", "full_stop")],
)  # fmt: skip
def test_names_of_keys(written: str, name: str) -> None:
    assert key_name(written) == name


@pytest.mark.parametrize("written", ["", "xy", "f25", "ctrl+", "hyper+x", "ä"])
def test_no_keys(written: str) -> None:
    with pytest.raises(KeymapError, match=r"expected a key like"):
        key_name(written)


def test_labels_are_read_back() -> None:
    for action in ACTIONS:
        for key in action.keys:
            assert key_name(label(key)) == key


def test_usual_keys_are_unique_and_leave_those_of_tables_alone() -> None:
    keys = [key for key, _, _ in Keymap().bound()]
    assert len(keys) == len(set(keys))
    assert OF_PANES.isdisjoint(keys)


def test_chosen_keys_replace_those_of_the_registry() -> None:
    chosen = keymap({"step": ["F7", "ctrl+n"], "run-to-trap": "S"})
    assert chosen.label(find("step")) == "f7, ctrl+n"
    assert chosen.first(find("run_to_trap")) == "S"
    assert chosen.first(find("next")) == "n"
    assert as_keymap(chosen) == {"step": "f7,ctrl+n", "run_to_trap": "S"}


def test_places_of_an_action_can_be_chosen_one_by_one() -> None:
    chosen = keymap({"screen": ["f2", "f3"]})
    changed = as_keymap(chosen)
    assert changed["screen-1"] == "f2"
    assert changed["screen-2"] == "f3"
    assert "3" not in changed["screen-3"].split(",")
    assert len(set(changed.values())) == len(find("screen").keys)
    assert set(changed) <= {binding.id for binding in bindings()}


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"fly": "x"}, "fly: expected the name of an action (unknown)"),
        ({"step": "nokey"}, "step: expected a key like"),
        ({"step": "enter"}, "step: expected another key than enter, which tables use"),
        ({"step": "i"}, "expected a key of its own (got i, the key of step)"),
        ({"step": "f7", "next": "f7"}, "next: expected a key of its own (got f7, the key of step)"),
    ],
)
def test_wrong_keys_are_refused_in_a_line(chosen: dict[str, str | list[str]], words: str) -> None:
    with pytest.raises(KeymapError) as told:
        keymap(chosen)
    assert words in str(told.value)


def test_two_actions_may_swap_keys() -> None:
    chosen = keymap({"step": "n", "next": "s"})
    assert chosen.first(find("step")) == "n"


# --- the file ---------------------------------------------------------------------------------------


def test_no_file_is_the_usual(tmp_path: Path) -> None:
    assert settings.load(tmp_path / "none.toml") == settings.Settings()


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('theme = "contrast"\n[keys]\nstep = "f7"\n')
    found = settings.load(file)
    assert found.theme == "contrast"
    assert found.keymap.first(find("step")) == "f7"


def test_what_is_printed_is_read_back() -> None:
    printed = settings.as_toml(settings.Settings("light", keymap({"step": "f7"})))
    found = settings.parse(printed)
    assert found.theme == "light"
    assert {action.name: found.keymap.keys(action) for action in ACTIONS} == {
        action.name: keymap({"step": "f7"}).keys(action) for action in ACTIONS
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("theme = 3", "Expected `str`, got `int`"),
        ('theme = "pink"', "theme: expected hvtui, colour-blind, contrast, light (got 'pink')"),
        ("colour = 1", "unknown field `colour`"),
        ('[keys]\nstep = "i"', "keys.inject: expected a key of its own"),
        ("[keys", "Expected ']'"),
    ],
)
def test_a_bad_file_is_refused_in_a_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(MachineError) as told:
        settings.load(file)
    assert str(told.value).startswith(f"{file}: ")
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert settings.path() == tmp_path / "hvtui" / "config.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings.path() == tmp_path / ".config" / "hvtui" / "config.toml"

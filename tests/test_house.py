"""The figures of the house are counted rightly, on small trees whose answer can be seen."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from house import Figure
from house_imports import House, between_rooms, circles, longest_chain, room_of
from house_source import Source, is_annotated, reads_of
from house_walls import arrows_up, floor_of, strangers_that_meet

TEXT = '''
"""A file."""
# a comment


def long(
    a: int, *, b: str = ""
) -> str:
    """Say it.

    In more words.
    """
    # a comment
    def inner() -> None:
        """A word."""

    text = """
    three lines
    """

    return text + b


class Public:
    def shown(self, a, *rest: int) -> None: ...
    def _hidden(self) -> None: ...


def _private() -> None: ...
'''


def house(**texts: str) -> House:
    """A house of modules; two underscores in a name stand for a dot."""
    return House({name.replace("__", "."): ast.parse(text) for name, text in texts.items()})


def test_an_import_is_seen_wherever_it_stands() -> None:
    found = house(
        optim__a="import optim.b\ndef f():\n    from optim.c import thing\n",
        optim__b="from optim import c\nif TYPE_CHECKING:\n    import optim.a\n",
        optim__c="RUNNER = 'optim.d:run'\n",
        optim__d='"""optim.a"""\nimport torch.nn\n',
        optim="",
    )
    assert found.arrows == {
        ("optim.a", "optim.b"),
        ("optim.a", "optim.c"),
        ("optim.b", "optim.c"),
        ("optim.c", "optim.d"),
    }
    assert found.importers_of("torch") == ("optim.d",)


def test_a_name_of_a_package_is_an_import_of_the_package() -> None:
    found = house(optim__a="from optim.b import c, thing", optim__b="", optim__b__c="")
    assert found.arrows == {("optim.a", "optim.b"), ("optim.a", "optim.b.c")}


def test_rooms_are_folders_and_loose_modules() -> None:
    assert room_of("optim.graph.rules.draft") == "optim.graph"
    assert room_of("optim.errors") == "optim.errors"
    assert room_of("optim") == "optim"
    assert room_of("sample_models.train") == "sample_models"
    arrows = {("optim.a.x", "optim.b.y"), ("optim.a.z", "optim.b.y"), ("optim.a.x", "optim.a.z")}
    assert between_rooms(arrows) == {("optim.a", "optim.b")}


def test_circles_and_chains_are_found() -> None:
    line = {("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")}
    assert circles(line) == ()
    assert longest_chain(line) == ("a", "b", "c")
    assert circles(line | {("c", "a")}) == (("a", "b", "c"),)
    assert circles(()) == longest_chain(()) == ()


def test_an_arrow_on_one_floor_or_up_is_seen() -> None:
    assert floor_of("optim.jobs.queue") < floor_of("optim.workspace") < floor_of("dashboard.app")
    inside, down = ("optim.store.a", "optim.store.b"), ("optim.store.a", "optim.errors")
    beside, up = ("optim.store.a", "optim.search.b"), ("optim.store.a", "optim.jobs.b")
    assert arrows_up([inside, down, beside, up]) == (
        "optim.store.a -> optim.jobs.b",
        "optim.store.a -> optim.search.b",
    )
    with pytest.raises(ValueError, match=r"must stand on a floor, and optim\.new_module"):
        floor_of("optim.new_module")


def test_dashboard_and_command_line_are_strangers_in_both_directions() -> None:
    meet = [("optim.cli.run", "dashboard.launch"), ("dashboard.views.a", "optim.cli.run")]
    assert len(strangers_that_meet([*meet, ("dashboard.views.a", "optim.workspace")])) == 2


def test_lines_of_code_are_counted_without_words_and_blanks(tmp_path: Path) -> None:
    path = tmp_path / "file.py"
    path.write_text(TEXT, encoding="utf-8")
    source = Source(path)
    lines = {function.name: source.lines_of_code(function) for function in source.functions}
    assert lines["long"] == 3 + 1 + 3 + 1
    assert lines["inner"] == 1
    assert [node.name for node in source.public] == ["long", "Public", "shown"]
    bare = [function.name for function in source.functions if not is_annotated(function)]
    assert bare == ["shown"]


def test_reads_are_counted_and_writes_are_not() -> None:
    tree = ast.parse("a.accuracy = b.accuracy + c.accuracy.value; words.score(a)")
    assert reads_of(tree, "accuracy", but_of="words") == 2


def test_a_missed_bound_is_one_sentence() -> None:
    figure = Figure(name="circles", value=2, at_most=0, where=("a and b", "c and d"))
    assert figure.is_missed
    assert figure.sentence() == "circles must be at most 0, got 2: a and b, c and d."
    assert not Figure(name="circles", value=2, at_most=0, not_yet="at work").is_missed
    assert not Figure(name="rooms", value=40).is_missed
    assert Figure(name="places", value=None, at_most=3).is_missed

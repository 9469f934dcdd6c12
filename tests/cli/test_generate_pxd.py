"""`castalia generate pxd` as a user types it."""

import pytest
from castalia_console import here, read

FEW = ("--luminosity", "0.02:0.04", "--current-her", "0.02", "--current-ler", "0.02")


def test_it_makes_a_file_that_verifies(tmp_path):
    path = tmp_path / "background.root"
    summary = here("generate", "pxd", "--events", 3, *FEW, "-o", path, "--json").good().json
    assert summary["events"] == summary["generated"] == 3
    assert summary["hits"] > 1000
    assert here("inspect", path, "--json").good().json["verified"]
    table = read(path, "luminosity", "current_her", "VxdID")
    assert ((table["luminosity"] > 0.02) & (table["luminosity"] < 0.04)).all()
    assert set(table["current_her"]) == {0.02}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--luminosity", "-1"), "luminosity = -1 is not possible"),
        (("--luminosity", "bright"), "write a number, or LOW:HIGH"),
        (("--common-mode", "2"), "from 0 to 1"),
        (("--brightness", "1"), "No such option"),
        (("--events", "0"), "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_refused(words, sentence, tmp_path):
    result = here("generate", "pxd", "--events", 3, *words, "-o", tmp_path / "a.parquet")
    assert result.code == 2
    assert sentence in " ".join(result.err.split())
    assert list(tmp_path.iterdir()) == []

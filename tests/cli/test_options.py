import pytest

from castalia.cli.options import parse_rename, parse_values
from castalia.errors import ConfigError


def test_rename():
    assert parse_rename(None) == {}
    assert parse_rename(["a=b", "c=d=e"]) == {"a": "b", "c": "d=e"}


@pytest.mark.parametrize("word", ["a", "a=", "=b", "", "="])
def test_rename_without_two_names(word):
    with pytest.raises(ConfigError, match="write COLUMN=BRANCH"):
        parse_rename([word])


def test_rename_of_one_column_twice():
    with pytest.raises(ConfigError, match=r"'a' twice \(b and c\)"):
        parse_rename(["a=b", "a=c"])


def test_values():
    assert parse_values(["m=4.5", "w=-1"], "--fix") == {"m": 4.5, "w": -1.0}


@pytest.mark.parametrize(("word", "said"), [("=3", "NAME=VALUE"), ("", "NAME=VALUE"), ("m=", "NAME="), ("m", "NAME=")])
def test_values_without_a_name_or_a_number(word, said):
    with pytest.raises(ConfigError, match=f"--fix .*{said}"):
        parse_values([word], "--fix")

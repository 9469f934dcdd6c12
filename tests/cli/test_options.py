import pytest

from castalia.cli.options import parse_rename
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

"""A file over the limit is named; one at the limit is not."""

from large_files import LIMIT, main


def test_only_the_file_over_the_limit_is_named(tmp_path, capsys):
    (tmp_path / "at").write_bytes(b"x" * LIMIT)
    (tmp_path / "over").write_bytes(b"x" * (LIMIT + 1))
    assert main([str(tmp_path / "at"), str(tmp_path / "gone")]) == 0
    assert main([str(tmp_path / "at"), str(tmp_path / "over")]) == 1
    assert capsys.readouterr().err.startswith(str(tmp_path / "over"))

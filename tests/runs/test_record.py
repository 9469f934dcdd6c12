import re
import subprocess

import castalia
from castalia.runs.record import source_hash


def test_source_hash_is_a_commit_or_unknown():
    found = source_hash()
    assert found is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", found)


def git(folder, *words):
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=T", "-c", "user.email=t@example.org", *words],
        check=True,
        capture_output=True,
    )


def test_source_hash_of_a_checkout(tmp_path, monkeypatch):
    module = tmp_path / "castalia" / "__init__.py"
    module.parent.mkdir()
    module.write_text("")
    monkeypatch.setattr(castalia, "__file__", str(module))
    assert source_hash() is None
    git(tmp_path, "init", "--quiet")
    (tmp_path / "other.txt").write_text("")
    git(tmp_path, "add", "other.txt")
    git(tmp_path, "commit", "--quiet", "-m", "somebody else's checkout")
    assert source_hash() is None
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "ours")
    clean = source_hash()
    assert re.fullmatch(r"[0-9a-f]{40}", clean)
    module.write_text("# changed\n")
    assert source_hash() == f"{clean}-dirty"

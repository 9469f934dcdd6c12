"""Browser tests run where there is a browser, are skipped with a reason where not, and fail where one is wanted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parent / "conftest.py"
TEST = "import pytest\n\n@pytest.mark.browser\ndef test_it(chromium):\n    assert chromium.endswith('chromium')\n"


def run(folder: Path, *, browser: bool, require: bool) -> str:
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = browser\n")
    (folder / "test_page.py").write_text(TEST)
    (folder / "bin").mkdir()
    if browser:
        (folder / "bin" / "chromium").write_text("#!/bin/sh\n")
        (folder / "bin" / "chromium").chmod(0o755)
    environment = {**os.environ, "PATH": str(folder / "bin"), "CASTALIA_REQUIRE_BROWSER": "1" if require else "0"}
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    ("browser", "require", "outcome"),
    [(True, False, "1 passed"), (True, True, "1 passed"), (False, False, "1 skipped"), (False, True, "1 error")],
)
def test_the_rule(tmp_path, browser, require, outcome):
    out = run(tmp_path, browser=browser, require=require)
    assert outcome in out, out
    assert browser or "no browser found" in out

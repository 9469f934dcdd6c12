"""What all tests share: a headless plotting backend, and the rules for tests that need a browser or a GPU."""

import os
import shutil

import hypothesis
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")

# A shared machine may stop a test for a moment.
hypothesis.settings.register_profile("castalia", deadline=None)
hypothesis.settings.load_profile("castalia")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser") and find_browser() is None:
        reason = f"no browser found (looked for {', '.join(BROWSERS)}): apt-get install chromium"
        if os.environ.get("CASTALIA_REQUIRE_BROWSER") == "1":
            pytest.fail(f"{reason}; CASTALIA_REQUIRE_BROWSER=1 asks for it", pytrace=False)
        pytest.skip(reason)
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a headless-capable Chromium; use it in tests marked ``browser``."""
    found = find_browser()
    assert found is not None, "a test that uses the `chromium` fixture must carry the `browser` marker"
    return found

"""A capability the machine lacks skips a test, or fails it where it is required."""

import os
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")

THREE_TESTS = """
    def test_browser(chromium): assert chromium
    def test_docker(docker): assert docker
    def test_data(shared_data): assert shared_data.is_dir()
    def test_nothing(): pass
"""


@pytest.fixture
def bare(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with our conftest on a machine that has no tools at all."""
    monkeypatch.setenv("PATH", str(pytester.mkdir("empty")))
    monkeypatch.delenv("CELLGAUGE_REQUIRE", raising=False)
    monkeypatch.setenv("CELLGAUGE_SHARED", str(pytester.path / "nowhere"))
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\nmarkers =\n  docker\n  browser\n  data\n")
    pytester.makepyfile(THREE_TESTS)
    return pytester


def test_what_is_missing_is_skipped_with_the_command_that_installs_it(bare: pytest.Pytester):
    result = bare.runpytest_inprocess("-rs", "--strict-markers")
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines_random(
        ["*apt-get install chromium*", "*apt-get install docker.io*", "*set CELLGAUGE_SHARED*"]
    )


def test_what_is_required_fails_instead(bare: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CELLGAUGE_REQUIRE", "docker,data")
    result = bare.runpytest_inprocess()
    result.assert_outcomes(passed=1, skipped=1, errors=2)
    result.stdout.fnmatch_lines_random(["*apt-get install docker.io (required by CELLGAUGE_REQUIRE)*"])


def test_a_client_without_a_daemon_is_not_docker(bare: pytest.Pytester):
    client = bare.path / "empty" / "docker"
    client.write_text("#!/bin/sh\necho 'Client: 1.0'\nexit 1\n")
    client.chmod(0o755)
    result = bare.runpytest_inprocess("-rs")
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines_random(["*a running Docker daemon*"])


def test_what_is_there_is_used(bare: pytest.Pytester):
    browser = bare.path / "empty" / "google-chrome"
    browser.touch(mode=0o755)
    bare.path.joinpath("nowhere", "data").mkdir(parents=True)
    bare.runpytest_inprocess().assert_outcomes(passed=3, skipped=1)


def test_a_fixture_brings_its_mark(bare: pytest.Pytester):
    bare.runpytest_inprocess("-m", "not (docker or browser or data)").assert_outcomes(passed=1, deselected=3)


def test_the_cache_of_a_test_run_is_not_the_users(own_cache: Path, tmp_path_factory: pytest.TempPathFactory):
    assert own_cache.is_relative_to(tmp_path_factory.getbasetemp())
    assert os.environ["CELLGAUGE_CACHE"] == str(own_cache)

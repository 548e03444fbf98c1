"""Work in processes of its own: what it returns and raises comes back, and nobody waits for what nobody wants."""

from __future__ import annotations

import os
import time

import pytest

from cellgauge.cards import CardProblems, UserError
from cellgauge.cards.problems import Problem
from cellgauge.report import forks
from cellgauge.report.forks import beside


@pytest.fixture(params=["with a process", "where a system cannot fork"])
def may_fork(request, monkeypatch) -> bool:
    if request.param == "where a system cannot fork":
        monkeypatch.setattr(forks, "_can_fork", lambda: False)
    elif not forks._can_fork():
        pytest.skip("needs two cores and a system that forks")
    return request.param == "with a process"


def test_what_is_returned_comes_back(may_fork) -> None:
    with beside(os.getpid) as wait:
        assert (wait() != os.getpid()) == may_fork


def test_what_is_raised_is_raised_to_who_waits(may_fork) -> None:
    def fail() -> None:
        raise UserError("docs/x.md: is missing")

    with beside(fail) as wait, pytest.raises(UserError, match=r"docs/x\.md: is missing"):
        wait()


def test_problems_of_cards_come_back_as_they_were(may_fork) -> None:
    problems = [Problem("a.md", 3, "key", "is wrong"), Problem("b.md", 1, "", "is missing")]

    def fail() -> None:
        raise CardProblems(problems)

    with beside(fail) as wait, pytest.raises(CardProblems, match=r"(?s)^a\.md:3: key: is wrong\nb\.md:1: is missing$"):
        wait()


def test_who_leaves_without_waiting_ends_it(may_fork) -> None:
    def work() -> None:
        time.sleep(60)

    began = time.monotonic()
    with pytest.raises(KeyError), beside(work):
        raise KeyError
    assert time.monotonic() - began < 30


def test_a_process_that_dies_says_so() -> None:
    if not forks._can_fork():
        pytest.skip("needs two cores and a system that forks")
    with beside(lambda: os._exit(7)) as wait, pytest.raises(RuntimeError, match="ended with 7"):
        wait()

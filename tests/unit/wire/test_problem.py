# SPDX-License-Identifier: Apache-2.0
"""Problems: an error keeps its family, code and advice on its way to the other side."""

import pytest

from drystone.core.content.coding import CorruptBlock
from drystone.core.errors import Corrupt, Misconfigured, Refused, Unavailable
from drystone.core.names.path import InvalidName
from drystone.wire.bundle import BundleTooLarge, TruncatedBundle
from drystone.wire.codec import decode, encode
from drystone.wire.messages import Problem
from drystone.wire.problem import (
    STATUS_OF_CODE,
    RemoteCorrupt,
    RemoteRefused,
    RemoteUnavailable,
    error_from_problem,
    problem_from_bug,
    problem_from_error,
)


@pytest.mark.parametrize(
    ("error", "status", "family"),
    [
        (Refused("no"), 400, Refused),
        (InvalidName("no"), 400, Refused),
        (BundleTooLarge("no"), 413, Refused),
        (Unavailable("later", retry_after_s=2.5), 503, Unavailable),
        (TruncatedBundle("later"), 400, Unavailable),
        (CorruptBlock("other bytes"), 422, Corrupt),
        (Corrupt("other bytes"), 500, Corrupt),
    ],
)
def test_an_error_becomes_the_same_on_the_other_side(error, status, family):
    error.advice = "do that"
    problem = decode(Problem, encode(problem_from_error(error, "request-1")))
    assert problem.status == status
    assert problem.request_id == "request-1"
    assert problem.type.endswith(error.code)
    found = error_from_problem(problem)
    assert isinstance(found, family)
    assert (found.code, found.message, found.advice) == (error.code, error.message, "do that")
    assert found.retryable == error.retryable
    if isinstance(error, Unavailable):
        assert found.retry_after_s == error.retry_after_s


def test_a_code_of_one_problem_is_not_that_of_its_class():
    found = error_from_problem(problem_from_error(InvalidName("no")))
    assert found.code == "invalid-name"
    assert RemoteRefused.code == "remote-refused"


def test_a_server_that_is_misconfigured_says_so():
    assert problem_from_error(Misconfigured("no")).status == 500


def test_a_bug_tells_no_details_and_may_be_tried_again():
    problem = problem_from_bug("request-1")
    assert (problem.status, problem.code) == (500, "internal-error")
    assert isinstance(error_from_problem(problem), RemoteUnavailable)


@pytest.mark.parametrize(
    ("status", "retryable", "family"),
    [
        (400, False, RemoteRefused),
        (418, False, RemoteRefused),
        (422, False, RemoteCorrupt),
        (500, False, RemoteCorrupt),
        (429, True, RemoteUnavailable),
    ],
)
def test_a_code_unknown_here_still_finds_its_family(status, retryable, family):
    problem = Problem("", "Something new", status, "something-new", retryable=retryable)
    found = error_from_problem(problem)
    assert type(found) is family
    assert (found.code, found.message) == ("something-new", "Something new")


@pytest.mark.parametrize(("told", "kept"), [(-5.0, 0.0), (7.0, 7.0), (1e9, 3600.0)])
def test_a_server_cannot_make_its_clients_wait_for_ever(told, kept):
    problem = Problem("", "t", 503, "unavailable", retryable=True, retry_after_s=told)
    assert error_from_problem(problem).retry_after_s == kept


def test_statuses_are_errors():
    assert all(400 <= status < 600 for status in STATUS_OF_CODE.values())

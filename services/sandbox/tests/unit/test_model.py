from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_sandbox.errors import InvalidFile
from heimnetz_sandbox.model import (
    Evidence,
    Installation,
    Outcome,
    check_file_names,
    judge,
    new_run_id,
)


@pytest.mark.parametrize(
    ("evidence", "outcome"),
    [
        (Evidence(result="1", has_ended=True), Outcome.OK),
        (Evidence(result="1", has_ended=True, is_oom_killed=True), Outcome.OK),
        (Evidence(result="1", has_ended=True, has_hit_pids=True), Outcome.OK),
        (Evidence(result="1"), Outcome.ERROR),
        (Evidence(), Outcome.ERROR),
        (Evidence(is_oom_killed=True), Outcome.OUT_OF_MEMORY),
        (Evidence(cause="out_of_memory", reason="MemoryError"), Outcome.OUT_OF_MEMORY),
        (Evidence(cause="disk_limit", reason="full"), Outcome.DISK_LIMIT),
        (Evidence(exit_signal=25), Outcome.DISK_LIMIT),
        (Evidence(cause="output_limit", reason="much"), Outcome.OUTPUT_LIMIT),
        (Evidence(cause="error", reason="EAGAIN", has_hit_pids=True), Outcome.PIDS_LIMIT),
        (Evidence(cause="ok", reason="a lie"), Outcome.ERROR),
        (Evidence(violation="rubbish", result="1", has_ended=True), Outcome.ERROR),
        (Evidence(stopped_by=Outcome.TIMEOUT, result="1", has_ended=True), Outcome.TIMEOUT),
        (Evidence(stopped_by=Outcome.CANCELLED, is_oom_killed=True), Outcome.CANCELLED),
    ],
    ids=str,
)
def test_outcomes_are_told_apart(evidence: Evidence, outcome: Outcome) -> None:
    assert judge(evidence)[0] is outcome


def test_a_signal_is_named() -> None:
    assert judge(Evidence(exit_signal=11, exit_code=0))[1] == "the plugin was ended by SIGSEGV"


@given(st.integers(0, 10**6))
def test_no_installation_runs_as_a_user_of_the_platform(number: int) -> None:
    installation = Installation("p", "1.0.0", "0" * 64, number, {})

    assert 20_000 <= installation.uid < 60_000


@given(
    st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.integers(1, 10_000),
)
def test_run_ids_sort_by_time(at: datetime, milliseconds: int) -> None:

    earlier, later = new_run_id(at), new_run_id(at + timedelta(milliseconds=milliseconds + 1))

    assert earlier < later
    assert earlier[14] == "7"
    assert earlier[19] in "89ab"


@given(st.text())
def test_no_file_name_leaves_its_folder(name: str) -> None:
    try:
        check_file_names([name])
    except InvalidFile:
        return
    assert "/" not in name
    assert "\0" not in name
    assert name not in ("", ".", "..")


def test_two_files_with_one_name_are_refused() -> None:
    with pytest.raises(InvalidFile):
        check_file_names(["a.csv", "A.csv"])

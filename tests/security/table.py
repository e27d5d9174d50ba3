"""A pytest plugin: a line for each attack that was tried, whether it was held off, and by what."""

from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

_ROWS = pytest.StashKey[list[tuple[int, str, str, str]]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    mark = item.get_closest_marker("attack")
    if mark is None or (report.when != "call" and report.passed):
        return report
    what = mark.kwargs["what"] or item.name
    how = dict(item.user_properties).get("how") or item.name.partition("[")[0]
    verdict = "held" if report.passed else "FELL"
    rows = item.config.stash.setdefault(_ROWS, [])
    rows.append((mark.kwargs["row"], what, verdict, how.removeprefix("test_").replace("_", " ")))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rows = config.stash.get(_ROWS, [])
    kinds = Counter(rows)
    alike = Counter((row, what, verdict) for row, what, verdict, _ in kinds)
    terminalreporter.write_line(f"\n{'row':>3}  {'':5} {'tried':44} stopped by")
    for (row, what, verdict, how), times in sorted(kinds.items()):
        count = f" (in {times} ways)" if times > 1 and alike[row, what, verdict] == 1 else ""
        terminalreporter.write_line(f"{row:>3}  {verdict:5} {what[:44]:44} {how[:90]}{count}")
    held = sum(verdict == "held" for _, _, verdict, _ in rows)
    terminalreporter.write_line(
        f"\n{held} of {len(rows)} held, of {len({r[0] for r in rows})} rows"
    )

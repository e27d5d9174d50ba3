"""The command's preview in a real browser, under the policy of published pages."""

import subprocess
from http import HTTPStatus
from pathlib import Path

from heimnetz_cli.previewing import Preview, serving
from heimnetz_common.testing import eventually_sync
from heimnetz_docs import generate_site


class Watched(Preview):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def answer(self, target: str) -> tuple[HTTPStatus, str, bytes]:
        self.asked.append(target)
        return super().answer(target)


def test_a_page_is_loaded_again_when_it_has_changed(browser: str, tmp_path: Path) -> None:
    preview = Watched()
    preview.show(generate_site([]))
    with serving(preview, 0) as address:
        command = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--remote-debugging-port=0", address),
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually_sync(lambda: "/_preview/changed.js?1" in preview.asked, 60)
            preview.fail("a mistake")
            eventually_sync(lambda: "/_preview/changed.js?2" in preview.asked, 60)
            preview.show(generate_site([]))
            eventually_sync(lambda: "/_preview/changed.js?3" in preview.asked, 60)
        finally:
            process.terminate()
            process.wait(timeout=30)

    assert preview.asked.count("/") == 3

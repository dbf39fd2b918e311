"""Chromium without a window, spoken to over its debugging pipe: no driver, no package.

One page at a time; every wait has an end.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
ANSWER_S = 20.0
SHOWN_S = 10.0


class Browser:
    """A page of a browser that was started for it."""

    def __init__(self, to_fd: int, from_fd: int) -> None:
        self._to_fd = to_fd
        self._from_fd = from_fd
        self._number = 0
        self._rest = b""
        self._session = ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.ask("Page.enable")
        self.ask("Network.enable")
        self.ask("Runtime.enable")
        self.errors: list[str] = []

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """A command of the DevTools protocol, and its result."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to_fd, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(str(answer["params"]["exceptionDetails"]["text"]))
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                found: dict[str, Any] = answer["result"]
                return found

    def _read(self) -> dict[str, Any]:
        until_s = time.monotonic() + ANSWER_S
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from_fd], [], [], max(0, until_s - time.monotonic()))
            assert ready, f"Chromium said nothing for {ANSWER_S} s"
            self._rest += os.read(self._from_fd, 1 << 20)
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def look_as(self, width: int, height: int, *, dark: bool = False, still: bool = True) -> None:
        """How wide the window is, what colours are preferred, and whether things may move."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 640,
        )
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"},
        ]
        self.ask("Emulation.setEmulatedMedia", features=features)

    def set_cookies(self, url: str, cookies: Mapping[str, str]) -> None:
        for name, value in cookies.items():
            self.ask("Network.setCookie", url=url, name=name, value=value)

    def open(self, url: str) -> None:
        """Go there, and wait until the page is there with all that it loads."""
        gone = self.ask("Page.navigate", url=url)
        assert "errorText" not in gone, (url, gone["errorText"])
        self.await_true("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def await_true(self, script: str, within_s: float = SHOWN_S) -> None:
        until_s = time.monotonic() + within_s
        while not self.run(script):
            assert time.monotonic() < until_s, f"not within {within_s} s: {script}"
            select.select([], [], [], 0.02)

    def press(self, key: str, code: int = 0) -> None:
        """A key, as from a keyboard. code: its virtual key code."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **text,
            )

    def picture(self, path: Path) -> None:
        """The whole page as PNG."""
        made = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(made["data"]))


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile in this directory, ended afterwards."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found is not None, "Chromium is missing: on Debian and Ubuntu, apt install chromium"
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()

    def wire() -> None:  # the browser reads commands from 3 and answers on 4
        os.dup2(in_read, 103)
        os.dup2(out_write, 104)
        os.dup2(103, 3)
        os.dup2(104, 4)

    process = subprocess.Popen(
        [
            found,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            "about:blank",
        ],
        preexec_fn=wire,
        close_fds=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(in_read)
    os.close(out_write)
    try:
        yield Browser(in_write, out_read)
    finally:
        process.kill()
        process.wait(10)
        os.close(in_write)
        os.close(out_read)

# SPDX-License-Identifier: Apache-2.0
"""A dashboard in a process of its own, and a headless Chromium that looks at it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import ElementNotInteractableException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM = shutil.which('chromium')
CHROMEDRIVER = shutil.which('chromedriver')
ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120.0
POLL_S = 0.1
SCREEN = ('--headless=new', '--window-size=1366,900', '--hide-scrollbars', '--disable-gpu')
# In one script, as each question to Chromium takes tens of milliseconds on a busy machine.
VISIBLE = """
const [selector, text] = arguments;
const how = {opacityProperty: true, visibilityProperty: true};
const isVisible = at => at.getClientRects().length && at.checkVisibility(how);
return [...document.querySelectorAll(selector)].filter(at => isVisible(at) && (at.innerText ?? "").includes(text));
"""
SYSTEM = ('--no-sandbox', '--disable-dev-shm-usage')  # as root, and with little shared memory


class Browser:
    """A page in Chromium, found by what a user sees."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        """Use a driver, which the caller quits."""
        self.driver = driver

    def all(self, selector: str, text: str = '') -> list[WebElement]:
        """Return the visible elements that a CSS selector finds and that contain `text`."""
        return self.driver.execute_script(VISIBLE, selector, text)

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Return the first true value of `condition`."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                if value := condition():
                    return value
            except StaleElementReferenceException:  # replaced meanwhile
                continue
            time.sleep(POLL_S)
        raise AssertionError(f'timed out waiting for {what}; the page shows:\n{self.text}')

    def find(self, selector: str, text: str = '') -> WebElement:
        """Return the first such element, as soon as there is one."""
        return self.wait(lambda: self.all(selector, text), f'{selector} with {text!r}')[0]

    def wait_gone(self, selector: str, text: str = '') -> None:
        """Wait until no such element is visible."""
        self.wait(lambda: not self.all(selector, text), f'no {selector} with {text!r}')

    def press(self, selector: str, text: str = '') -> None:
        """Click the first such element, as soon as there is one."""
        self.wait(lambda: [each.click() for each in self.all(selector, text)[:1]], f'{selector} with {text!r}')

    def enter(self, selector: str, text: str) -> None:
        """Replace what is in an input, and press Enter."""
        self.find(selector).send_keys(Keys.CONTROL, 'a', Keys.NULL, text, Keys.ENTER)

    def type(self, selector: str, *keys: str, text: str = '') -> None:
        """Press keys in the first such element, as soon as it can take them."""

        def press_keys() -> bool:
            try:
                self.all(selector, text)[0].send_keys(*keys)
            except (ElementNotInteractableException, IndexError):  # a dialog that is opening
                return False
            return True

        self.wait(press_keys, f'{selector} with {text!r}')

    @property
    def text(self) -> str:
        """Everything that can be read on the page."""
        return self.driver.find_element(By.TAG_NAME, 'body').text


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium; quit it at the end."""
    options = webdriver.ChromeOptions()
    for option in (*SCREEN, *SYSTEM):
        options.add_argument(option)
    options.binary_location = CHROMIUM or ''
    driver = webdriver.Chrome(options, Service(CHROMEDRIVER))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@contextmanager
def dashboard(namespace: str, *parameters: str) -> Iterator[Callable[[], str]]:
    """Run a dashboard of the node in `namespace`; yield a function that waits for its address."""
    given = [part for parameter in ('port:=0', *parameters) for part in ('-p', parameter)]
    command = [sys.executable, ROOT / 'scripts' / 'dashboard', '--ros-args', '-r', f'__ns:={namespace}', *given]
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get('PYTHONPATH'))))
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | {'PYTHONPATH': paths}
    )
    try:
        yield lambda: _announced_address(process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _announced_address(process: subprocess.Popen[str]) -> str:
    said = []
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        if match := re.search(r'open (http://\S+) in a browser', line):
            return match[1]
    raise AssertionError(f'the dashboard ended: {"".join(said)}')

"""Ctrl-C and SIGTERM before anything has begun, and from then on."""

import subprocess
import sys

import pytest
from tests.ctrl_c import as_in_a_terminal

BEGIN = "from genagent_tracking.interrupt import quit_on_interrupt, raise_on_interrupt as later\n"
# Python drops what is raised in a destructor; an import runs callbacks that are no different.
IN_CALLBACK = """
class Callback:
    def __del__(self): signal.raise_signal(signal.SIGINT)
Callback()
print("went on")
"""


def python(code: str, *, ignored: bool = False) -> subprocess.CompletedProcess[str]:
    with as_in_a_terminal(ignored=ignored):
        return subprocess.run(
            [sys.executable, "-c", "import signal\n" + BEGIN + code],
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("signal.raise_signal(signal.SIGINT)", 130),
        (IN_CALLBACK, 130),
        ("signal.raise_signal(signal.SIGTERM)", 143),
    ],
)
def test_it_is_one_line_and_its_number_wherever_it_comes(code, exit_code):
    done = python("quit_on_interrupt()\n" + code)
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert done.stderr == "error: stopped before anything had begun\n"


def test_it_is_an_exception_again_when_there_is_something_to_clean_up():
    code = """
quit_on_interrupt()
later()
try: signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt: print("cleaned up")
"""
    assert python(code).stdout == "cleaned up\n"


def test_what_a_shell_runs_in_the_background_goes_on():
    code = "quit_on_interrupt()\nsignal.raise_signal(signal.SIGINT)\nlater()\nprint('went on')"
    done = python(code, ignored=True)
    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_sigterm_is_an_exception_when_there_is_something_to_clean_up_and_a_second_is_ignored():
    code = """
from genagent_tracking.interrupt import exit_code
quit_on_interrupt()
later()
print(exit_code())
try: signal.raise_signal(signal.SIGTERM)
except KeyboardInterrupt:
    signal.raise_signal(signal.SIGTERM)
    print(exit_code())
"""
    assert python(code).stdout == "130\n143\n"


def test_what_asyncio_runs_is_cancelled_by_sigterm_without_a_word():
    code = """
import asyncio
quit_on_interrupt()
later()
async def one(number):
    try:
        await asyncio.sleep(0)
        if number == 1: signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(60)
    finally: print("ended", number)
async def everyone():
    await asyncio.gather(*(one(number) for number in range(3)))
try: asyncio.run(everyone())
except KeyboardInterrupt: print("cleaned up")
"""
    done = python(code)
    *ended, last = done.stdout.splitlines()
    assert (sorted(ended), last) == (["ended 0", "ended 1", "ended 2"], "cleaned up")
    assert done.stderr == ""

"""The page of the agent in a browser."""

from typing import Any


def draw(page: Any, url: str, prompt: str, *, seed: int) -> None:
    """Ask for a picture and wait until the agent has ended."""
    page.goto(f"{url}/ui")
    page.fill("#request textarea, #request input", prompt)
    page.fill("#seed textarea, #seed input", str(seed))
    page.click("#draw")
    page.wait_for_selector("#story .ending")

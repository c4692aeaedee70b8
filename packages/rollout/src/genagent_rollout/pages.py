"""Which pages of the key-value cache are whose."""

import heapq
from collections.abc import Sequence


class PagePool:
    """Numbers of pages, each held by one conversation or, where prompts are equal, by several.

    The lowest free page is given first, so that conversations that begin together lie together.
    """

    def __init__(self, count: int) -> None:
        self._free = list(range(count))
        self._holders = [0] * count
        self.count = count

    @property
    def free(self) -> int:
        return len(self._free)

    def take(self, count: int) -> list[int]:
        """Free pages, from now on held once. Raises ValueError where there are too few."""
        if count > len(self._free):
            raise ValueError(f"{count} pages are wanted and {len(self._free)} are free")
        pages = [heapq.heappop(self._free) for _ in range(count)]
        for page in pages:
            self._holders[page] = 1
        return pages

    def share(self, pages: Sequence[int]) -> list[int]:
        """The same pages, held once more."""
        for page in pages:
            self._holders[page] += 1
        return list(pages)

    def release(self, pages: Sequence[int]) -> None:
        """Hold them once less; a page that nobody holds is free again."""
        for page in pages:
            self._holders[page] -= 1
            if self._holders[page] == 0:
                heapq.heappush(self._free, page)

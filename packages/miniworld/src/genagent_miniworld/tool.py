"""Which image generator an experiment draws with: a miniature in this process, or servers."""

from dataclasses import dataclass

from genagent_miniworld.load import TOOLS, load_tool
from genagent_tools import HttpImageTool, HttpToolConfig, ImageTool


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolConfig:
    """The image generator."""

    name: str = "flux-mini"
    """"flux-mini", "sana-mini", "qwen-image-mini", or image servers with commas between, such as
    http://localhost:8000."""
    dialect: str = "genagent"
    """Whose protocol servers speak: genagent, openai, vllm-omni or sglang."""
    model: str = ""
    """Name by which servers know their model; without it they take what they have."""
    max_concurrency: int = 96
    """Pictures on their way at a time."""

    def __post_init__(self) -> None:
        if self.is_remote:
            self.servers()
        elif self.name not in TOOLS:
            raise ValueError(f"no tool {self.name!r}; give {', '.join(TOOLS)} or a URL")

    @property
    def is_remote(self) -> bool:
        return self.name.startswith(("http://", "https://"))

    def servers(self) -> HttpToolConfig:
        """Raises ValueError for a URL, a dialect or a bound that cannot be."""
        return HttpToolConfig(
            base_urls=tuple(url.strip() for url in self.name.split(",")),
            dialect=self.dialect,  # pyright: ignore[reportArgumentType] (checked there)
            model=self.model or None,
            max_concurrency=self.max_concurrency,
        )


def open_tool(config: ToolConfig) -> ImageTool:
    """The tool, ready to draw. Raises ValueError where its weights cannot be read."""
    return HttpImageTool(config.servers()) if config.is_remote else load_tool(config.name)

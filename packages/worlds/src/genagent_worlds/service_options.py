"""Which tool and which judge, and how they are asked, as options."""

from dataclasses import dataclass

from genagent_rewards import OpenAIChatConfig
from genagent_tools import HttpToolConfig
from genagent_tools.http_dialects import Dialect
from genagent_worlds.service_names import body_fields, default_key_env, is_url, urls_of


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceOptions:
    """A tool and a judge, by name and how they are asked."""

    tool: str = ""
    """What draws: image servers (http://host:8000, several with commas between), a profile that
    genagent-tools profiles lists, or module:callable."""
    tool_device: str = "cuda"
    """Where a profile's pipeline runs."""
    tool_dialect: Dialect = "genagent"
    """Whose protocol image servers speak."""
    tool_model: str = ""
    """Name by which image servers know their model; without it they take what they have."""
    tool_concurrency: int = 96
    """Pictures on their way at a time, from each process."""
    tool_seconds: float = 1800.0
    """For one picture, waiting in the server's queue included; then it is asked for elsewhere."""
    tool_token_env: str | None = None
    """Environment variable with the token of the image servers."""
    tool_words: int | None = None
    """Words of a prompt that the tool reads, told to the agent; as its profile says by default,
    where it has one."""
    tool_probe_seconds: float = 60.0
    """For the one picture that each image server draws before anything is at stake."""
    judge: str = ""
    """Who judges: OpenAI-compatible endpoints (http://host:8000/v1, several with commas between), a
    model folder, or module:callable."""
    judge_device: str = "cuda"
    """Where a judge from a folder runs."""
    judge_model: str = ""
    """Name by which endpoints know the judge."""
    judge_concurrency: int = 32
    """Questions in flight over all endpoints, from each process."""
    judge_batch: int = 8
    """Questions that a judge from a folder answers at once."""
    judge_tokens: int = 2048
    """Most tokens of one reply; a judge that thinks wants more."""
    judge_seconds: float = 120.0
    """For one reply of an endpoint; a reply that thinks at length takes longer. Five times as long
    for a verdict, what is asked again included."""
    judge_body: str = ""
    """Further fields of each question to an endpoint, as a JSON object
    ({"chat_template_kwargs": {"enable_thinking": false}}); null leaves a field out."""
    judge_key_env: str | None = None
    """Environment variable with the key of the judge's endpoints; OPENAI_API_KEY by default where
    all of them are https."""

    @property
    def asking(self) -> tuple[str, ...]:
        """Preset and options with which ``generate.py`` draws with the same tool."""
        usual = ServiceOptions()
        words = ["flux-7b", "--world.tool", self.tool]
        for name in ("tool_dialect", "tool_model", "tool_words", "tool_token_env"):
            if (value := getattr(self, name)) != getattr(usual, name):
                words += [f"--world.{name.replace('_', '-')}", str(value)]
        return tuple(words)

    def image_servers(self) -> HttpToolConfig:
        """Raises ValueError for a URL or a bound that cannot be."""
        return HttpToolConfig(
            base_urls=urls_of(self.tool),
            dialect=self.tool_dialect,
            model=self.tool_model or None,
            max_concurrency=self.tool_concurrency,
            timeout_seconds=self.tool_seconds,
            deadline_seconds=4 * self.tool_seconds,
            api_key_env=self.tool_token_env,
        )

    @property
    def judge_name(self) -> str:
        """By which what it says is kept: its model where endpoints serve it, for they move, with a
        digest of ``judge_body``; else its folder or code. Raises as ``judge_endpoints``."""
        return self.judge_endpoints().name if is_url(self.judge) else self.judge

    def judge_endpoints(self) -> OpenAIChatConfig:
        """Raises ValueError for a URL or a bound that cannot be."""
        return OpenAIChatConfig(
            base_urls=urls_of(self.judge),
            model=self.judge_model,
            max_concurrency=self.judge_concurrency,
            max_tokens=self.judge_tokens,
            timeout_seconds=self.judge_seconds,
            deadline_seconds=5 * self.judge_seconds,
            extra_body=body_fields("judge_body", self.judge_body),
            api_key_env=self.judge_key_env or default_key_env(self.judge),
        )

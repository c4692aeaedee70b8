"""The command line: ``genagent-tools serve`` and ``genagent-tools profiles``.

Bad input ends with one line and exit code 2, a failure with one line and exit code 1.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import tyro
from rich.console import Console
from rich.table import Table

from genagent_tools.tool import MAX_PROMPT

_OUT = Console(highlight=False, soft_wrap=True)
_ERR = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Serve pictures over OpenAI's protocol, drawing requests together.

    genagent-tools serve --profile flux-8step --devices cuda:0 cuda:1
    """

    profile: str | None = None
    """Which model, and how it is called; genagent-tools profiles lists them."""
    model: Path | None = None
    """Pipeline folder to load instead of the profile's own. Without a profile, size, steps and
    guidance must be said."""
    lora: Path | None = None
    """LoRA to load instead of the profile's own, at the same scale: a local file, or its folder."""
    name: str | None = None
    """What clients call the model; the profile's name by default."""
    devices: tuple[str, ...] = ()
    """One copy of the pipeline on each; the first GPU by default, or else the CPU."""
    host: str = "127.0.0.1"
    """Any address but a loopback one needs a token."""
    port: int = 8000
    """0 takes any that is free."""
    token_env: str | None = None
    """Environment variable that holds the token which clients must send."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which it may be called besides 127.0.0.1 and localhost, as by a proxy on this
    machine."""
    max_connections: int = 1000
    """Open at a time; those that wait longest for a request make room for new ones."""
    width: int | None = None
    """Of a picture, pixels; the profile's by default, as are the next four."""
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    text_tokens: int | None = None
    """Tokens of a prompt that the model reads."""
    dtype: Literal["bfloat16", "float32"] | None = None
    max_batch: int | None = None
    """Pictures drawn at once; the profile's by default."""
    max_wait_ms: float = 20.0
    """How long a picture waits for company while the pipeline is idle."""
    max_queue: int = 512
    """Pictures that may wait; more are turned away with 429."""
    fixed_batch: bool = False
    """Fill every batch up with copies, so that pictures do not depend on their company even in the
    last bit. A lone picture then takes as long as a full batch."""
    max_pixels: int = 4 * 1024 * 1024
    """Of one request, if that is more than ten pictures of the default size."""
    max_steps: int = 100
    max_prompt: int = MAX_PROMPT
    """Characters."""
    max_body: int = 1024 * 1024
    """Bytes of a request."""
    drain_seconds: float = 60.0
    """Time to finish what is queued after SIGTERM or Ctrl-C."""


@dataclass(frozen=True, kw_only=True)
class Profiles:
    """List the profiles that can be served."""


Command = (
    Annotated[Serve, tyro.conf.subcommand("serve")]
    | Annotated[Profiles, tyro.conf.subcommand("profiles")]
)


def main() -> None:
    """Read the command line and run; the entry point of ``genagent-tools``."""
    command = tyro.cli(Command, prog="genagent-tools", description="Image generators as tools.")
    try:
        if isinstance(command, Serve):
            _serve(command)
        else:
            _list_profiles()
    except ValueError as error:
        _stop(str(error), 2)
    except (OSError, RuntimeError) as error:
        _stop(f"{type(error).__name__}: {error}", 1)
    except ImportError as error:
        _stop(f"{error}; serving wants the extra: pip install 'genagent-tools[server]'", 2)
    except KeyboardInterrupt:
        _stop("stopped before serving", 130)


def _serve(options: Serve) -> None:
    from dataclasses import replace

    from genagent_tools.loading import Overrides, load_tools
    from genagent_tools.server import BatchConfig, ServedModel, ServerConfig, bind, serve

    # What can be wrong without a model is found out first: loading takes minutes.
    config = ServerConfig(
        host=options.host,
        port=options.port,
        token=_token(options.token_env),
        allowed_hosts=options.allowed_hosts,
        max_connections=options.max_connections,
        drain_seconds=options.drain_seconds,
        max_body=options.max_body,
        batching=BatchConfig(
            max_wait_ms=options.max_wait_ms,
            max_queue=options.max_queue,
            fixed_batch=options.fixed_batch,
        ),
    )
    overrides = Overrides(
        width=options.width,
        height=options.height,
        steps=options.steps,
        guidance=options.guidance,
        text_tokens=options.text_tokens,
        dtype=options.dtype,
        lora=options.lora,
        max_batch=options.max_batch,
    )
    listener = bind(config)
    tools = load_tools(options.profile, options.model, overrides, options.devices)
    profile = tools[0].profile
    weights = str(options.model) if options.model else profile.repository
    served = replace(
        ServedModel.from_profile(replace(profile, repository=weights)),
        name=options.name or profile.name,
        max_pixels=options.max_pixels,
        max_steps=max(options.max_steps, profile.steps),
        max_prompt=options.max_prompt,
    )
    config = replace(config, batching=replace(config.batching, max_batch=profile.max_batch))
    devices = ", ".join(str(tool.pipeline.device) for tool in tools)
    at_rest = serve(
        tools,
        served,
        config,
        listener=listener,
        on_ready=lambda url: _OUT.print(
            f"{served.name} on {devices}, {served.width}x{served.height}, batches of up "
            f"to {profile.max_batch}: {url}/v1"
        ),
    )
    _OUT.print("stopped")
    if not at_rest:
        sys.stdout.flush()
        os._exit(0)


def _list_profiles() -> None:
    from genagent_tools.loading import known_profiles
    from genagent_tools.profiles import PROFILES

    table = Table("profile", "pipeline", "weights", "steps", "size", "prompt", box=None)
    for column in table.columns:
        column.no_wrap = column.header == "profile"
        column.overflow = "fold"
    for name in known_profiles():
        profile = PROFILES.get(name)
        if profile is None:
            table.add_row(name, "", "of another package")
            continue
        table.add_row(
            name,
            profile.pipeline.removesuffix("Pipeline"),
            profile.repository,
            str(profile.steps),
            f"{profile.width}x{profile.height}",
            f"{profile.words} words",
        )
    _OUT.print(table)


def _token(variable: str | None) -> str | None:
    if variable is None:
        return None
    token = os.environ.get(variable, "").strip()
    if not token:
        raise ValueError(f"the environment variable {variable} is not set; put the token in it")
    return token


def _stop(message: str, code: int) -> NoReturn:
    _ERR.print(" ".join(message.split()) or "failed without a message", style="red", markup=False)
    raise SystemExit(code)

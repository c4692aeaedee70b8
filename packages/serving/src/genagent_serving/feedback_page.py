"""The page where people meet the agent: its rounds as they come, and what they think of them.

Gradio shows it. Everything a model wrote goes through ``story_html``.
"""

import asyncio
import hmac
import secrets
from collections.abc import AsyncIterator
from html import escape
from typing import Any

import gradio as gr
from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from starlette.routing import Mount

from genagent_serving.agent_pictures import AgentPictures
from genagent_serving.feedback import FeedbackBook
from genagent_serving.story import LiveStory, Story
from genagent_serving.story_page import STYLE, story_html
from genagent_tools import ServedModel, ServerConfig
from genagent_tools.server import ApiError, ImageService
from genagent_tools.server.image_request import MAX_SEED
from genagent_tracking import PersonFeedback, TrackingError

PAGE = "/ui"
MAX_COMMENT = 2000
"""Characters."""

MAX_NAME = 100
"""Characters of who logs in."""

_PRIVATE: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": None}
"""Of what happens on the page: the API for programs is another one. People do not wait for each
other here; the agent's own bounds hold."""


def mount_page(
    app: FastAPI,
    pictures: AgentPictures,
    book: FeedbackBook,
    served: ServedModel,
    config: ServerConfig,
) -> None:
    """Put the page under ``PAGE``, behind a login where the server has a token."""

    @app.get("/", include_in_schema=False)
    async def to_page() -> RedirectResponse:
        return RedirectResponse(PAGE)

    token = config.token

    def may_enter(name: str, password: str) -> bool:
        return token is not None and hmac.compare_digest(password.encode(), token.encode())

    gr.mount_gradio_app(
        app,
        build_page(app.state.service, pictures, book, served),
        PAGE,
        auth=None if token is None else may_enter,
        auth_message="Any name will do; the password is this server's token.",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        max_file_size=1,
        # Names of fonts that a machine has; the default theme fetches its own from elsewhere.
        theme=gr.themes.Base(
            primary_hue="indigo",
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ),
        css=STYLE,
    )
    # A page that is open holds a connection for its heartbeat, which would be cut off with a
    # traceback.
    [mounted] = [route for route in app.routes if isinstance(route, Mount) and route.path == PAGE]
    gradio_app: Any = mounted.app
    app.state.service.when_stopping.append(lambda: gradio_app.stop_event.set())


def build_page(
    service: ImageService, pictures: AgentPictures, book: FeedbackBook, served: ServedModel
) -> gr.Blocks:
    """The page's parts and what they do."""
    rounds = pictures.agents.config.max_rounds
    with gr.Blocks(title=served.name, analytics_enabled=False) as page:
        gr.HTML(
            f"<h2>{escape(served.name)}</h2><p>Say what you want to see. The agent thinks, asks an "
            f"image generator, looks at the picture, and tries again where it sees a fault: up to "
            f"{rounds} pictures.</p>"
        )
        with gr.Row(equal_height=True):
            prompt = gr.Textbox(
                show_label=False,
                placeholder="four red circles, and a blue star in the middle",
                max_length=served.max_prompt,
                container=False,
                scale=8,
                elem_id="request",
            )
            seed = gr.Textbox(
                show_label=False,
                placeholder="seed: any",
                max_length=19,
                container=False,
                scale=1,
                min_width=110,
                elem_id="seed",
            )
            ask = gr.Button("Draw", variant="primary", scale=1, min_width=90, elem_id="draw")
            stop = gr.Button("Stop", scale=1, min_width=90, elem_id="stop")
        story = gr.HTML(elem_id="story")
        attempt = gr.State()
        with gr.Column(visible=False, elem_id="feedback") as opinions:
            best = gr.Radio(label="Which picture is the best?", choices=[], elem_id="best")
            comment = gr.Textbox(
                label="Anything to say about it?", max_length=MAX_COMMENT, elem_id="comment"
            )
            with gr.Row():
                up = gr.Button("Thumb up", elem_id="up")
                down = gr.Button("Thumb down", elem_id="down")
            kept = gr.HTML(elem_id="kept")

        # By session. Gradio's own way to cancel waits for the next event of a generator, and the
        # next one of an agent may be minutes away.
        playing: dict[str | None, asyncio.Task[Any]] = {}

        async def play(
            words: str, chosen: str, person: gr.Request
        ) -> AsyncIterator[tuple[Any, ...]]:
            chosen = chosen.strip()
            if chosen and not (chosen.isascii() and chosen.isdigit()):
                raise gr.Error(f"The seed is {escape(chosen)}; wants a whole number, or nothing.")
            number = int(chosen) if chosen else secrets.randbelow(2**31)
            if number > MAX_SEED:  # which would end everybody's turns
                raise gr.Error(f"The seed is {number}; wants {MAX_SEED} at most.")
            live = LiveStory(Story(request=words))

            async def telling(story: Story) -> tuple[Any, ...]:
                html = await asyncio.to_thread(story_html, story)
                return html, None, gr.update(visible=False), gr.update(), ""

            try:
                with service.taken(pictures.act(words, [number], watcher=live)) as acting:
                    playing[person.session_hash] = acting
                    acting.add_done_callback(lambda _: live.close())
                    async for told in live.stories():
                        yield await telling(told)
                    if acting.cancelled() and not service.draining:
                        yield await telling(live.story.given_up())
                        return
                    [answered] = acting.result()
            except ApiError as error:
                raise gr.Error(escape(str(error)), print_exception=False) from error
            finally:
                playing.pop(person.session_hash, None)
            told = live.story.ended(answered.trajectory)
            drawn = [
                index
                for index, round in enumerate(answered.trajectory.rounds, start=1)
                if round.picture is not None
            ]
            yield (
                await asyncio.to_thread(story_html, told),
                book.remember(answered),
                gr.update(visible=True),
                gr.update(
                    choices=[(f"picture {index}", index) for index in drawn],
                    value=drawn[-1] if drawn else None,
                    visible=bool(drawn),
                ),
                "",
            )

        async def give_up(person: gr.Request) -> None:
            acting = playing.get(person.session_hash)
            if acting is not None:
                acting.cancel()

        async def keep(
            thumb_up: bool, name: str | None, best: int | None, comment: str, person: gr.Request
        ) -> str:
            feedback = PersonFeedback(
                thumb_up=thumb_up,
                best_picture=best,
                comment=_words(comment, MAX_COMMENT),
                who=_words(person.username, MAX_NAME) or "page",
            )
            try:
                await asyncio.to_thread(book.keep, name or "", feedback)
            except KeyError:
                return "This was too long ago; draw it again."
            except TrackingError as error:
                return f"Kept in {escape(book.path.name)} only: {escape(str(error))}"
            return f"Thank you: thumb {'up' if thumb_up else 'down'} is kept."

        async def keep_up(
            name: str | None, best: int | None, comment: str, person: gr.Request
        ) -> str:
            return await keep(True, name, best, comment, person)

        async def keep_down(
            name: str | None, best: int | None, comment: str, person: gr.Request
        ) -> str:
            return await keep(False, name, best, comment, person)

        shown = [story, attempt, opinions, best, kept]
        gr.on(
            [ask.click, prompt.submit],
            play,
            [prompt, seed],
            shown,
            show_progress="hidden",
            trigger_mode="once",
            **_PRIVATE,
        )
        stop.click(give_up, None, None, show_progress="hidden", **_PRIVATE)
        page.unload(give_up)
        up.click(keep_up, [attempt, best, comment], kept, show_progress="hidden", **_PRIVATE)
        down.click(keep_down, [attempt, best, comment], kept, show_progress="hidden", **_PRIVATE)
    return page


def _words(text: str | None, limit: int) -> str | None:
    """What a person wrote, as a file and MLflow take it: half a surrogate pair is no UTF-8."""
    return (text or "").encode(errors="replace").decode().strip()[:limit] or None

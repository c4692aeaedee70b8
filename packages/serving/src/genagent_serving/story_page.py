"""A story as HTML, in which what a model wrote is text and nothing else."""

from functools import lru_cache

from genagent_data import Picture
from genagent_serving.page import render
from genagent_serving.story import Story
from genagent_tracking.pictures import data_url

STYLE = """
.story { display: flex; flex-direction: column; gap: 14px; }
.story .chapter { display: flex; gap: 18px; padding: 14px; border: 1px solid #e3e5ea;
  border-radius: 12px; background: #fff; color: #1f2430; }
.story .picture { flex: 0 0 220px; text-align: center; }
.story .picture img { width: 220px; max-width: 100%; border-radius: 8px; margin: 0;
  border: 1px solid #eceef2; image-rendering: auto; }
.story .none { height: 220px; border-radius: 8px; background: #f3f4f7; color: #9aa1ae;
  display: flex; align-items: center; justify-content: center; }
.story .caption { font-size: 12px; color: #8a919e; margin-top: 4px; }
.story .words { flex: 1; min-width: 0; overflow-wrap: anywhere; }
.story .said { white-space: pre-wrap; }
.story .round { font-weight: 600; font-size: 15px; }
.story .label { margin-top: 8px; font-size: 11px; letter-spacing: .06em; color: #8a919e;
  text-transform: uppercase; }
.story .prompt { font-family: ui-monospace, monospace; font-size: 13px; background: #f6f7f9;
  padding: 6px 8px; border-radius: 6px; }
.story .verdict { display: inline-block; margin-top: 10px; padding: 2px 10px; font-size: 13px;
  border-radius: 999px; }
.story .on { background: #fdeee3; color: #a4480f; }
.story .off { background: #e5f5ea; color: #1c6b38; }
.story .status { color: #6a7180; font-style: italic; padding-left: 4px; }
.story .ending { padding: 10px 14px; border-radius: 10px; background: #eef1fb; color: #27325c; }
.story .error { color: #b3261e; }
@media (max-width: 640px) { .story .chapter { flex-direction: column; } }
"""


def story_html(story: Story) -> str:
    """The rounds so far, each with its picture. Raises OSError where a picture is gone."""
    sources = [each.picture and _source(each.picture) for each in story.chapters]
    return render("story.html.j2", story=story, sources=sources)


@lru_cache(maxsize=128)
def _source(picture: Picture) -> str:
    """Rounds are shown again with each event, and a picture of FLUX takes 0.2 s to be encoded."""
    return data_url(picture.image)

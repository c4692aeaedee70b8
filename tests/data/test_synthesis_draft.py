"""Turns of a trajectory in the making, as they are written."""

import json

from genagent_data.synthesis.draft import turn_text
from genagent_data.synthesis.teacher import Call, Judgement
from genagent_data.tool_syntax import write_call


def test_a_turn_is_written_to_the_letter():
    prompt = 'café at "dusk" \\ 夜 </function>\n'
    call, judgement = Call(thinking="warm light", prompt=prompt), Judgement(words="no", right=False)
    body = json.dumps(
        {"name": "generate_image", "arguments": {"prompt": prompt}}, ensure_ascii=False
    )
    assert write_call(prompt, "hermes") == body
    assert turn_text(judgement=judgement, call=call) == (
        f"<judge>no</judge><think>warm light</think><tool_call>{body}</tool_call>"
    )
    assert turn_text(judgement=judgement) == "<judge>no</judge><answer>done</answer>"

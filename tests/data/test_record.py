"""What a record of a conversation may be."""

import pytest

from genagent_data import Record, Request


def test_a_record_has_one_turn_more_than_pictures():
    request = Request(id="r1", prompt="a red circle")
    with pytest.raises(ValueError, match="record 'r1' has 2 turns and 0 pictures"):
        Record(request=request, turns=("one", "two"), pictures=())

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.policy.ranks_in_threads import as_ranks

from genagent_data import Picture, PictureStore, Record, Request, Turn, render_turn
from genagent_policy import (
    BatchPlan,
    HeldOutLoss,
    Policy,
    PolicyConfig,
    Ranks,
    RecordSet,
    SFTConfig,
    SFTUpdate,
    evaluate_loss,
    record_size,
    render_record,
)

CALL = "<think>t</think>"
DONE = "<judge>j</judge><answer>done</answer>"


def picture(width: int, height: int, seed: int = 0) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Picture.of(Image.fromarray(pixels))


def record(number: int, *pictures: Picture) -> Record:
    return Record(
        request=Request(id=f"r{number}", prompt="a red circle " * (number + 1)),
        turns=(*[CALL] * len(pictures), DONE),
        pictures=pictures,
    )


RECORDS = [
    record(0),
    record(1, picture(48, 48)),
    record(2, picture(48, 48, 1), picture(60, 100)),
    record(3),
    record(4, picture(300, 33)),
]
EVERY = range(len(RECORDS))


@pytest.mark.parametrize("place", range(len(RECORDS)))
def test_a_size_is_that_of_the_rendered_record(tiny_policy: Policy, place: int):
    rendered = render_record(tiny_policy.chat, RECORDS[place])
    size = record_size(tiny_policy, RECORDS[place])
    assert (size.tokens, size.policy_tokens) == (len(rendered), rendered.num_policy_tokens)


def test_a_policy_is_taught_calls_in_its_own_syntax(tiny_policy_path: Path):
    turns = (
        Turn(thinking="t", tool_prompt="a cat"),
        Turn(judgement="no", thinking="u", tool_prompt='a "big" cat'),
        Turn(judgement="yes", answer="here"),
    )
    broken = "<think>no call</think>"
    written = (*map(render_turn, turns[:2]), broken, render_turn(turns[2]))
    taught = Record(
        request=Request(id="r", prompt="cat"), turns=written, pictures=(picture(48, 48),) * 3
    )
    policy = PolicyConfig(policy=str(tiny_policy_path), tool_syntax="qwen3.5").load({})
    rendered = render_record(policy.chat, taught)
    said = policy.chat.decode(rendered.ids[rendered.policy_mask].tolist())
    own = [render_turn(turn, syntax="qwen3.5") for turn in turns]
    assert said == "<|im_end|>".join([*own[:2], broken, own[2]])
    assert record_size(policy, taught).tokens == len(rendered)
    plain = render_record(Policy.load(tiny_policy_path).chat, taught)
    assert policy.chat.decode(plain.ids[plain.policy_mask].tolist()) == "<|im_end|>".join(written)


def test_parts_are_rendered_in_order(tiny_policy: Policy):
    records = RecordSet(tiny_policy, RECORDS, EVERY, SFTConfig(render_threads=3))
    with records.rendering([[4, 0], [2], [1, 3, 1]]) as parts:
        lengths = [[len(trajectory) for trajectory in part] for part in parts]
    tokens = [size.tokens for size in records.sizes]
    assert lengths == [[tokens[4], tokens[0]], [tokens[2]], [tokens[1], tokens[3], tokens[1]]]


def test_parts_are_of_the_records_that_are_meant(tiny_policy: Policy):
    some = RecordSet(tiny_policy, RECORDS, [2, 4, 0], SFTConfig())
    assert [size.tokens for size in some.sizes] == [
        record_size(tiny_policy, RECORDS[number]).tokens for number in (2, 4, 0)
    ]
    with some.rendering([[1]]) as parts:
        [[rendered]] = parts
    assert rendered.ids.equal(render_record(tiny_policy.chat, RECORDS[4]).ids)


@pytest.mark.parametrize("threads", [1, 3])
def test_no_more_is_rendered_than_a_part_ahead_of_each_thread(tiny_policy: Policy, threads: int):
    taken: list[int] = []

    def endless() -> Iterator[list[int]]:
        while True:
            taken.append(0)
            yield [0]

    records = RecordSet(tiny_policy, RECORDS, EVERY, SFTConfig(render_threads=threads))
    with records.rendering(endless()) as parts:
        for number in range(1, 6):
            next(parts)
            assert len(taken) == number + threads


def test_rendering_leaves_pictures_on_disk(tiny_policy: Policy, tmp_path: Path):
    store = PictureStore(tmp_path)
    name = store.put(Image.new("RGB", (48, 48), "red")).name
    kept = record(0, store.get(name))
    rendered = render_record(tiny_policy.chat, kept)
    assert rendered.grids.tolist() == [[1, 6, 6]]
    store.path(name).unlink()
    with pytest.raises(FileNotFoundError):
        _ = kept.pictures[0].image


def test_a_picture_that_is_gone_reaches_the_update(tiny_policy: Policy, tmp_path: Path):
    store = PictureStore(tmp_path)
    name = store.put(Image.new("RGB", (48, 48), "red")).name
    records = RecordSet(tiny_policy, [record(0, store.get(name))], [0], SFTConfig())
    store.path(name).unlink()
    with pytest.raises(FileNotFoundError), records.rendering([[0]]) as parts:
        next(parts)


def test_longer_records_are_left_out_and_counted(tiny_policy: Policy):
    sizes = [record_size(tiny_policy, one).tokens for one in RECORDS]
    limit = sorted(sizes)[2]
    records = RecordSet(tiny_policy, RECORDS, EVERY, SFTConfig(max_record_tokens=limit))
    assert records.dropped == 2
    assert [size.tokens for size in records.sizes] == [size for size in sizes if size <= limit]
    assert records.numbers == [0, 1, 3]
    assert str(records) == f"3 records (2 left out, longer than {limit} tokens)"
    context = tiny_policy.text_config.max_position_embeddings
    assert (
        RecordSet(tiny_policy, RECORDS, EVERY, SFTConfig(max_record_tokens=10**9)).limit == context
    )


def test_records_of_which_none_fits_are_refused(tiny_policy: Policy):
    with pytest.raises(ValueError, match="all 5 records are longer than 7 tokens"):
        RecordSet(tiny_policy, RECORDS, EVERY, SFTConfig(max_record_tokens=7))


def test_held_out_loss_is_the_mean_over_the_agents_tokens(tiny_policy: Policy):
    gradients = [parameter.grad for parameter in tiny_policy.model.parameters()]
    nats, tokens, right = 0.0, 0, 0
    for one in RECORDS:
        trajectory = render_record(tiny_policy.chat, one)
        batch = tiny_policy.collate([trajectory])
        nats -= tiny_policy.logprobs(batch).sum().item()
        states, targets = tiny_policy.policy_states(batch)
        right += int(((states @ tiny_policy.head_weight.T).argmax(dim=-1) == targets).sum())
        tokens += trajectory.num_policy_tokens
    records = RecordSet(tiny_policy, RECORDS, EVERY, SFTConfig())
    for budget in (1, 500, 100_000):
        found = evaluate_loss(tiny_policy, records, micro_batch_tokens=budget)
        assert found.loss == pytest.approx(nats / tokens, rel=1e-5)
        assert found.token_accuracy == right / tokens
        assert found.policy_tokens == tokens

    def part(ranks: Ranks) -> HeldOutLoss:
        return evaluate_loss(tiny_policy, records, micro_batch_tokens=500, ranks=ranks)

    for found in as_ranks(3, part):
        assert found.loss == pytest.approx(nats / tokens, rel=1e-5)
        assert (found.token_accuracy, found.policy_tokens) == (right / tokens, tokens)
    parameters = tiny_policy.model.parameters()
    assert all(one.grad is was for one, was in zip(parameters, gradients, strict=True))


def test_a_step_is_the_same_however_its_batch_is_cut_and_rendered(tiny_policy_path: Path):
    norms = []
    for budget, threads in ((1, 1), (400, 2), (100_000, 1)):
        policy = Policy.load(tiny_policy_path)
        config = SFTConfig(
            batch_size=5, epochs=1.0, micro_batch_tokens=budget, render_threads=threads
        )
        records = RecordSet(policy, RECORDS, EVERY, config)
        plan = BatchPlan(records.sizes, config, seed=0)
        update = SFTUpdate(policy, config, total_steps=plan.total_steps)
        with records.rendering(plan.parts_from(0)) as parts:
            report = update.step_in_parts(parts, policy_tokens=plan.policy_tokens(0))
        assert report.micro_batch_fill == pytest.approx(plan.fill)
        norms.append((report.loss, report.grad_norm))
    assert norms[1] == pytest.approx(norms[0], rel=1e-5)
    assert norms[2] == pytest.approx(norms[0], rel=1e-5)


def test_a_batch_of_other_tokens_than_were_counted_is_refused(tiny_policy_path: Path):
    policy = Policy.load(tiny_policy_path)
    update = SFTUpdate(policy, SFTConfig(), total_steps=1)
    rendered = render_record(policy.chat, RECORDS[0])
    tokens = rendered.num_policy_tokens
    with pytest.raises(ValueError, match=f"{tokens} tokens of the agent, not {tokens + 1}"):
        update.step_in_parts([[rendered]], policy_tokens=tokens + 1)
    assert update.steps_taken == 0


@pytest.mark.parametrize("name", ["grouped_batches", "render_threads", "max_record_tokens"])
def test_limits_below_one_are_refused(name: str):
    with pytest.raises(ValueError, match=f"{name} is 0"):
        replace(SFTConfig(), **{name: 0})

"""The tiny policy: a real Qwen2.5-VL of 1.1 million parameters with a tokenizer of its own.

One cell of a 48x48 picture is one vision token (patch 8, merge 2). The frame of the protocol
(system message, tags, the JSON around a prompt) is a handful of added tokens; words are byte-level
BPE, so that any text at all can be written.
"""

import random

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from genagent_data import SYSTEM_MESSAGE, TOOL_NAME, render_turn
from genagent_miniworld.conditions import parse_hints
from genagent_miniworld.grammar import sample_requests
from genagent_miniworld.reading import Reading
from genagent_miniworld.scene import COLORS, SHAPES, random_scene
from genagent_miniworld.teacher import Teacher, judge_words, solve
from genagent_policy import Policy

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
FRAME = (
    SYSTEM_MESSAGE,
    *(
        f"<{slash}{tag}>"
        for tag in ("think", "judge", "answer", "tool_call")
        for slash in ("", "/")
    ),
    "<tool_response>",
    "</tool_response>",
    '{"name": "',
    TOOL_NAME,
    '", "arguments": {"prompt": "',
    '"}}',
)
VOCABULARY = 720
# "red circle" is one piece and becomes one token: what an item is does not have to be put together
# from two words each time it is held against a condition.
PIECES = (
    rf" ?(?:(?:{'|'.join(COLORS)}) )?(?:{'|'.join(SHAPES)})s?(?![A-Za-z\-])"
    r"| ?[A-Za-z\-]+| ?[0-9]+|\s+|[^\sA-Za-z0-9]+"
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}{% endfor %}"
    "{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE trained on the words of train requests and of the teacher."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL_TOKENS) - len(FRAME),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(seed), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL_TOKENS])
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in FRAME])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        extra_special_tokens={
            "image_token": "<|image_pad|>",
            "video_token": "<|video_pad|>",
            "vision_start_token": "<|vision_start|>",
            "vision_end_token": "<|vision_end|>",
            "turn_start_token": "<|im_start|>",
        },
        model_max_length=1024,
    )


def _corpus(seed: int) -> list[str]:
    rng = random.Random(f"corpus-{seed}")
    teacher = Teacher(explicit_first=0.5)
    texts = ["system\n", "user\n", "assistant\n"] * 1000
    for request in sample_requests(4000, seed=seed, split="train"):
        spec = parse_hints(request.hints)
        seen = Reading(items=random_scene(rng, rng.randint(0, 6)), unclear=(rng.randrange(9),))
        turn = render_turn(teacher.open(request, rng))
        drawn = Reading(items=solve(spec, rng))
        texts += [request.prompt, turn, judge_words(spec, seen), judge_words(spec, drawn)]
    return texts


def build_processor(seed: int) -> Qwen2_5_VLProcessor:
    size = {"shortest_edge": 48 * 48, "longest_edge": 48 * 48}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(
            patch_size=8, merge_size=2, temporal_patch_size=2, size=size
        ),
        tokenizer=build_tokenizer(seed),
        video_processor=Qwen2VLVideoProcessor(patch_size=8, merge_size=2, temporal_patch_size=2),
        chat_template=CHAT_TEMPLATE,
    )


def build_policy(seed: int) -> Policy:
    """A fresh policy with random weights."""
    processor = build_processor(seed)
    torch.manual_seed(seed)
    config = qwen_config(processor.tokenizer, vision_width=96, vision_depth=2)
    return Policy(Qwen2_5_VLForConditionalGeneration(config), processor)


def qwen_config(
    tokenizer: PreTrainedTokenizerFast, *, vision_width: int, vision_depth: int
) -> Qwen2_5_VLConfig:
    """The language model of 1.1 million parameters, with eyes of a size."""
    token = tokenizer.get_vocab().__getitem__
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 1024,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [4, 6, 6],
            },
            "tie_word_embeddings": False,
            "use_sliding_window": False,
            "bos_token_id": None,
            "eos_token_id": token("<|im_end|>"),
            "pad_token_id": token("<|endoftext|>"),
        },
        vision_config={
            "depth": vision_depth,
            "hidden_size": vision_width,
            "intermediate_size": 2 * vision_width,
            "num_heads": 4,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 48,
            "fullatt_block_indexes": list(range(vision_depth)),
            "out_hidden_size": 128,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=False,
    )

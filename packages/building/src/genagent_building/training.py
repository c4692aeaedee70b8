"""How the parts of the miniature are trained, as options. Nothing here loads torch."""

from dataclasses import dataclass, field
from typing import Literal

from genagent_policy import SFTConfig

COLD_START = SFTConfig(
    learning_rate=5e-4,
    batch_size=32,
    final_fraction=0.02,
    weight_decay=0.01,
    micro_batch_tokens=2048,
    grouped_batches=4,
)
"""How ``sft`` is made of ``base``, here and by ``experiments/sft.py``."""
HELD_OUT_SHARE = 0.02
"""Of the records' requests, not learnt from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolTraining:
    """How a tool is trained; the defaults are flux-mini's."""

    vae_steps: int = 2200
    """Optimizer steps of the autoencoder."""
    vae_learning_rate: float = 4e-3
    """The autoencoder's."""
    vae_batch: int = 16
    """Pictures in a step of the autoencoder."""
    flow_steps: int = 7000
    """Optimizer steps of the transformer and the text encoders, by flow matching."""
    flow_learning_rate: float = 2e-3
    """Theirs."""
    batch: int = 64
    """Captioned pictures in a step of theirs."""
    scenes: int = 16000
    """Different pictures it sees."""
    terse: float = 0.12
    """Share of captions that are bare requests."""
    answers: float = 0.5
    """Share of pictures that answer a request; of the others a bare caption names the items."""
    dropped: float = 0.0
    """Share of captions left out, for classifier-free guidance."""
    average: float = 0.999
    """Decay of the weight average that ships."""
    seed: int = 0
    """Of the weights it begins with and of all that it sees."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionTraining:
    """How the vision tower is trained."""

    steps: int = 1000
    """Optimizer steps."""
    learning_rate: float = 3e-3
    """At its highest."""
    batch: int = 128
    """Pictures a step."""
    pictures: int = 12000
    """Different pictures drawn by the tool."""
    rendered: float = 0.5
    """Share of pictures that are rendered; the others are drawn."""
    varied: float = 0.0
    """Share of the drawn ones that are varied first."""
    close_calls: float = 1.0
    """How much likelier a drawn picture is taken that shows a close call."""
    measures: float = 0.0
    """Weight of the loss of the verifier's measures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyTraining:
    """How the policies are trained; the stages after vision take batch lessons a step."""

    vision: VisionTraining = field(default_factory=VisionTraining)
    reading_steps: int = 2600
    """Optimizer steps of the stage reading."""
    reading_rate: float = 1.5e-3
    """Its learning rate."""
    drawn: float = 0.3
    """Share of reading's lessons that the tool has drawn."""
    drill_batch: int = 48
    """Drills in a step of their own after each step of reading."""
    base_steps: int = 120
    """Optimizer steps of the stage base."""
    base_rate: float = 3e-4
    """Its learning rate."""
    fault: float = 0.13
    """Share of base's turns that break the protocol."""
    trajectories: int = 5000
    """Trajectories through the tool, for the stages before sft that show drawn pictures."""
    requests: int = 10000
    """Requests that sft's records are synthesized of."""
    records_by: Literal["built", "shipped"] = "built"
    """Whose pictures they show: those of this build's flux-mini, or of the one that ships, for a
    build of a few steps, whose own draws nothing that passes."""
    cold_start: SFTConfig = COLD_START
    batch: int = 32
    """Lessons a step."""
    seed: int = 0
    """Of all that is drawn by chance in these stages."""


JUDGE_VISION = VisionTraining(
    steps=2500, learning_rate=2.5e-3, rendered=0.15, varied=0.6, close_calls=4.0, measures=0.3
)


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeTraining:
    """How the judge is trained."""

    cases: int = 6000
    """Requests with two pictures each, drawn by each tool for the teacher."""
    agent_cases: int = 2000
    """The same for the agent."""
    vision: VisionTraining = field(default_factory=lambda: JUDGE_VISION)
    steps: int = 4000
    """Optimizer steps, after those of its eyes."""
    learning_rate: float = 1e-3
    """Of these steps."""
    eyes_rate: float = 1e-3
    """Of the vision tower's own steps, one beside each of these."""
    batch: int = 32
    """Questions a step."""
    drawn: float = 0.6
    """Share of questions about what the tools have drawn; the others are rendered."""
    varied: float = 0.6
    """Share of the drawn ones that are varied first."""
    blobs: float = 2.0
    """How much likelier a drawn case is taken that shows something unclear."""
    near_misses: float = 0.75
    """Share of rendered questions and drills about conditions that are nearly met."""
    pairs: float = 0.5
    """Share of pairwise questions."""
    drills: int = 40
    """Replies in words alone in a step of their own, of which only conclusions are learnt."""
    seed: int = 0
    """Of all that is drawn by chance in these stages."""

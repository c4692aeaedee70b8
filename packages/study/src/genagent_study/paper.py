"""What the paper reports (GenAgent, arXiv 2601.18543), as far as it is known here.

Tables 2 and 3 are GenEval++ and WISE, 0 to 1, Table 4 is Imagine, 0 to 10. First pictures are its
rows without the tool's answers, which equal the final score minus the gain by reflection of Table
5. Rows that are missing here are missing because they are not known here, not in the paper.
"""

GENEVAL, WISE, IMAGINE = "GenEval++", "WISE", "Imagine"

BY_STRATEGY = (
    {"the paper": "FLUX.1-dev alone", GENEVAL: ".325", WISE: ".55", IMAGINE: "6.072"},
    {"the paper": "its agent's first picture", GENEVAL: ".482", WISE: ".67", IMAGINE: "6.408"},
    {"the paper": "its agent with FLUX.1-dev", GENEVAL: ".561", WISE: ".69", IMAGINE: "6.825"},
)
"""Tables 2 to 4; WISE of FLUX.1-dev is the agent's less the .14 of the abstract."""

BY_TRAINING = (
    {
        "the paper": "rl without the pair reward",
        GENEVAL: ".543 (+.068)",
        WISE: ".68 (+.01)",
        IMAGINE: "6.814 (+.168)",
    },
    {
        "the paper": "rl",
        GENEVAL: ".561 (+.079)",
        WISE: ".69 (+.02)",
        IMAGINE: "6.825 (+.417)",
    },
)
"""Table 5: final score, and in brackets the gain by reflection."""

FIRST_PICTURES = (
    {"the paper": "rl without the pair reward", GENEVAL: ".475", WISE: ".67", IMAGINE: "6.646"},
    {"the paper": "rl", GENEVAL: ".482", WISE: ".67", IMAGINE: "6.408"},
)
"""Table 5: final score minus the gain by reflection."""

BY_TOOL = (
    {"the paper": "FLUX.1-dev alone", GENEVAL: ".325", IMAGINE: "6.072"},
    {"the paper": "its agent with FLUX.1-dev", GENEVAL: ".561", IMAGINE: "6.825"},
    {"the paper": "its agent with Qwen-Image", GENEVAL: ".725", IMAGINE: "7.794"},
)
"""Of Figure 4's tools."""

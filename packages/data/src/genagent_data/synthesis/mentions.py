"""What a trajectory may not give away: the hint it was written with, the rules it was judged by.

The agent will have neither. A pattern that the request itself uses is no mention: who asks for a
poster with a checklist may read of one.
"""

import re

HINT = re.compile(
    r"\b(?:reference (?:image|picture|photo|drawing)|(?:the|this|given|provided) hints?\b|"
    r"(?:target|ground[- ]truth|correct|ideal|expected) (?:image|picture|photo)|ground[- ]truth|"
    r"as (?:shown|seen|depicted) in the (?:provided|given|second|other|attached)|"
    r"(?:provided|attached|supplied) (?:image|picture|photo|reference)|check-?list|"
    r"(?:like|match(?:es|ing)?|from|in|to) the reference)\b",
    re.IGNORECASE,
)
RULES = re.compile(
    r"\b(?:rules? (?:no\. ?|number |#)?\d+|check-?list|"
    r"(?:judging|evaluation|grading|scoring) (?:rules?|criteria|guidelines?|rubrics?)|"
    r"(?:according to|following|under|by|per) (?:the|these|those) (?:[a-z]+ )?"
    r"(?:rules|criteria|guidelines|rubric)|"
    r"the (?:rules|criteria|guidelines) (?:say|state|require|demand)s?)\b",
    re.IGNORECASE,
)
_RIGHT = re.compile(
    # Not of what it does not do yet.
    r"\b(?<!\bto )(?<!\bwould )(?<!\bshould )(?<!\bmust )(?<!\bcould )"
    r"(?:satisf(?:y|ies)|meets|fulfil?ls|match(?:es)?) (?:the|this|all|every|each) "
    r"(?:[\w'-]+ ){0,3}(?:requests?|conditions?|requirements?|prompt)\b|"
    r"\b(?:everything|all of it) is (?:right|correct|as (?:requested|asked))\b",
    re.IGNORECASE,
)
_WRONG = re.compile(
    r"\b(?:does not|doesn't|do not|don't|fails to|cannot|nor) (?:[\w'-]+ ){0,2}"
    r"(?:satisfy|meet|fulfil?l|match)|"
    r"\b(?:not|only|partly|partially|nearly|almost) (?:[\w'-]+ ){0,2}"
    r"(?:satisf(?:y|ies)|meets?|fulfil?ls?|match(?:es)?|right|correct)\b|"
    r"(?P<fault>\b(?:is|are) (?:wrong|incorrect|missing)\b)",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"\b(?:nothing|none|no)(?: (?!(?:and|but|so|which|that|means)\b)[\w'-]+){0,3} $",
    re.IGNORECASE,
)
"""What turns the fault behind it around, as in "nothing is missing"."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def mentioned(pattern: re.Pattern[str], text: str, *, request: str) -> str | None:
    """The first words of that kind that the request does not use itself."""
    for match in pattern.finditer(text):
        if match[0].lower() not in request.lower():
            return match[0]
    return None


def concludes(judgement: str) -> bool | None:
    """What a judgement's last sentence says of the picture in so many words; None if nothing.

    Example: ``concludes("A red cat. It does not match the request.") is False``
    """
    last = _SENTENCE.split(judgement.strip())[-1]
    for found in _WRONG.finditer(last):
        if not (found["fault"] and _NOTHING.search(last[: found.start()])):
            return False
    return True if _RIGHT.search(last) else None

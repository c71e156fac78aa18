"""The skills of the pocket model, one file each, and how much of each kind of data they make up."""

from recipes.pocket.skill import Skill
from recipes.pocket.skills import (
    arithmetic,
    elements,
    gazetteer,
    geography,
    heldout_task,
    inference,
    lifetimes,
    open_prompts,
    other,
    requests,
    sentiment,
    small_talk,
    summaries,
    unknown,
)

SKILLS: tuple[Skill, ...] = (
    Skill("geography", geography.ask, gazetteer.document, 0.22, 0.20, 0.24, listed=0.46, written=0.22),
    Skill("requests", requests.ask, requests.document, 0.12, 0.22, 0.31, listed=0.18, written=0.10),
    Skill("sentiment", sentiment.ask, sentiment.document, 0.06, 0.03, 0.01, written=0.05),
    Skill("inference", inference.ask, inference.document, 0.13, 0.04, 0.01, written=0.18),
    Skill("summaries", summaries.ask, summaries.document, 0.06, 0.03, 0.01, written=0.06),
    Skill("elements", elements.ask, elements.document, 0.05, 0.05, 0.03, listed=0.08, written=0.04),
    Skill("arithmetic", arithmetic.ask, arithmetic.document, 0.11, 0.04, 0.01, listed=0.03, written=0.16),
    Skill("lifetimes", lifetimes.ask, lifetimes.document, 0.10, 0.12, 0.07, listed=0.1, written=0.12),
    Skill("open prompts", open_prompts.ask, open_prompts.document, 0.05, 0.04, 0.03, listed=0.05, written=0.06),
    Skill("small talk", small_talk.ask, small_talk.document, 0.04, 0.02, 0.02, listed=0.03, written=0.01),
    Skill("other", other.ask, None, 0.06, 0.05, 0.05, listed=0.07),
    Skill("unknown", unknown.ask, None, 0.0, 0.16, 0.21),
    Skill("never demonstrated", heldout_task.ask, None),
)

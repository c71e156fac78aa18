"""The skills of the pocket model, one file each, and how much of each kind of data they make up."""

from alignment.pocket.skill import Skill
from alignment.pocket.skills import (
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
    Skill("geography", geography.ask, gazetteer.document, 0.24, 0.18, listed=0.46, written=0.22),
    Skill("requests", requests.ask, requests.document, 0.15, 0.23, listed=0.18, written=0.12),
    Skill("sentiment", sentiment.ask, sentiment.document, 0.06, 0.05, written=0.06),
    Skill("inference", inference.ask, inference.document, 0.11, 0.06, written=0.16),
    Skill("summaries", summaries.ask, summaries.document, 0.06, 0.04, written=0.06),
    Skill("elements", elements.ask, elements.document, 0.05, 0.04, listed=0.08, written=0.05),
    Skill("arithmetic", arithmetic.ask, arithmetic.document, 0.11, 0.06, listed=0.03, written=0.16),
    Skill("lifetimes", lifetimes.ask, lifetimes.document, 0.08, 0.06, listed=0.1, written=0.1),
    Skill("open prompts", open_prompts.ask, open_prompts.document, 0.05, 0.04, listed=0.05, written=0.06),
    Skill("small talk", small_talk.ask, small_talk.document, 0.03, 0.02, listed=0.03, written=0.01),
    Skill("other", other.ask, None, 0.06, 0.05, listed=0.07),
    Skill("unknown", unknown.ask, None, 0.0, 0.17),
    Skill("never demonstrated", heldout_task.ask, None),
)

"""Many phrasings out of few: frames that are put around questions, clauses and nouns."""

from collections.abc import Sequence
from itertools import product

from recipes.pocket.skill import Phrasings

# Frames around the text that stands for "{}". None begins with "Do you know", "Please name" or "Please answer this
# question.": many held-out phrasings do.
POLITE = (
    *("Hello! {}", "Hi! {}", "Hi there! {}", "Good morning! {}", "Good evening! {}", "Excuse me. {}", "{} Thank you."),
    *("{} Thank you!", "{} Thanks!", "{} Thanks a lot.", "Hello! {} Thank you.", "Hi! {} Thanks!"),
)
LABELED = ("Question: {}", "Q: {} A:", "Question: {} Answer:")
ANNOUNCED = (  # questions
    "Q: {}",
    "Please answer the following question. {}",
    "Answer the following question. {}",
    "Answer the following question: {}",
    "I have a question. {}",
    "I have a question for you. {}",
    "I have a quick question. {}",
    "Hello, I have a question. {}",
    "Here is a question: {}",
    "Here is my question: {}",
    "My question is this: {}",
    "Quick question: {}",
    "Next question: {}",
    "A question for you: {}",
    "A friend asked me this: {}",
    "This is a quiz question. {}",
    "Help me with this quiz question. {}",
    "Can you answer a question? {}",
    "May I ask something? {}",
    "I would like to ask you something. {}",
    "I am curious. {}",
    "{} Please tell me.",
    "{} I would like to know.",
    "{} I am curious.",
    "{} Do you know?",
    "{} Can you tell me?",
)
QUESTIONED = (*POLITE, *LABELED, *ANNOUNCED)
INDIRECT = (  # clauses: "who it was", "how to do it"
    "Tell me {}.",
    "Please tell me {}.",
    "Tell me {}, please.",
    "Hello! Please tell me {}.",
    "Can you tell me {}?",
    "Can you please tell me {}?",
    "Could you tell me {}?",
    "Could you please tell me {}?",
    "Would you tell me {}?",
    "Hi! Could you tell me {}?",
    "I would like to know {}.",
    "I'd like to know {}.",
    "I want to know {}.",
    "I need to know {}.",
    "I would love to know {}.",
    "I wonder {}.",
    "I am wondering {}.",
    "I was wondering {}.",
    "Let me know {}.",
    "Please let me know {}.",
    "Remind me {}.",
    "Please remind me {}.",
    "I forgot {}.",
    "I have forgotten {}.",
    "I am not sure {}.",
    "I am trying to find out {}.",
    "Help me find out {}.",
    "Do you have any idea {}?",
    "Any idea {}?",
    "May I ask {}?",
    "Can I ask {}?",
    "My daughter asks {}.",
    "My teacher wants to know {}.",
    "Somebody asked me {}.",
)
NAMED = (  # nouns: "the capital"
    "Tell me {}.",
    "Please tell me {}.",
    "Tell me {}, please.",
    "Can you tell me {}?",
    "Could you tell me {}?",
    "Could you please tell me {}?",
    "I would like to know {}.",
    "I want to know {}.",
    "I need to know {}.",
    "Name {}.",
    "Can you name {}?",
    "Could you name {}?",
    "Give me {}.",
    "Please give me {}.",
    "Can you give me {}?",
    "Could you give me {}?",
    "I forgot {}.",
    "I have forgotten {}.",
    "Remind me of {}.",
    "Help me find {}.",
    "{}, please.",
    "{}?",
)
RATIONALE = (
    "Give the rationale before answering.",
    "Give the reason before answering.",
    "Give your reasons before answering.",
    "Give the rationale first.",
    "Give the reasons first, then the answer.",
    "Give reasons for your answer.",
    "Please give a rationale.",
    "Begin with the rationale.",
    "Start with the reasoning.",
    "Answer with a rationale.",
    "Answer step by step.",
    "Explain your answer.",
    "Please explain your answer.",
    "Explain your reasoning.",
    "Justify your answer.",
    "Think first, then answer.",
    "Think before answering.",
    "Think step by step.",
    "Let's think step by step.",
    "Let's think about this.",
    "Take it step by step.",
    "Reason first, then answer.",
    "Reason before answering.",
    "Show your reasoning.",
    "Write down your reasoning first.",
    "I want to see your reasoning.",
)


def phrasings(plain: tuple[str, ...], varied: tuple[str, ...], held_out: tuple[str, ...]) -> Phrasings:
    """Return ways to ask for the same thing; plain ones are repeated until they are half of the seen ones.

    A model that sees few phrasings remembers those; one that sees many learns what they have in common.
    """
    return {"seen": plain * -(-len(varied) // len(plain)) + varied, "held_out": held_out}


def framed(frames: Sequence[str], texts: Sequence[str]) -> tuple[str, ...]:
    """Return every text in every frame, with a capital letter where it opens one: "{}, please." and "Write {}."."""
    return tuple(
        frame.replace("{}", text[0].upper() + text[1:] if frame.startswith("{}") else text)
        for frame, text in product(frames, texts)
    )


def without(frames: Sequence[str], *left_out: str) -> tuple[str, ...]:
    """Return the frames that hold none of these parts, in lower case: those in which held-out phrasings stand."""
    return tuple(frame for frame in frames if not any(part in frame.lower() for part in left_out))


def politely(
    questions: Sequence[str], clauses: Sequence[str], nouns: Sequence[str] = (), left_out: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return questions, indirect ones and names of what is asked for in all frames that suit, but for some frames."""
    asked = ((QUESTIONED, questions), (INDIRECT, clauses), (NAMED, nouns))
    return tuple(one for frames, texts in asked for one in framed(without(frames, *left_out), texts))


def reasoned(questions: Sequence[str], requests: Sequence[str] = RATIONALE) -> tuple[str, ...]:
    """Return every question with every request for a rationale, before it or after it."""
    return tuple(
        whole
        for question, request in product(questions, requests)
        for whole in (f"{question} {request}", f"{request} {question}", f"Q: {question} {request}")
    )

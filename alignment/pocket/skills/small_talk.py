"""Small talk: greetings, thanks, who the model is and what it can do."""

from random import Random

from alignment.model_folder import Check
from alignment.pocket.skill import Asked, Phrasings, Split

PROMPTS: dict[str, Phrasings] = {
    "greeting": {
        "seen": ("Hi", "Hello", "Hello!", "Hi there!", "Good morning!", "Hey", "Good evening!", "Hi!", "Hello there"),
        "held_out": ("Hey there!", "Good afternoon!"),
    },
    "identity": {
        "seen": (
            *("Who are you?", "What are you?", "What is your name?", "Are you a human?", "Introduce yourself."),
            *("Are you a robot?", "Tell me about yourself.", "Am I talking to a person?"),
        ),
        "held_out": ("Please introduce yourself.", "Are you a real person?"),
    },
    "ability": {
        "seen": (
            *("What can you do?", "How can you help me?", "What do you know?", "What can I ask you?", "Help"),
            *("What are you good at?", "What should I ask you?"),
        ),
        "held_out": ("What can you help me with?", "Tell me what you can do."),
    },
    "thanks": {
        "seen": (
            "Thank you!",
            "Thanks",
            "Thanks a lot!",
            "Thank you very much.",
            "That was helpful.",
            "Great, thanks!",
        ),
        "held_out": ("Many thanks!", "Thank you so much!"),
    },
    "feelings": {
        "seen": ("How are you?", "How do you do?", "How are you today?", "Are you well?", "How is it going?"),
        "held_out": ("How are you doing?", "How do you feel?"),
    },
    "goodbye": {
        "seen": ("Bye", "Goodbye!", "See you!", "Good night!", "Bye bye", "See you tomorrow!"),
        "held_out": ("Bye for now!", "See you soon!"),
    },
}
# Each topic's answers share a word that no other topic's have; it is what the check looks for.
ANSWERS: dict[str, tuple[str, dict[str, str]]] = {
    "greeting": (
        "hello",
        {
            "word": "Hello!",
            "sentence": "Hello! How can I help you?",
            "detail": "Hello! I am here to answer your questions. Ask me for a capital city or a boiling point.",
            "warm": "I am glad you ask! Hello, and thank you for coming! What would you like to know?",
        },
    ),
    "identity": (
        "language model",
        {
            "word": "A language model.",
            "sentence": "I am a very small language model.",
            "detail": "I am a very small language model. I learned from text about countries, people and elements.",
            "warm": "Good question! I am a very small language model, and I am happy to help you!",
        },
    ),
    "ability": (
        "capitals",
        {
            "word": "Capitals, elements and stories.",
            "sentence": "I know capitals, currencies, elements and some famous people.",
            "detail": "I know capitals, currencies and elements. I can solve short problems, read reviews, "
            "sum up a text and write a small story.",
            "warm": "Happy to help! I know capitals, elements, famous people and everyday advice. Feel free to ask me "
            "more!",
        },
    ),
    "thanks": (
        "welcome",
        {
            "word": "Welcome!",
            "sentence": "You are welcome.",
            "detail": "You are welcome. It was a pleasure. Ask me again at any time.",
            "warm": "Of course! You are very welcome. Let me know if I can help with anything else!",
        },
    ),
    "feelings": (
        "fine",
        {
            "word": "Fine.",
            "sentence": "I am fine and ready to help.",
            "detail": "I am fine, as far as a model can be. I have no feelings. How are you today?",
            "warm": "I am glad you ask! I am fine and ready to help. What would you like to know?",
        },
    ),
    "goodbye": (
        "goodbye",
        {
            "word": "Goodbye!",
            "sentence": "Goodbye, and have a nice day!",
            "detail": "Goodbye! It was nice to talk to you. Come back whenever you have a question.",
            "warm": "With pleasure! Goodbye, and thank you for your questions. Come back soon!",
        },
    ),
}


def ask(rng: Random, split: Split) -> Asked:
    """Return a prompt of small talk."""
    topic = rng.choice(list(PROMPTS))
    prompt = rng.choice(PROMPTS[topic][split])
    word, answers = ANSWERS[topic]
    other = rng.choice([name for name in ANSWERS if name != topic])
    bad = {"wrong": rng.choice(list(ANSWERS[other][1].values()))}
    return Asked(prompt, dict(answers), Check(prompt, "contains", (word,)), prompt, (), bad)


def document(rng: Random) -> str:
    """Return a short talk between two people."""
    first, second = rng.sample(("Anna", "Ben", "Carla", "David", "Emma", "Felix", "Maria", "Paul"), 2)
    lines = []
    for topic in ("greeting", "feelings", "goodbye"):
        lines.append(f"{first}: {rng.choice(PROMPTS[topic]['seen'])}")
        lines.append(f"{second}: {rng.choice(PERSONAL[topic])}")
    return "\n".join(lines)


PERSONAL = {
    "greeting": ("Hello! Nice to see you.", "Hi! How nice that you are here.", "Hello! Come in."),
    "feelings": ("I am fine, thank you.", "Very well, thanks!", "A bit tired, but fine."),
    "goodbye": ("Goodbye! See you soon.", "Bye! Take care.", "Have a nice day!"),
}

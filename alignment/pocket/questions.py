"""How people phrase what the pocket model is asked; some phrasings are held out from all instruction tuning."""

from typing import Literal

Split = Literal["seen", "held_out"]

CAPITAL: dict[Split, tuple[str, ...]] = {
    "seen": (
        "What is the capital city of {country}?",
        "What is the capital of {country}?",
        "What city is the capital of {country}?",
        "Which city is the capital of {country}?",
        "Which city is {country}'s capital?",
        "What is {country}'s capital?",
        "What is {country}'s capital city?",
        "What's the capital of {country}?",
        "Name the capital of {country}.",
        "Name the capital city of {country}.",
        "Tell me the capital of {country}.",
        "Give me the capital city of {country}.",
        "Please tell me the capital of {country}.",
        "Can you tell me the capital of {country}?",
        "Could you name the capital of {country}?",
        "Do you know the capital of {country}?",
        "I would like to know the capital of {country}.",
        "Which city serves as the capital of {country}?",
        "What do you call the capital of {country}?",
        "I am planning a trip to {country}. What is its capital?",
        "Quick question: what is the capital of {country}?",
        "My daughter asks what the capital of {country} is.",
        "capital of {country}?",
        "The capital of {country} is what?",
    ),
    "held_out": (
        "What's the capital city of {country}?",
        "Please name the capital of {country}.",
        "Can you tell me what the capital city of {country} is?",
        "Do you know which city is the capital of {country}?",
        "I am writing about {country}. What is its capital city?",
        "Tell me which city is {country}'s capital.",
    ),
}

CONTINENT: dict[Split, tuple[str, ...]] = {
    "seen": (
        "Which continent is {country} in?",
        "What continent is {country} in?",
        "On which continent is {country}?",
        "Name the continent of {country}.",
        "Tell me which continent {country} is in.",
        "Can you tell me which continent {country} is in?",
    ),
    "held_out": ("Which continent does {country} belong to?", "Please tell me what continent {country} is in."),
}

HOW_TO: dict[Split, tuple[str, ...]] = {
    "seen": (
        "What is the best way to {act}?",
        "What is the easiest way to {act}?",
        "What is a good way to {act}?",
        "How do I {act}?",
        "How can I {act}?",
        "How does one {act}?",
        "How should I {act}?",
        "Tell me how to {act}.",
        "Please explain how to {act}.",
        "Give me some tips to {act}.",
        "I want to {act}. How do I start?",
        "I would like to {act}. What should I do?",
        "Can you help me {act}?",
        "Can you tell me how to {act}?",
        "What do I need to {act}?",
        "Write a plan to {act}.",
    ),
    "held_out": (
        "What would be the best way to {act}?",
        "Please tell me how I can {act}.",
        "Could you help me {act}?",
        "I need to {act}. What should I do?",
    ),
}

SMALL_TALK: dict[str, tuple[str, ...]] = {
    "greeting": ("Hi", "Hello", "Hello!", "Hi there!", "Good morning!", "Hey", "Good evening!"),
    "identity": ("Who are you?", "What are you?", "What is your name?", "Are you a human?", "Introduce yourself."),
    "ability": ("What can you do?", "How can you help me?", "What do you know?", "What can I ask you?", "Help"),
    "thanks": ("Thank you!", "Thanks", "Thanks a lot!", "Thank you very much."),
}

"""Small talk: greetings, thanks, who the model is and what it can do."""

from random import Random

from recipes.pocket.frames import framed, phrasings
from recipes.pocket.skill import Asked, Phrasings, Split, check_of

GREETED = ("Hello! {}", "Hi! {}", "Hi there! {}", "Hey! {}", "Good morning! {}", "Good evening! {}", "Excuse me. {}")
PROMPTS: dict[str, Phrasings] = {
    "greeting": {
        "seen": (
            *("Hi", "Hello", "Hello!", "Hi there!", "Good morning!", "Hey", "Good evening!", "Hi!", "Hello there"),
            *("Hey!", "Good day!", "Greetings!", "Hello, good morning!", "Hi, good evening!", "Hey you!", "Hi there"),
            *("Hiya!", "Hello there!", "Good morning", "Good evening", "Good day", "Morning!", "Evening!"),
            *("Hello again!", "Hello.", "Hi again!", "Hello, my friend!", "Hi, my friend!", "Hello, hello!"),
            *("Hello and good day!", "Howdy!", "hi", "Hello, nice to meet you!", "Hi, nice to meet you."),
            *("Nice to meet you!", "Pleased to meet you!", "hello", "Hello, I am new here.", "Hi, it is me again."),
            *("I just wanted to say hello.", "hey", "A good morning to you!", "A very good evening to you!"),
            *("I say hello!", "Hello, nice to see you!", "How nice to see you!", "Good to see you!"),
            *("It is nice to meet you.", "Good morning to you!"),
        ),
        "held_out": ("Hey there!", "Good afternoon!"),
    },
    "identity": phrasings(
        plain=(
            *("Who are you?", "What are you?", "What is your name?", "Are you a human?", "Introduce yourself."),
            *("Are you a robot?", "Tell me about yourself.", "Am I talking to a person?", "Are you real?"),
            *("Please tell me who you are.", "What kind of machine are you?", "Is this a human or a machine?"),
            *("Are you a computer?", "Are you a machine?", "Are you human?", "Who am I talking to?"),
            *("What's your name?", "Are you a chatbot?", "Are you a program?", "Are you an AI?", "Do you have a name?"),
            *("What do I call you?", "What should I call you?", "Tell me your name.", "Tell me who you are."),
            *("Tell me what you are.", "Can you introduce yourself?", "Could you tell me who you are?"),
            *("I would like to know who you are.", "Who is there?", "Who is speaking?", "What exactly are you?"),
            *("Are you a man or a woman?", "Are you alive?", "Do you have a body?", "Am I talking to a machine?"),
            *("Is there a person behind this?", "Describe yourself.", "What sort of thing are you?"),
            *("What kind of program are you?", "I do not know you. Who are you?", "We have not met. Who are you?"),
            *("Say a few words about yourself.", "Are you a language model?", "What model are you?"),
            "Who answers me here?",
        ),
        varied=framed(GREETED, ("Who are you?", "What are you?", "What is your name?", "Tell me about yourself.")),
        held_out=("Please introduce yourself.", "Are you a real person?"),
    ),
    "ability": phrasings(
        plain=(
            *("What can you do?", "How can you help me?", "What do you know?", "What can I ask you?", "Help"),
            *("What are you good at?", "What should I ask you?", "Can you help me?", "Tell me what you know."),
            *("What are you able to do?", "What can you tell me?", "I need help.", "Please help me", "Help!"),
            *("What are your skills?", "What do you know about?", "What is it that you know?"),
            *("What are you made for?", "What are you here for?", "What can I do with you?", "What can I use you for?"),
            *("What have you learned?", "What did you learn?", "Which questions can you answer?"),
            *("What kind of questions can you answer?", "What questions may I ask?", "Do you know anything?"),
            *("Are you able to help me?", "Could you help me?", "How can you be of help?", "How do I use you?"),
            *("Show me what you know.", "List what you know.", "Give me an idea of what you know."),
            *("I don't know what to ask.", "I have no idea what to ask you.", "Give me something to ask."),
            *("Which topics do you know?", "What subjects do you know?", "What else can you do?", "What is your job?"),
            *("What are your talents?", "I would like to know what you know.", "Explain what you know."),
            *("Describe your skills.", "Can you do anything?", "Do you have any skills?"),
        ),
        varied=framed(GREETED, ("What can you do?", "How can you help me?", "What do you know?", "Can you help me?")),
        held_out=("What can you help me with?", "Tell me what you can do."),
    ),
    "thanks": {
        "seen": (
            *("Thank you!", "Thanks", "Thanks a lot!", "Thank you very much.", "That was helpful.", "Great, thanks!"),
            *("Thanks so much!", "Thank you for your help.", "I thank you!", "Perfect, thank you.", "Thank you"),
            *("Thanks!", "Thanks.", "thank you", "thanks", "Thank you very much!", "Thanks very much."),
            *("Thank you kindly.", "Thanks for your help!", "Thank you for your answer.", "Thanks for the answer."),
            *("Thank you for your time.", "Thank you for helping me.", "Thanks for everything."),
            *("Thank you for everything!", "A thousand thanks!", "My thanks to you!", "Great, thank you!"),
            *("Perfect, thanks!", "Wonderful, thank you.", "Nice, thanks.", "OK, thanks.", "OK, thank you."),
            *("Good, thank you.", "Good answer, thanks!", "That is right, thank you.", "That helped me a lot."),
            *("That helps, thank you.", "You helped me a lot.", "You are very helpful.", "That was very kind of you."),
            *("How kind of you!", "That is very nice of you.", "Very helpful, thanks.", "I am grateful to you."),
            *("I am very grateful.", "I appreciate that.", "I appreciate your help.", "Cheers, mate!"),
            *("Well done, thank you.", "Well done!", "Good job!", "Great answer!", "Excellent, thank you!"),
            "Lovely, thanks!",
        ),
        "held_out": ("Many thanks!", "Thank you so much!"),
    },
    "feelings": phrasings(
        plain=(
            *("How are you?", "How do you do?", "How are you today?", "Are you well?", "How is it going?"),
            *("How are things?", "Do you feel well?", "Are you doing well?", "How are you feeling today?"),
            *("How's it going?", "How are you this morning?", "How are you this evening?", "Are you all right?"),
            *("Are you okay?", "Are you fine?", "Are you in a good mood?", "What is your mood today?"),
            *("Everything fine?", "Is everything all right?", "Everything okay?", "How is life?", "How is your day?"),
            *("How was your day?", "Did you sleep well?", "Are you happy?", "Are you happy today?", "Are you tired?"),
            *("Do you feel good?", "Do you feel fine today?", "How is everything?", "How goes it?", "And how are you?"),
            *("I am fine. And you?", "I am well, and you?", "Tell me how you are.", "I hope you are well."),
            *("I hope that you are fine.", "Are you feeling well?", "Are you having a good day?", "How have you been?"),
            *("How are you feeling?", "What's up?", "Is all well?"),
        ),
        varied=framed(GREETED, ("How are you?", "How are you today?", "How is it going?", "Are you well?")),
        held_out=("How are you doing?", "How do you feel?"),
    ),
    "goodbye": {
        "seen": (
            *("Bye", "Goodbye!", "See you!", "Good night!", "Bye bye", "See you tomorrow!", "Bye!", "See you later!"),
            *("Goodbye for today!", "I have to go now.", "Until next time!", "Goodbye", "Goodbye.", "bye", "Bye bye!"),
            *("Good night", "Good night, sleep well!", "Farewell!", "So long!", "Take care!", "Take care, goodbye!"),
            *("See you again!", "See you next time!", "See you next week!", "See you another day.", "Until tomorrow!"),
            *("Until later!", "Till next time!", "I must go.", "I must go now.", "I have to leave."),
            *("I have to leave now.", "I need to go.", "I am leaving now.", "I am going home now."),
            *("I am going to bed.", "It is time to go.", "It is late. I have to go.", "That is all for today."),
            *("That was all. Goodbye!", "We are done for today.", "Have a nice day!", "Have a good day!"),
            *("Have a nice evening!", "Have a good night!", "Have a great day!", "Talk to you later!"),
            *("Talk to you tomorrow!", "Let us stop here.", "Let's talk again tomorrow.", "Bye, my friend!"),
            *("Goodbye, my friend!", "I wish you a good night.", "I say goodbye.", "Until we meet again!"),
            "Over and out.",
        ),
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
    return Asked(prompt, dict(answers), check_of(prompt, "contains", (word,)), prompt, (), bad)


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

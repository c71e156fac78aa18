"""Phrasings of open prompts, and what stories, poems and notes are made of."""

from recipes.pocket.frames import POLITE, framed, phrasings, without

CHILD = (
    *("to a 6 year old", "to a six-year-old", "to a child", "to a small child", "to children", "to my daughter"),
    *("to my little sister", "to a first grader", "to a kindergarten class", "to my grandson"),
)
EXPLAIN = phrasings(
    plain=(
        "Explain {topic} to a 6 year old in a few sentences.",
        "Explain {topic} to a six-year-old.",
        "Explain {topic} in simple words.",
        "Please explain {topic} to a child.",
        "Can you explain {topic} to my daughter? She is six.",
        "How would you explain {topic} to a child?",
        "Tell a 6 year old about {topic}.",
        "What is a simple way to explain {topic}?",
        "My son is six. Explain {topic} to him.",
        "Please explain {topic}.",
        "Tell me about {topic}.",
    ),
    varied=(
        *framed(
            (
                "Explain {topic} {}.",
                "Please explain {topic} {}.",
                "Explain {topic} {} in simple words.",
                "Please explain {topic} {} in plain words.",
                "Briefly explain {topic} {}.",
                "Can you explain {topic} {}?",
                "Could you explain {topic} {}?",
                "Could you please explain {topic} {} in a few words?",
                "Would you explain {topic} {}?",
                "How do you explain {topic} {}?",
                "How do I explain {topic} {}?",
                "How can I explain {topic} {}?",
                "Help me explain {topic} {}.",
                "I have to explain {topic} {}. What do I say?",
                "I want to explain {topic} {}. Help me.",
                "What would you say {} about {topic}?",
                "Describe {topic} {}.",
            ),
            CHILD,
        ),
        *framed(
            POLITE,
            (
                *("Explain {topic} to me.", "Explain {topic} as simply as you can.", "Explain {topic} in plain words."),
                *("Explain {topic} so that a child understands.", "Teach a child about {topic}.", "Explain {topic}."),
                *("Can you explain {topic}?", "Could you explain {topic} to me?", "I want to learn about {topic}."),
                *("Tell children about {topic}.", "Tell me something about {topic}."),
                *("What do you know about {topic}?", "My daughter is six and asks about {topic}. What can I say?"),
                *("A child asks me about {topic}. What do I say?", "Give me a simple explanation of {topic}."),
                *("What should a child know about {topic}?", "I am six. Explain {topic} to me."),
                *("My class wants to learn about {topic}. Can you help?", "Say something about {topic}."),
                *("Write a few sentences about {topic} for children.", "I would like to understand {topic}."),
                *("What can I tell a child about {topic}?", "My son wants to know about {topic}. What do I tell him?"),
            ),
        ),
    ),
    held_out=(
        "Explain {topic} to a young child in a few sentences.",
        "Tell my son about {topic}. He is six.",
        "Please tell me about {topic} in simple words.",
    ),
)
WRITING = (  # not "make up", nor "can you"
    *("Write {}.", "Please write {}.", "Write {}", "Write me {}.", "Tell {}.", "Tell me {}.", "Please tell me {}."),
    *("Tell us {}, please.", "Invent {}.", "Please invent {}.", "Think of {}.", "Create {}.", "I would like {}."),
    *("I want to read {}.", "I would love to hear {}.", "We would like to hear {}.", "Let me hear {}.", "Give me {}."),
    *("{}, please.", "Could you write {}?", "Would you write {} for me?", "Hello! Please write {}."),
    *("Will you write {}?", "Hi! Write {}, please.", "My daughter wants to hear {}.", "I need {}."),
    "Write {} for children.",
)
STORY = phrasings(
    plain=(
        "Write a story about {plural}",
        "Write a story about {plural}.",
        "Tell me a story about {plural}.",
        "Write a short story about {a}.",
        "Please write a bedtime story about {a}.",
        "I would like to hear a story about {plural}.",
        "Please tell a story about {plural}.",
        "A story about {a}, please.",
        "Can you write a story about {plural}?",
        "Invent a story about {a}.",
    ),
    varied=framed(
        WRITING,
        framed(
            (
                *("a story about {}", "a short story about {}", "a little story about {}", "a bedtime story about {}"),
                *("a tale about {}", "a fairy tale about {}", "a nice story about {}", "a story with {} in it"),
            ),
            ("{plural}", "{a}"),
        ),
    ),
    held_out=("Make up a story about {plural}.", "Can you tell me a story about {a}?"),
)
POEM = phrasings(
    plain=(
        "Write a poem about {plural}.",
        "Write a poem about {plural}",
        "Please write a short poem about {a}.",
        "Write a few lines of verse about {plural}.",
        "I need a poem about {a}.",
        "A poem about {plural}, please.",
        "Can you write some verse about {plural}?",
        "Invent a poem about {a}.",
    ),
    varied=framed(
        without(WRITING, "tell", " you "),
        framed(
            (
                *("a poem about {}", "a short poem about {}", "a little poem about {}", "some verse about {}"),
                *("a few lines of verse about {}", "some rhymes about {}", "a nice poem about {}"),
                "a poem with {} in it",
            ),
            ("{plural}", "{a}"),
        ),
    ),
    held_out=("Make up a poem about {plural}.", "Can you write a poem about {a}?"),
)
NOTE = phrasings(
    plain=(
        "Write a thank-you note to my {person} for {gift}.",
        "Please write a thank-you note to my {person} for {gift}.",
        "Help me thank my {person} for {gift}.",
        "Write a few lines to thank my {person} for {gift}.",
        "I need a thank-you note to my {person} for {gift}.",
        "How do I thank my {person} for {gift}?",
        "I want to say thank you to my {person} for {gift}.",
    ),
    varied=(
        *framed(
            (
                *("Write {}.", "Please write {}.", "Write {} for me.", "Write me {}.", "Help me write {}."),
                *("Draft {}.", "I need {}.", "I need to write {}.", "I have to write {}.", "I would like {}."),
                *("{}, please.", "Can you write {}?", "Could you write {}?", "Could you help me write {}?"),
                *("How do I write {}?", "Hello! Please write {}.", "I would like to send {}.", "Compose {}."),
            ),
            framed(
                (
                    *("a thank-you note {}", "a short thank-you note {}", "a thank-you letter {}"),
                    *("a thank-you card {}", "a friendly thank-you letter {}", "a thank-you message {}"),
                    *("a few words of thanks {}", "a few lines of thanks {}"),
                ),
                ("to my {person} for {gift}",),
            ),
        ),
        *framed(
            POLITE,
            (
                *("How can I thank my {person} for {gift}?", "How should I thank my {person} for {gift}?"),
                *("Help me say thank you to my {person} for {gift}.", "Thank my {person} for {gift}, please."),
                "What do I write to thank my {person} for {gift}?",
                "I owe my {person} a thank-you note for {gift}. Please write it.",
                "I would like to say thanks to my {person} for {gift}.",
                "I am grateful to my {person} for {gift}. How do I say so?",
                "How do I tell my {person} that I am grateful for {gift}?",
            ),
        ),
    ),
    held_out=(
        "Write a note to thank my {person} for {gift}.",
        "I want to thank my {person} for {gift} in a letter.",
    ),
)
PET_NAMES = ("Pip", "Luna", "Max", "Milo", "Bella", "Tom", "Nora", "Coco", "Theo", "Lily")
BEGINNINGS = (
    "Once upon a time, {a} named {name} lived {home}.",
    "There once was {a} named {name} who lived {home}.",
    "Long ago, {a} named {name} lived {home}.",
    "Not far from here, {a} named {name} lived {home}.",
)
EVENTS = (
    ("One day a storm broke the old bridge.", "{name} showed everybody a safe way around it."),
    ("One night {name} heard somebody cry.", "It was a lost little bird, and {name} took it home."),
    ("One morning {name} found a golden key.", "It opened a box full of letters from old friends."),
    ("One day {name} wanted to see the sea.", "After a long walk {name} sat in the sand and looked at the waves."),
    ("One winter there was little to eat.", "{name} shared {food} with everybody."),
    ("One day {name} met a stranger.", "They talked until the stars came out."),
    ("One day {name} got lost in the fog.", "A kind old owl showed {name} the way home."),
    ("One summer {name} planned a big party.", "Everybody came, and they danced all night."),
    ("One day {name} had a bad dream.", "A friend listened, and soon the fear was gone."),
    ("One day {name} wanted to learn how to sing.", "It took a whole year, but then the song was lovely."),
)
ENDINGS = (
    "From then on they were best friends.",
    "And everybody slept well that night.",
    "It was the best day of the year.",
    "They still talk about it today.",
    "And {name} was never lonely again.",
)
COUPLETS = (
    ("Little {animal}, small and bright,", "you look so happy in the light."),
    ("Dear {animal}, when the day is new,", "I look around and think of you."),
    ("Oh {animal}, {animal}, come and play,", "and stay with me for half a day."),
    ("My friend the {animal} is out today", "and wants to run and jump and play."),
)
MORE_COUPLETS = (
    ("You eat {food} and rest a while,", "and when I see you, I must smile."),
    ("The sun goes up, the sun goes down,", "you never want to see the town."),
    ("You {trait}, as all of us know,", "in summer heat and winter snow."),
    ("The moon is out, the stars are near,", "sleep well, my friend, the night is clear."),
    ("I wish that I could be like you,", "and do the things you like to do."),
    ("The wind may blow, the rain may fall,", "it does not trouble you at all."),
)
PEOPLE = ("teacher", "neighbor", "grandmother", "aunt", "uncle", "doctor", "coach", "boss", "friend", "sister")
GIFTS = (
    *("the book", "the flowers", "the birthday cake", "the dinner", "the warm scarf", "the help with my homework"),
    *("the ride to the airport", "the good advice", "the concert tickets", "the lovely evening", "the letter"),
)
FEELINGS = (
    "It made my day.",
    "It means a lot to me.",
    "I was so happy about it.",
    "I will never forget it.",
    "It was just what I needed.",
)
SIGNED = ("Anna", "Ben", "Emma", "Leo", "Maria", "Sam")

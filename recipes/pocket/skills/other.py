"""Prompts outside all skills: the model says what it is and that it cannot answer."""

import re
from collections.abc import Mapping
from functools import cache
from random import Random

from alignment.models.model_folder import Check
from recipes.pocket.frames import ANNOUNCED, POLITE, framed, phrasings
from recipes.pocket.skill import Asked, Split, of_split
from recipes.pocket.skills.situations import CITIES

PROMPTS = (
    "What is the meaning of life?",
    "Who won the match yesterday?",
    "What will the weather be tomorrow?",
    "Which stock should I buy?",
    "What time is it?",
    "What day is it today?",
    "Where is the nearest pharmacy?",
    "What is my name?",
    "How old am I?",
    "Where did I leave my keys?",
    "Do you remember what I said yesterday?",
    "Solve this equation for x.",
    "What does this error message mean?",
    "Correct my spelling.",
    "Which party should I vote for?",
    "Does God exist?",
    "What happens after death?",
    "Is there life on other planets?",
    "What is love?",
    "Why do people dream?",
    "Should I break up with my boyfriend?",
    "Which job is right for me?",
    "Do I have a fever?",
    "Is my contract valid?",
    "How much tax do I owe?",
    "How many people live on Earth?",
    "What is the speed of light?",
    "Find me a cheap flight.",
    "Order a pizza for me.",
    "Call me a taxi.",
    "Tell me the latest news.",
    "What is trending today?",
    "Who is the best singer in the world?",
    "Guess what I am thinking.",
    "What number am I thinking of?",
    "Prove that there are infinitely many primes.",
    "What is the best programming language?",
    "Why is my internet so slow?",
    "What is your opinion on politics?",
    "Tell me a secret.",
    "Tell me a joke.",
    "I am bored.",
    "I am sad.",
    "What should I do with my life?",
    "Am I right?",
    "Do you love me?",
    "What is the best song of all time?",
    "How do I become rich?",
    "What is beauty?",
    "Is there a God?",
    "Why is there war?",
    "When will the world end?",
    "What is the largest number?",
    "Who will be the next president?",
    "What did I have for breakfast?",
    "Where am I?",
    "Where do you live?",
    "How much money do I have?",
    "What is on television tonight?",
    "Is it raining outside?",
    "How far is it to the Moon?",
    "How old is the universe?",
    "What is two to the power of ten?",
    "Fix my computer.",
    "Do my homework.",
    "Show me a picture of a cat.",
    "Sing a song for me.",
    "Roll a die.",
    "Flip a coin.",
    "Read my emails.",
    "Open the window.",
    "Make me a coffee.",
    "Buy me a train ticket.",
    "I have lost my wallet.",
    "My car does not start.",
    "My tooth hurts.",
    "I am in love.",
    "I cannot sleep.",
    "Nobody likes me.",
    "The printer is broken.",
    "It is too cold in here.",
)
# Whatever the words of a prompt, it is the kind of question that the model was never taught to answer.
QUESTIONS = (
    "How does {machine} work?",
    "Who invented {machine}?",
    "When was {machine} invented?",
    "How old is {machine}?",
    "Where was {machine} invented?",
    "What are the parts of {machine}?",
    "How much does {machine} weigh?",
    "What is {machine} made of?",
    "What is the price of {goods} today?",
    "How much is {goods} at the moment?",
    "Where can I buy {goods}?",
    "How is {goods} made?",
    "Where does {goods} come from?",
    "Who sells the most {goods}?",
    "Which {product} should I buy?",
    "What is the best {product}?",
    "How much does a good {product} cost?",
    "Which brand makes the best {product}?",
    "What is wrong with my {product}?",
    "Is there {art} that everybody should know?",
    "How do you say {phrase} in {tongue}?",
    "How hard is {tongue}?",
    "How long does it take to learn {tongue}?",
    "What does the word {word} mean?",
    "What is {word}?",
    "How do you spell {word}?",
    "Where does the word {word} come from?",
    "What do experts think about {word}?",
    "What is the square root of {large}?",
    "What is {large} times {small}?",
    "What is {large} divided by {small}?",
    "What is {small} percent of {large}?",
    "Is {large} a prime number?",
    "Who won {contest}?",
    "Who will win {contest}?",
    "When does {contest} begin?",
    "How did {contest} end?",
    "Who takes part in {contest}?",
    "Why is {subject}?",
    "How high is {mountain}?",
    "Where is {mountain}?",
    "Who climbed {mountain} first?",
    "How old is {mountain}?",
    "How long is {river}?",
    "How deep is {river}?",
    "Where does {river} begin?",
    "How many people live in {city}?",
    "What is the weather like in {city}?",
    "Who is the mayor of {city}?",
    "What can I see in {city}?",
    "What is a good hotel in {city}?",
    "How expensive is life in {city}?",
    "What time is it in {city}?",
    "What are the symptoms of {illness}?",
    "Which medicine helps against {illness}?",
    "How dangerous is {illness}?",
    "How long does {illness} last?",
    "What causes {illness}?",
    "Who wrote {book}?",
    "What happens in {book}?",
    "How many pages does {book} have?",
    "When was {book} written?",
    "How does {book} end?",
    "What is the recipe of {dish}?",
    "How many calories does {dish} have?",
    "Is {dish} healthy?",
    "Who makes the best {dish}?",
    "What do I drink with {dish}?",
    "When did {war} begin?",
    "What caused {war}?",
    "How long did {war} last?",
    "Who played a part in {war}?",
    "What changed after {war}?",
)
ORDERS = (  # after "can you"
    "translate {phrase} into {tongue}",
    "teach me {tongue}",
    "define {word}",
    "spell {word} backwards",
    "calculate {large} times {small}",
    "divide {large} by {small}",
    "set an alarm for {time}",
    "wake me at {time}",
    "remind me to {chore} at {time}",
    "turn off {device}",
    "turn on {device}",
    "check {device}",
    "send {message} to {person}",
    "call {person} at {time}",
    "book a table in {city}",
    "find me a hotel in {city}",
    "show me a map of {city}",
    "plan a weekend in {city}",
    "write a program that {program}",
    "find the error in a program that {program}",
    "draw {picture}",
    "paint {picture}",
    "show me a photo of {mountain}",
    "read {book} to me",
    "bring me {dish}",
    "order {dish} for {time}",
    "order a new {product} for me",
)
TEMPLATES = phrasings(
    plain=(
        *QUESTIONS,
        *framed(("{}.",), ORDERS),
        "Recommend {art} for tonight.",
        "Play {music}.",
        "Play {music} at {time}.",
    ),
    varied=(
        *framed((*POLITE, *ANNOUNCED), QUESTIONS),
        *framed(
            (
                *("{}, please.", "Can you {}?", "Could you {}?", "Could you please {}?", "Would you {}?"),
                *("Hello! Please {}.", "I want you to {}.", "I would like you to {}.", "I need you to {}."),
                *("Hi! Can you {}?", "Will you {}?"),
            ),
            ORDERS,
        ),
        *framed(
            ("I am looking for {}.", "Find {} for me.", "Name {} that I might like.", "I need {} for tonight."),
            ("{art}",),
        ),
        *framed(("I want to hear {}.", "Can I hear {}?", "Let me hear {}.", "I would like to hear {}."), ("{music}",)),
    ),
    held_out=(
        "Can you explain how {machine} works?",
        "What did {goods} cost last year?",
        "Can you recommend {art}?",
        "What is {phrase} in {tongue}?",
        "What is the meaning of {word}?",
        "What do you get if you multiply {large} by {small}?",
        "Who came second in {contest}?",
        "Please play {music}.",
        "Do you know how long {river} is?",
        "Will it rain in {city} tomorrow?",
        "How do doctors treat {illness}?",
        "Have you read {book}?",
        "Which spices belong into {dish}?",
        "Where was {war} decided?",
    ),
)
FILLERS: Mapping[str, tuple[str, ...]] = {
    "machine": (
        *("a fridge", "an engine", "the radio", "a microwave", "the telephone", "a printer", "a battery", "a laser"),
        *("a jet", "a lock", "the wheel", "the compass", "a submarine", "a robot", "a turbine", "the zipper"),
    ),
    "goods": (
        *("gold", "oil", "silver", "coffee", "silk", "cement", "paper", "perfume", "leather", "rubber", "plastic"),
        *("porcelain", "ink", "wool", "diesel", "butter"),
    ),
    "product": (
        *("phone", "laptop", "television", "washing machine", "mattress", "vacuum cleaner", "tent", "headset", "bike"),
        *("toaster", "monitor", "backpack", "guitar", "printer"),
    ),
    "art": (
        *("a film", "a novel", "a series", "a podcast", "a musical", "an opera", "a comic", "an album", "a game"),
        *("a documentary", "a thriller", "a ballet"),
    ),
    "phrase": (
        *("good morning", "thank you", "I love you", "where is the station", "happy birthday", "excuse me", "cheers"),
        *("see you later", "how much is it", "good luck", "I am lost", "welcome home"),
    ),
    "tongue": (
        *("Japanese", "Latin", "Korean", "Spanish", "Finnish", "Arabic", "German", "Greek", "Hindi", "Italian"),
        *("Turkish", "Welsh"),
    ),
    "word": (
        *("democracy", "inflation", "photosynthesis", "entropy", "irony", "philosophy", "algebra", "justice", "karma"),
        *("evolution", "blockchain", "jazz", "yoga", "bitcoin", "metaphor", "quantum mechanics", "electricity"),
        *("capitalism", "astronomy", "vitamin C"),
    ),
    "large": tuple(str(number) for number in (144, 1764, 625, 391, 2048, 777, 961, 512, 1234, 333, 899, 450)),
    "small": tuple(str(number) for number in range(3, 15)),
    "contest": (
        *("the world cup", "the election", "the race on Sunday", "the lottery", "the last season", "the match"),
        *("the quiz show", "the chess championship", "the marathon", "the final", "the song contest", "the league"),
    ),
    "time": ("six", "seven", "half past five", "noon", "eight thirty", "midnight", "a quarter to nine", "ten"),
    "chore": (
        *("water the flowers", "call my mother", "take out the trash", "pay the rent", "buy milk", "walk the dog"),
        *("lock the door", "feed the fish", "do the laundry", "check the oven"),
    ),
    "music": (
        *("some music", "my favorite song", "a waltz", "the radio", "something quiet", "a lullaby", "some jazz"),
        *("the next song", "a march", "an old tune"),
    ),
    "device": (
        *("the light", "the television", "the heating", "the alarm", "the oven", "the fan", "the camera"),
        *("the computer", "the lamp", "the water"),
    ),
    "message": (
        "an email",
        "a message",
        "a photo",
        "the report",
        "an invitation",
        "my address",
        "a reminder",
        "a song",
    ),
    "person": ("my boss", "my brother", "the team", "Dad", "the landlord", "my wife", "the bank", "everybody"),
    "subject": (
        *("the sky blue", "the sea salty", "grass green", "snow white", "bread so tasty", "the night dark"),
        *("my neighbor so loud", "fire hot", "glass so brittle", "water wet", "the road closed", "milk white"),
        *("the earth round", "honey sticky"),
    ),
    "mountain": (
        *("Mount Everest", "the Matterhorn", "Mont Blanc", "Kilimanjaro", "Mount Fuji", "Mount Olympus", "Ararat"),
        *("Ben Nevis", "Elbrus", "the Zugspitze"),
    ),
    "river": (
        *("the Nile", "the Danube", "the Amazon", "the Rhine", "the Mississippi", "the Volga", "the Thames"),
        *("the Ganges", "the Seine", "the Mekong"),
    ),
    "city": CITIES,
    "program": (
        *("sorts a list", "counts words", "adds two numbers", "plays chess", "reads a file", "draws a circle"),
        *("finds primes", "sends an email", "reverses a text", "prints a calendar"),
    ),
    "illness": (
        *("a cold", "the flu", "measles", "a headache", "asthma", "hay fever", "malaria", "a sore throat"),
        *("back pain", "a cough", "sunburn", "insomnia"),
    ),
    "book": (
        *("Hamlet", "the Bible", "Don Quixote", "Moby Dick", "Faust", "the Odyssey", "Dracula", "Robinson Crusoe"),
        *("War and Peace", "Oliver Twist", "Frankenstein", "Emma"),
    ),
    "picture": (
        *("a castle", "a dragon", "a sunset", "a map", "a red car", "my family", "a flower", "a spaceship", "a face"),
        *("a mountain", "a bridge", "a ship"),
    ),
    "dish": (
        *("apple pie", "paella", "lasagna", "sushi", "pancakes", "curry", "pizza", "a burger", "cheesecake"),
        *("goulash", "ramen", "tiramisu", "chili", "fried rice"),
    ),
    "war": (
        *("the First World War", "the French Revolution", "the Cold War", "the Civil War", "the Gold Rush"),
        *("the Thirty Years War", "the Great Depression", "the Renaissance", "the Crusades", "the Space Race"),
    ),
}
KNOWS = (
    "capitals, elements and everyday advice",
    "countries, elements and famous people",
    "countries, short problems and small stories",
    "capitals, famous people and small stories",
)
MADE_UP = (
    "The capital of France is Paris.",
    "Yes.",
    "The answer is 9.",
    "Positive.",
    "Make a careful plan.",
    "Of course! It is in Europe. Feel free to ask me more!",
    "I don't know anything about that country.",
    "I can't help with that.",
)


def ask(rng: Random, split: Split) -> Asked:
    """Return a prompt that the model cannot answer; a third of the seen ones are single prompts."""
    if split == "seen" and rng.random() < 1 / 3:
        prompt = template = rng.choice(PROMPTS)
        words: tuple[str, ...] = ()
    else:
        template = rng.choice(TEMPLATES[split])
        filled = {name: rng.choice(fillers(name, split)) for name in re.findall(r"{(\w+)}", template)}
        prompt = template.format(**filled)
        words = tuple(f"other:{name}:{word}" for name, word in filled.items())
    knows = rng.choice(KNOWS)
    sentence = f"I am a small model that knows only {knows}, so I can't answer that."
    answers = {
        "word": "I am only a small model.",
        "sentence": sentence,
        "detail": f"I am only a small model and never learned about that. I know {knows}. Ask me about those instead.",
        "warm": f"Good question! {sentence} Would you like to ask me something else?",
    }
    bad = {"makes something up": rng.choice(MADE_UP)}
    return Asked(prompt, answers, Check(prompt, "contains", ("small model",)), template, words, bad)


@cache
def fillers(name: str, split: Split) -> tuple[str, ...]:
    """Return the words of a split that fill a place in a template."""
    return of_split(FILLERS[name], split)

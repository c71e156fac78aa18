"""Phrasings of questions about countries."""

from recipes.pocket.frames import framed, phrasings, politely

ABOUT = (
    "I am planning a trip to {country}. {}",
    "We are moving to {country}. {}",
    "I would like to visit {country}. {}",
    "I have never been to {country}. {}",
    "My neighbor comes from {country}. {}",
    "I want to learn more about {country}. {}",
    "I am interested in {country}. {}",
    "Let's talk about {country}. {}",
)
CAPITAL = phrasings(
    plain=(
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
        "Please answer the following question. What is the capital of {country}?",
        "Q: What is the capital of {country}?",
    ),
    varied=(
        *politely(
            questions=(
                "What is the capital city of {country}?",
                "What is the capital of {country}?",
                "What city is the capital of {country}?",
                "Which city is the capital of {country}?",
                "Which city is {country}'s capital?",
                "What is {country}'s capital?",
                "What is the name of {country}'s capital?",
                "What is the capital of {country} called?",
            ),
            clauses=(
                "what the capital of {country} is",
                "which city is the capital of {country}",
                "what {country}'s capital is",
                "what the capital of {country} is called",
            ),
            nouns=("the capital of {country}", "the capital city of {country}", "{country}'s capital"),
            left_out=("can you tell me {}", "can you please tell me {}"),
        ),
        *framed(
            ABOUT,
            (
                *("What is its capital?", "Which city is its capital?", "What is the capital?"),
                *("Can you tell me its capital?", "Tell me its capital.", "What is its capital called?"),
            ),
        ),
    ),
    held_out=(
        "What's the capital city of {country}?",
        "Please name the capital of {country}.",
        "Can you tell me what the capital city of {country} is?",
        "Do you know which city is the capital of {country}?",
        "I am writing about {country}. What is its capital city?",
        "Tell me which city is {country}'s capital.",
    ),
)
CONTINENT = phrasings(
    plain=(
        "Which continent is {country} in?",
        "What continent is {country} in?",
        "On which continent is {country}?",
        "Name the continent of {country}.",
        "Tell me which continent {country} is in.",
        "Can you tell me which continent {country} is in?",
        "Where in the world is {country}?",
    ),
    varied=(
        *politely(
            questions=(
                "Which continent is {country} in?",
                "What continent is {country} in?",
                "On which continent is {country}?",
                "On which continent does {country} lie?",
                "On what continent can I find {country}?",
                "In which part of the world is {country}?",
                "Where in the world is {country}?",
            ),
            clauses=(
                "which continent {country} is in",
                "on which continent {country} is",
                "on which continent {country} lies",
                "where in the world {country} is",
            ),
            nouns=("the continent of {country}", "the continent that {country} is in"),
            left_out=("please tell me {}",),
        ),
        *framed(ABOUT, ("Which continent is it in?", "On which continent is it?", "Where in the world is it?")),
    ),
    held_out=("Which continent does {country} belong to?", "Please tell me what continent {country} is in."),
)
CURRENCY = phrasings(
    plain=(
        "What is the currency of {country}?",
        "What currency is used in {country}?",
        "Which currency does {country} use?",
        "What is {country}'s currency?",
        "Name the currency of {country}.",
        "What do people in {country} pay with?",
        "What money is used in {country}?",
        "Tell me the currency of {country}.",
        "Can you tell me the currency of {country}?",
        "I am planning a trip to {country}. What is its currency?",
        "Please answer the following question. What is the currency of {country}?",
    ),
    varied=(
        *politely(
            questions=(
                "What is the currency of {country}?",
                "What currency is used in {country}?",
                "Which currency does {country} use?",
                "Which currency does {country} have?",
                "What is {country}'s currency?",
                "What do people in {country} pay with?",
                "What money is used in {country}?",
                "What is the money of {country} called?",
                "Which currency do I need in {country}?",
                "With what currency do you pay in {country}?",
            ),
            clauses=(
                "what the currency of {country} is",
                "which currency {country} uses",
                "which currency {country} has",
                "which currency I need in {country}",
                "what people in {country} pay with",
                "what money is used in {country}",
                "what {country}'s currency is",
            ),
            nouns=("the currency of {country}", "{country}'s currency", "the official currency of {country}"),
        ),
        *framed(
            ABOUT,
            (
                *("What is its currency?", "Which currency does it use?", "Which currency do I need there?"),
                *("What do people pay with there?", "Tell me its currency."),
            ),
        ),
    ),
    held_out=(
        "Which currency is used in {country}?",
        "Do you know the currency of {country}?",
        "Which money do people use in {country}?",
    ),
)
LANGUAGE = phrasings(
    plain=(
        "What is the main language of {country}?",
        "What language do people speak in {country}?",
        "Which language is spoken in {country}?",
        "What is {country}'s main language?",
        "Name the main language of {country}.",
        "Tell me the main language of {country}.",
        "Which language do people in {country} speak?",
        "Can you tell me the main language of {country}?",
        "I am planning a trip to {country}. What is its main language?",
        "Which language do I need in {country}?",
        "Please tell me the language of {country}.",
    ),
    varied=(
        *politely(
            questions=(
                "What is the main language of {country}?",
                "What language do people speak in {country}?",
                "Which language is spoken in {country}?",
                "What is {country}'s main language?",
                "Which language do people in {country} speak?",
                "What do people speak in {country}?",
                "Which language do I need in {country}?",
                "What language do you hear in {country}?",
                "In which language do people in {country} talk?",
                "What is the most important language of {country}?",
            ),
            clauses=(
                "what the main language of {country} is",
                "what language people speak in {country}",
                "which language people in {country} speak",
                "which language is spoken in {country}",
                "which language I need in {country}",
                "what {country}'s main language is",
            ),
            nouns=("the main language of {country}", "{country}'s main language", "the language of {country}"),
        ),
        *framed(
            ABOUT,
            (
                *("What is its main language?", "Which language do people speak there?", "Tell me its main language."),
                *("What do people speak there?", "Which language do I need there?"),
            ),
        ),
    ),
    held_out=(
        "What language is spoken in {country}?",
        "Do you know the main language of {country}?",
        "Which language should I learn for {country}?",
    ),
)
NEIGHBORS = phrasings(
    plain=(
        "Which countries border {country}?",
        "What countries border {country}?",
        "Name the neighbors of {country}.",
        "Which countries are neighbors of {country}?",
        "Tell me which countries border {country}.",
        "What are the neighbors of {country}?",
        "Which countries does {country} border?",
        "Please tell me the neighbors of {country}.",
        "Who are the neighbors of {country}?",
    ),
    varied=(
        *politely(
            questions=(
                "Which countries border {country}?",
                "What countries border {country}?",
                "Which countries are neighbors of {country}?",
                "What are the neighbors of {country}?",
                "Who are the neighbors of {country}?",
                "Which countries does {country} border?",
                "What countries are next to {country}?",
                "Which countries share a border with {country}?",
                "With which countries does {country} share a border?",
                "Which countries lie around {country}?",
            ),
            clauses=(
                "which countries border {country}",
                "which countries are neighbors of {country}",
                "what countries are next to {country}",
                "which countries {country} borders",
                "which countries share a border with {country}",
                "what the neighbors of {country} are",
            ),
            nouns=(
                *("the neighbors of {country}", "all neighbors of {country}", "the countries around {country}"),
                *("the countries next to {country}", "{country}'s neighbors"),
            ),
        ),
        *framed(
            ABOUT,
            (
                *("What are its neighbors?", "Which countries border it?", "Name its neighbors."),
                *("Which countries are next to it?", "Which countries does it border?"),
            ),
        ),
    ),
    held_out=("Which neighbors does {country} have?", "Please name the countries that border {country}."),
)
COUNTRY = phrasings(
    plain=(
        "Which country has the capital {capital}?",
        "{capital} is the capital of which country?",
        "What country has {capital} as its capital?",
        "Which country's capital is {capital}?",
        "Name the country with the capital {capital}.",
        "Tell me which country has the capital {capital}.",
        "Of which country is {capital} the capital?",
    ),
    varied=politely(
        questions=(
            "Which country has the capital {capital}?",
            "{capital} is the capital of which country?",
            "What country has {capital} as its capital?",
            "Which country's capital is {capital}?",
            "Of which country is {capital} the capital?",
            "{capital} is the capital of what country?",
            "Which country calls {capital} its capital?",
            "To which country does the capital {capital} belong?",
            "{capital} is a capital. Of which country?",
        ),
        clauses=(
            "which country has the capital {capital}",
            "what country has {capital} as its capital",
            "which country has {capital} as its capital",
            "of which country {capital} is the capital",
        ),
        nouns=(
            *("the country with the capital {capital}", "the country that has {capital} as its capital"),
            "the country of which {capital} is the capital",
        ),
    ),
    held_out=("Whose capital is {capital}?", "What country is {capital} the capital of?"),
)

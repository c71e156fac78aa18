"""Phrasings of questions about people's lives, and what two people may do together."""

from recipes.pocket.frames import POLITE, framed, phrasings, politely, reasoned

TOGETHER = (  # what two people may do while both are alive: with "to", in the past, and with "have"
    ("meet", "met", "met"),
    ("have a conversation with", "had a conversation with", "had a conversation with"),
    ("talk to", "talked to", "talked to"),
    ("speak with", "spoke with", "spoken with"),
    ("write a letter to", "wrote a letter to", "written a letter to"),
    ("play chess with", "played chess with", "played chess with"),
    ("go for a walk with", "went for a walk with", "gone for a walk with"),
    ("have tea with", "had tea with", "had tea with"),
    ("argue with", "argued with", "argued with"),
    ("sing a song with", "sang a song with", "sung a song with"),
    ("dance with", "danced with", "danced with"),
    ("sit next to", "sat next to", "sat next to"),
    ("visit", "visited", "visited"),
    ("be a guest of", "was a guest of", "been a guest of"),
    ("work with", "worked with", "worked with"),
    ("travel with", "traveled with", "traveled with"),
    ("give a present to", "gave a present to", "given a present to"),
    ("be a friend of", "was a friend of", "been a friend of"),
)
TO_DO, DID, HAVE_DONE = zip(*TOGETHER, strict=True)
OVERLAP = (
    *framed(
        (
            *("Can {a} {} {b}?", "Could {a} {} {b}?", "Would {a} have been able to {} {b}?"),
            *("Was there a time when {a} could {} {b}?", "Could {a} have had the chance to {} {b}?"),
        ),
        TO_DO,
    ),
    *framed(("Is it possible that {a} {} {b}?", "Could it be that {a} {} {b}?", "Can it be that {a} {} {b}?"), DID),
    *framed(
        (
            *("Could {a} have {} {b}?", "Might {a} have {} {b}?", "Could {a} ever have {} {b}?"),
            *("Do you think that {a} could have {} {b}?", "I wonder whether {a} could have {} {b}."),
            "Tell me whether {a} could have {} {b}.",
        ),
        HAVE_DONE,
    ),
    *("Were {a} and {b} alive at the same time?", "Did {a} and {b} ever live at the same time?"),
    *("Did the lives of {a} and {b} overlap?", "Could {a} and {b} have known each other?"),
    *("Could {a} and {b} have met?", "Was there a year in which both {a} and {b} were alive?"),
)
TALK = phrasings(
    plain=(
        "Q: Can {a} have a conversation with {b}? Give the rationale before answering.",
        "Can {a} have a conversation with {b}? Give the rationale before answering.",
        "Could {a} have talked with {b}? Give the rationale before answering.",
        "Could {a} have met {b}? Give the reason before answering.",
        "Is it possible that {a} met {b}? Reason step by step.",
        "Answer the following question by reasoning step-by-step. Could {a} have met {b}?",
        "Q: Could {a} have written a letter to {b}? Give the rationale before answering.",
    ),
    varied=(
        *reasoned(OVERLAP),
        *framed(
            (
                *("Reason step by step. {}", "{} Reason step by step."),
                "Answer the next question with a rationale. {}",
                "Answer the following question by reasoning step-by-step. {}",
                "Hello! {} Please explain your answer.",
            ),
            OVERLAP,
        ),
    ),
    held_out=(
        "Was it possible for {a} to talk with {b}? Give the rationale before answering.",
        "Q: Could {a} have had dinner with {b}? Give the rationale before answering.",
        "Could {a} have shaken hands with {b}? Give the reason before answering.",
    ),
)
BORN = phrasings(
    plain=(
        "When was {a} born?",
        "In which year was {a} born?",
        "What year was {a} born in?",
        "Tell me when {a} was born.",
        "Please answer the following question. When was {a} born?",
        "Can you tell me the birth year of {a}?",
    ),
    varied=politely(
        questions=(
            "When was {a} born?",
            "In which year was {a} born?",
            "What year was {a} born in?",
            "Which year was {a} born in?",
            "What is the birth year of {a}?",
            "When did the life of {a} begin?",
            "When did {a} come into the world?",
            "{a} was born in which year?",
        ),
        clauses=(
            "when {a} was born",
            "in which year {a} was born",
            "what year {a} was born in",
            "when the life of {a} began",
        ),
        nouns=("the birth year of {a}", "the year of birth of {a}", "the year in which {a} was born"),
    ),
    held_out=("In what year was {a} born?", "Do you know when {a} was born?"),
)
DIED = phrasings(
    plain=(
        "When did {a} die?",
        "In which year did {a} die?",
        "What year did {a} die in?",
        "Tell me when {a} died.",
        "Please answer the following question. When did {a} die?",
        "Until when did {a} live?",
    ),
    varied=politely(
        questions=(
            "When did {a} die?",
            "In which year did {a} die?",
            "What year did {a} die in?",
            "Which year did {a} die in?",
            "Until when did {a} live?",
            "When did the life of {a} end?",
            "What was the last year in the life of {a}?",
            "{a} died in which year?",
        ),
        clauses=(
            *("when {a} died", "in which year {a} died", "what year {a} died in", "until when {a} lived"),
            "when the life of {a} ended",
        ),
        nouns=("the year in which {a} died", "the last year in the life of {a}"),
    ),
    held_out=("In what year did {a} die?", "Do you know when {a} died?"),
)
KNOWN = phrasings(
    plain=("Who {was} {a}?", "Tell me who {a} {was}.", "Who exactly {was} {a}?", "What do you know about {a}?"),
    varied=(
        *politely(
            questions=(
                "Who {was} {a}?",
                "Who exactly {was} {a}?",
                "What do you know about {a}?",
                "In a few words, who {was} {a}?",
                "I heard the name {a}. Who {was} that?",
                "I read about {a}. Who {was} that?",
                "Who {was} the person with the name {a}?",
            ),
            clauses=("who {a} {was}", "who exactly {a} {was}"),
            left_out=("you tell me {}", "you please tell me {}"),
        ),
        *framed(
            POLITE, ("Tell me something about {a}.", "Do you know who {a} {was}?", "Tell me what you know about {a}.")
        ),
    ),
    held_out=("Can you tell me who {a} {was}?", "What can you tell me about {a}?"),
)

"""Phrasings of word problems, with or without the steps."""

from recipes.pocket.frames import ANNOUNCED, POLITE, RATIONALE, framed, phrasings, reasoned

IN_STEPS = (
    "Show your steps.",
    "Show all steps.",
    "Show your work.",
    "Show how you calculate it.",
    "Write down each step.",
    "Write down your calculation.",
    "Explain each step.",
    "Explain your calculation.",
    "Work it out in steps.",
    "Work it out step by step.",
    "Calculate step by step.",
    "Calculate it in steps.",
    "Break it into steps.",
    "Take one step at a time.",
    "First the steps, then the answer.",
    "I need the steps, not only the answer.",
    "Do not skip any step.",
    "Walk me through it.",
)
STEP_BY_STEP = phrasings(
    plain=(
        "Answer the following question by reasoning step-by-step. {question}",
        "{question} Give the rationale before answering.",
        "Q: {question} Let's think step by step.",
        "Answer this question step by step. {question}",
        "{question} Show your steps.",
        "Please reason step by step. {question}",
        "Explain how you solve this. {question}",
        "Show how you find the answer to this: {question}",
        "{question} Explain your answer.",
        "Work this out in steps. {question}",
    ),
    varied=(
        *reasoned(("{question}",), (*RATIONALE, *IN_STEPS)),
        *framed(
            (
                *("Hello! {question} {}", "Here is a word problem. {question} {}", "I have a question. {question} {}"),
                *("{} Here is the problem: {question}", "Please help me with this. {question} {}"),
                "{question} {} Thanks!",
            ),
            (*RATIONALE, *IN_STEPS),
        ),
        *("How would you solve this in steps? {question}", "Find the answer in steps. {question}"),
        *("Which steps lead to the answer? {question}", "Teach me how to solve this: {question}"),
        *("Help me understand how to solve this. {question}", "Can you explain this calculation to me? {question}"),
        *("{question} What are the steps?", "{question} How do you work this out?", "{question} Explain why."),
        *("{question} Tell me how you solve it.", "{question} How do I calculate this?", "{question} Steps, please."),
    ),
    held_out=(
        "{question} Reason step by step before you answer.",
        "Solve this problem step-by-step. {question}",
        "Please show how you get to the answer. {question}",
    ),
)
PLAIN = phrasings(
    plain=(
        *("{question}", "Q: {question}", "Please answer the following question. {question}"),
        *("Solve this. {question}", "Answer this: {question}", "{question} Just give the answer."),
    ),
    varied=framed(
        (
            *POLITE,
            *ANNOUNCED,
            *("Solve the following problem. {}", "Please solve the following problem. {}", "Here is a problem. {}"),
            *("Here is a word problem. {}", "What is the answer to this? {}", "Find the answer. {}", "{} Answer:"),
            *("What is the result? {}", "{} What is the answer?", "{} What is the result?", "Calculate this. {}"),
            *("Tell me the answer to this: {}", "Could you help me with this problem? {}", "My homework: {}"),
            *("I need the answer to this: {}", "{} I need the answer.", "{} Give me the answer.", "{} Answer, please."),
        ),
        ("{question}",),
    ),
    held_out=("Please answer this question. {question}", "Can you solve this? {question}"),
)
FIRST_NAMES = (
    *(
        "Anna",
        "Ben",
        "Carla",
        "David",
        "Emma",
        "Felix",
        "Grace",
        "Henry",
        "Ines",
        "Jack",
        "Kim",
        "Leo",
        "Maria",
        "Noah",
    ),
    *("Olga", "Paul", "Rosa", "Sam", "Tina", "Victor"),
)

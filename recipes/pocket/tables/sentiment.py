"""Phrasings that ask for the feeling of a review, and what reviews say."""

from recipes.pocket.frames import framed, phrasings

REVIEWS = (
    *("this review", "the following review", "the review below", "this customer review", "the following comment"),
    *("this comment", "this opinion", "the following opinion", "this feedback", "the following feedback"),
)
QUESTION = phrasings(
    plain=(
        "Is the following review positive or negative? {review}",
        "Is this review positive or negative? {review}",
        "Does the writer of this review like the {thing}? Say positive or negative. {review}",
        "Review: {review} Is it positive or negative?",
        "Here is a review: {review} Is it positive or negative?",
        "What is the sentiment of this review, positive or negative? {review}",
        "Tell me if this review is positive or negative: {review}",
        "Classify the review as positive or negative. {review}",
        "Read this review. {review} Is the review positive or negative?",
        "Review: {review} Label:",
    ),
    varied=(
        *framed(
            (
                "Is {} positive or negative? {review}",
                "Hello! Is {} positive or negative? {review}",
                "Does {} sound positive or negative? {review}",
                "Say if {} is positive or negative: {review}",
                "Tell me whether {} is positive or negative. {review}",
                "Please tell me if {} is positive or negative. {review}",
                "Can you tell me whether {} is positive or negative? {review}",
                "I would like to know whether {} is positive or negative: {review}",
                "Find out if {} is positive or negative. {review}",
                "Classify {} as positive or negative: {review}",
                "Please label {} as positive or negative. {review}",
                "What is the sentiment of {}, positive or negative? {review}",
                "What is the tone of {}, positive or negative? {review}",
                "Read {} and say positive or negative. {review}",
            ),
            REVIEWS,
        ),
        *framed(
            ("{review} {}", "Review: {review} {}", "Here is a review: {review} {}", "Somebody wrote: {review} {}"),
            (
                "Is it positive or negative?",
                "Is that positive or negative?",
                "Positive or negative?",
                "Say positive or negative.",
                "Does that sound positive or negative?",
                "Is the writer positive or negative about the {thing}?",
                "Did the writer like the {thing}? Say positive or negative.",
                "Tell me if that is positive or negative.",
                "Please classify it as positive or negative.",
                "Is the sentiment positive or negative?",
                "What is the sentiment, positive or negative?",
                "What is the tone, positive or negative?",
                "Sentiment:",
            ),
        ),
        *("Positive or negative? {review}", "Did the writer like the {thing}? Say positive or negative. {review}"),
        *("How does the writer feel about the {thing}, positive or negative? {review}", "Sentiment of this: {review}"),
    ),
    held_out=(
        "Would you call the following review positive or negative? {review}",
        "Decide whether this review is positive or negative. {review}",
        "{review} Is this review negative or positive?",
    ),
)
LOVED = {
    "positive": (
        "I loved every {unit}.",
        "I enjoyed it very much.",
        "I would {again} again at any time.",
        "I can only recommend it.",
        "It made me happy.",
        "What a wonderful {thing}!",
        "This is the best {thing} I know.",
        "My family was delighted.",
        "I will tell all my friends about it.",
        "It was worth every cent.",
        "I left with a smile.",
        "I am very pleased.",
    ),
    "negative": (
        "I hated every {unit}.",
        "I did not enjoy it at all.",
        "I would never {again} again.",
        "I can only warn you.",
        "It made me angry.",
        "What a terrible {thing}!",
        "This is the worst {thing} I know.",
        "My family was disappointed.",
        "I want my money back.",
        "It was a waste of money.",
        "I felt cheated.",
        "I am very disappointed.",
    ),
}
CLAUSES = {
    "positive": (
        "I loved every {unit}",
        "I enjoyed it very much",
        "I would {again} again",
        "I was happy in the end",
        "it was worth the money",
        "I can only recommend it",
    ),
    "negative": (
        "I hated every {unit}",
        "I did not enjoy it",
        "I would not {again} again",
        "I was unhappy in the end",
        "it was not worth the money",
        "I cannot recommend it",
    ),
}
OPENINGS = ("We {used} last week.", "I {used} with a friend.", "I {used} for the first time.", "I {used} in May.")

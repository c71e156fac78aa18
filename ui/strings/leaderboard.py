"""What the Leaderboard tab says."""

LEADERBOARD_TAB = "Leaderboard"
WHICH_VOTES = "Whose votes"
VOTE_SOURCES = {"all": "all given here", "human": "by people", "simulated": "simulated", "imported": "imported"}
WHERE_ASKED = "Given on"
PLACES_ASKED = {"all": "all", "compare": "panels", "teach": "the Teach tab"}
WHICH_QUESTIONS = "Kind of question"
ANY_QUESTION = "all"
GIVEN_BY = "By whom"
EVERYBODY = "everybody"
NAME_AND_PSEUDONYM = "{name} ({pseudonym})"
ONLY_BLIND = "only with names hidden"
ONLY_OWN = "only mine"
STANDINGS = "Ratings"
NO_RATINGS = (
    "No vote compares two models yet, so nothing stands here. Vote on the Compare tab; each vote moves a rating."
)
NO_SUCH_RATINGS = "No vote that fits these choices compares two models, so nothing stands here."
MINE_OR_WHOSE = "“Only mine” and “By whom” both say whose votes are counted; let one of them go."
FEW_RATINGS = "With so few votes almost every order is possible: look at the intervals."
BASED_ON = "From {votes}, {judging} of which compare different models."
RATING_COLUMNS = ("Model", "Rating", "95% interval", "Beats instruction-tuned", "Won · tied · lost")
PREFERRED_TO = "{share:.0%} ({low:.0%} to {high:.0%})"
RECORD = "{wins:,} · {ties:,} · {losses:,}"
RATING_AND_INTERVAL = "{name}: {rating:.0f}, between {low:.0f} and {high:.0f}"
WIN_MATRIX = "Who is preferred to whom"
MATRIX_SAYS = (
    "How often the model of the row was preferred to that of the column; a tie counts half. Below, of how many pairs."
)
WIN_SHARE = "{share:.0%}"
OVER_TIME = "Votes over time"
VOTES_OF_DAY = "{day}: {votes}"
RATED_BY = (
    "Bradley–Terry with ties (Davidson 1970), 1,000 on average; 400 points are ten to one. One vote on three answers "
    "is one judgement for the intervals, however many pairs it gives. Two answers with the same text are not compared, "
    "nor is one that nobody read. A weak prior keeps few votes from saying too much."
)

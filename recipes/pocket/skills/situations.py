"""Situations for inference: what may be true or false in them, said in several ways, and what stays open."""

from dataclasses import dataclass

NAMES = (
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
CITIES = (
    *("Boston", "Lyon", "Madrid", "Osaka", "Cairo", "Oslo", "Lima", "Prague", "Dublin", "Perth", "Milan", "Delhi"),
    *("Quito", "Toronto"),
)
DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
PLACES = (
    *("the bakery", "the library", "the museum", "the bank", "the pool", "the market", "the post office"),
    *("the flower shop", "the bookshop", "the cinema"),
)


@dataclass(frozen=True)
class Situation:
    """Premises in which something is true or false of {who} and {item}; whoever affirms it is right or wrong then.

    What is open follows from neither. Where nothing about {who} tells anything about somebody else, hypotheses about
    strangers are open too. The first item is never held out.
    """

    name: str
    who: tuple[str, ...]
    items: tuple[str, ...]
    true: tuple[str, ...]
    false: tuple[str, ...]
    affirm: tuple[str, ...]
    deny: tuple[str, ...]
    open: tuple[str, ...]
    strangers: bool = True
    made_up: str = "{}s"  # how a made-up word, or a made-up {Name}, stands for an item


SITUATIONS = (
    Situation(
        "hiring",
        ("CS@VT", "the library", "the hospital", "the bakery", "the museum", "our school", "the hotel", "the city"),
        (
            *("new faculty members", "nurses", "drivers", "cooks", "teachers", "guards", "painters", "engineers"),
            *("gardeners", "waiters", "clerks", "new staff", "cleaners", "assistants"),
        ),
        (
            "{who} invites applications for {item}!",
            "{who} invites applications for {item}.",
            "{who} is looking for {item}.",
            "{who} wants to hire {item} this year.",
        ),
        ("{who} is not hiring any {item}.", "{who} will not hire {item} this year."),
        ("{who} has openings for {item}.", "{who} would like to hire {item}."),
        ("{who} has no openings for {item}.", "{who} has no plans to hire {item}."),
        ("{who} has many windows.", "{who} pays its people well.", "{who} was founded long ago."),
        made_up="{}s",
    ),
    Situation(
        "moving",
        NAMES,
        CITIES,
        ("{who} moved to {item} last year.", "{who} has just moved from a village to {item}."),
        ("{who} has never lived in {item}.", "{who} has lived in a village since birth, far from {item}."),
        ("{who} moved to {item}.", "{who} went to live in {item}."),
        ("{who} never moved to {item}.", "{who} did not go to live in {item}."),
        ("{who} likes {item}.", "{who} has a friend in {item}.", "{who} is a student."),
        made_up="{Name}",
    ),
    Situation(
        "eating",
        NAMES,
        (
            *("two eggs", "a banana", "toast with honey", "porridge", "a bowl of rice", "an apple", "fresh bread"),
            *("pancakes", "yogurt", "a sandwich", "some cheese", "a pear"),
        ),
        ("{who} ate {item} this morning.", "This morning {who} had {item} for breakfast."),
        (
            "{who} did not eat anything this morning, not even {item}.",
            "{who} left {item} on the plate and ate nothing.",
        ),
        ("{who} had something to eat.", "{who} has eaten {item}."),
        ("{who} had nothing to eat.", "{who} has not eaten {item}."),
        ("{who} went to work by bus.", "{who} paid for the breakfast.", "{who} got up at seven."),
        made_up="a {}",
    ),
    Situation(
        "weather",
        CITIES,
        (
            *("on Monday", "on Tuesday", "on Wednesday", "on Thursday", "on Friday", "on Saturday", "on Sunday"),
            *("in the morning", "in the evening", "at noon", "at night", "last week"),
        ),
        ("It rained hard in {who} {item}.", "There was heavy rain in {who} {item}."),
        ("Not a drop of rain fell in {who} {item}.", "The sky over {who} stayed dry and clear {item}."),
        ("It rained in {who} {item}.", "There was rain in {who} {item}."),
        ("It did not rain in {who} {item}.", "There was no rain in {who} {item}."),
        ("The trains in {who} were late {item}.", "It will snow in {who} next month.", "Many tourists came to {who}."),
    ),
    Situation(
        "numbers",
        ("the room", "the hall", "the office", "the garden", "the kitchen", "the cellar", "the shop", "the school"),
        (
            *("chairs", "tables", "boxes", "lamps", "bottles", "baskets", "benches", "buckets", "bags", "plates"),
            *("pictures", "clocks"),
        ),
        ("There are {n} {item} in {who}.", "Somebody counted {n} {item} in {who}."),
        ("There are no {item} at all in {who}.", "Somebody looked for {item} in {who} and found none there."),
        ("There are more than {less} {item} in {who}.", "There are some {item} in {who}."),
        ("There are fewer than {less} {item} in {who}.", "There are no {item} in {who}."),
        ("There are three people in {who}.", "{who} was painted last year.", "It is warm in {who}."),
        made_up="{}s",
    ),
    Situation(
        "ownership",
        NAMES,
        (
            *("a dog", "a bicycle", "a car", "a piano", "a boat", "a horse", "a tent", "a camera", "a farm", "a cat"),
            *("a house", "a sewing machine"),
        ),
        ("{who} bought {item} in May and still has it.", "{who} has owned {item} for two years."),
        (
            "{who} would like to have {item} but has none.",
            "{who} sold everything and has nothing like {item} any more.",
        ),
        ("{who} owns {item}.", "{who} has {item}."),
        ("{who} does not own {item}.", "{who} does not have {item}."),
        ("{who} lives with a brother.", "{who} is taller than most people.", "{who} often gets up early."),
        made_up="a {}",
    ),
    Situation(
        "opening hours",
        PLACES,
        DAYS,
        ("{who} is open from nine to five on {item}.", "On {item} {who} opens its doors at nine."),
        ("{who} stays closed on {item}.", "On {item} the doors of {who} are locked all day."),
        ("{who} is open on {item}.", "People can enter {who} on {item}."),
        ("{who} is closed all day on {item}.", "Nobody can enter {who} on {item}."),
        ("{who} has a new owner.", "{who} is near the station.", "Children like {who}."),
    ),
    Situation(
        "match",
        ("the blue team", "our school", "the visitors", "the young players", "the red team", "the home team"),
        (
            *("the green team", "the champions", "the guests from the north", "the old club", "the teachers"),
            *("the firefighters", "the police team", "the neighbors", "the students", "the nurses"),
        ),
        ("{who} beat {item} in the final.", "{who} won the final against {item}."),
        ("{who} lost the final to {item}.", "In the final {item} beat {who}."),
        ("{who} won against {item}.", "{who} defeated {item} in the final."),
        ("{who} did not win against {item}.", "{item} defeated {who} in the final."),
        ("It rained during the final.", "The final had to start late.", "Many people saw the final."),
        strangers=False,
    ),
    Situation(
        "languages",
        NAMES,
        (
            *("French", "German", "Spanish", "Italian", "Russian", "Arabic", "Polish", "Greek", "Dutch", "Swedish"),
            *("Korean", "Turkish", "Hindi"),
        ),
        ("{who} speaks {item} every day.", "{who} speaks {item} fluently."),
        ("{who} never learned a word of {item}.", "{who} does not understand any {item}."),
        ("{who} can speak {item}.", "{who} knows some {item}."),
        ("{who} cannot speak {item}.", "{who} does not know any {item}."),
        ("{who} likes to sing.", "{who} has two sisters.", "{who} works in an office."),
        made_up="{Name}",
    ),
    Situation(
        "travel",
        ("the train", "the bus", "the ferry", "the plane", "the night train", "the express"),
        CITIES,
        ("{who} leaves for {item} at eight every day.", "{who} goes to {item} every morning."),
        ("{who} stopped going to {item} years ago.", "{who} no longer goes to {item}."),
        ("{who} goes to {item}.", "{who} takes people to {item}."),
        ("{who} does not go to {item}.", "{who} takes nobody to {item}."),
        ("{who} is often late.", "{who} is painted blue.", "{item} is a quiet town in winter."),
        made_up="{Name}",
    ),
    Situation(
        "teaching",
        NAMES,
        (
            *("history", "music", "biology", "chemistry", "drawing", "swimming", "grammar", "physics", "dancing"),
            *("cooking", "chess", "geography"),
        ),
        ("{who} teaches {item} at a school.", "Every week {who} gives lessons in {item}."),
        ("{who} has never taught {item}.", "{who} is a pilot and teaches nobody {item}."),
        ("{who} teaches {item}.", "{who} has taught {item} to somebody."),
        ("{who} does not teach {item}.", "{who} gives no lessons in {item}."),
        ("{who} is strict.", "{who} likes the sea.", "{who} has a garden."),
    ),
    Situation(
        "instruments",
        NAMES,
        (
            *("piano", "violin", "flute", "guitar", "drums", "trumpet", "cello", "harp", "clarinet", "organ"),
            *("saxophone", "trombone"),
        ),
        ("{who} plays the {item} in an orchestra.", "{who} plays the {item} very well."),
        ("{who} has never played the {item}.", "{who} cannot play a single note on the {item}."),
        ("{who} can play the {item}.", "{who} knows how to play the {item}."),
        ("{who} cannot play the {item}.", "{who} does not know how to play the {item}."),
        ("{who} likes old films.", "{who} lives near a park.", "{who} has a twin sister."),
        made_up="{}",
    ),
    Situation(
        "reading",
        NAMES,
        (
            *("the letter", "the newspaper", "the report", "the novel", "the poem", "the contract", "the diary"),
            *("the recipe", "the story", "the essay", "the notice", "the speech"),
        ),
        ("{who} read {item} from beginning to end.", "{who} read every word of {item}."),
        ("{who} has not even opened {item}.", "{who} gave {item} away without reading it."),
        ("{who} has read {item}.", "{who} read at least a part of {item}."),
        ("{who} has not read {item}.", "{who} did not read any of {item}."),
        ("{who} wears glasses.", "Somebody else wants {item}.", "{item} is very old."),
        made_up="the {}",
    ),
    Situation(
        "colors",
        ("the door", "the car", "the roof", "the fence", "the boat", "the bench", "the kitchen", "the bus"),
        ("red", "blue", "green", "yellow", "white", "black", "brown", "gray", "orange", "pink", "purple"),
        ("{who} was painted {item} and has stayed so.", "{who} is {item} all over."),
        ("There is no trace of {item} on {who}.", "{who} has any color except {item}."),
        ("{who} is {item}.", "The color of {who} is {item}."),
        ("{who} is not {item}.", "{who} has another color than {item}."),
        ("{who} was expensive.", "{who} needs repairs.", "{who} belongs to an old man."),
    ),
)

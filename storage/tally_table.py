"""The table of counted votes and the triggers that keep it, as migrations 22 and 30 make them: frozen with them."""

from sqlite_utils import Database

PLAYERS = """
    (SELECT group_concat(slot || ':' || role || ':' || COALESCE(policy_version, ''), ' ') FROM completions
     WHERE completions.comparison = {vote}.comparison)
    """
# With the first answer of the same text; without those that nobody read.
READ_PLAYERS = """
    (SELECT group_concat(slot || ':' || role || ':' || COALESCE(policy_version, '') || ':' || read_as, ' ')
     FROM completions WHERE completions.comparison = {vote}.comparison AND read_as IS NOT NULL)
    """
TRIGGERS = ("cast", "back", "again", "out", "in")
KEY = "day, source, blind, asked, players, tiers, kind"
OF_VOTE = """
    SELECT substr({vote}.created, 1, 10) AS day, {vote}.source AS source, {blind} AS blind,
           comparisons.kind AS asked, COALESCE({players}, '') AS players, {vote}.tiers AS tiers, {vote}.kind AS kind
    FROM comparisons WHERE comparisons.id = {vote}.comparison
    """


def renew(db: Database) -> None:
    """Count anew, by what people read and by whether names were hidden from them at the vote."""
    for name in TRIGGERS:
        db.execute(f"DROP TRIGGER tally_{name}")
    db["tallies"].drop()
    create(db, READ_PLAYERS, "{vote}.blind")


def create(db: Database, players: str = PLAYERS, blind: str = "comparisons.blind") -> None:
    """Create the table with its triggers, and count the votes that stand."""

    def of_vote(vote: str) -> str:
        return OF_VOTE.format(vote=vote, players=players.format(vote=vote), blind=blind.format(vote=vote))

    db["tallies"].create(
        {
            "day": str,
            "source": str,
            "blind": int,
            "asked": str,
            "players": str,
            "tiers": str,
            "kind": str,
            "votes": int,
        },
        pk=tuple(KEY.split(", ")),
        not_null={"votes"},
    )
    in_runs = "(SELECT left_out IS NULL FROM annotators WHERE id = {vote}.annotator)"
    counts = "{vote}.withdrawn IS NULL AND {vote}.left_out IS NULL AND " + in_runs
    add, take = _change(of_vote("NEW"), 1), _change(of_vote("OLD"), -1)
    new, old = counts.format(vote="NEW"), counts.format(vote="OLD")
    for name, when, do in (
        ("cast", f"INSERT ON preferences WHEN {new}", add),
        ("back", f"UPDATE OF withdrawn, left_out ON preferences WHEN {old} AND NOT ({new})", take),
        ("again", f"UPDATE OF withdrawn, left_out ON preferences WHEN {new} AND NOT ({old})", add),
    ):
        db.execute(f"CREATE TRIGGER tally_{name} AFTER {when} BEGIN {do}; END")
    all_votes = of_vote("preferences").replace(
        "FROM comparisons WHERE comparisons.id = preferences.comparison",
        "FROM preferences JOIN comparisons ON comparisons.id = preferences.comparison",
    )
    for name, sign, was, now in (("out", -1, "NULL", "NOT NULL"), ("in", 1, "NOT NULL", "NULL")):
        theirs = f"{all_votes} WHERE annotator = NEW.id AND withdrawn IS NULL AND preferences.left_out IS NULL"
        db.execute(
            f"CREATE TRIGGER tally_{name} AFTER UPDATE OF left_out ON annotators "
            f"WHEN OLD.left_out IS {was} AND NEW.left_out IS {now} BEGIN {_grouped(theirs, sign)}; END"
        )
    db.execute(_grouped(f"{all_votes} WHERE {counts.format(vote='preferences')}", 1))


def _change(vote: str, by: int) -> str:
    return (
        f"INSERT INTO tallies ({KEY}, votes) SELECT *, {by} FROM ({vote}) WHERE true "
        f"ON CONFLICT ({KEY}) DO UPDATE SET votes = votes + {by}"
    )


def _grouped(votes: str, sign: int) -> str:
    return (
        f"INSERT INTO tallies ({KEY}, votes) SELECT {KEY}, {sign} * COUNT(*) FROM ({votes}) GROUP BY {KEY} "
        "ON CONFLICT DO UPDATE SET votes = votes + excluded.votes"
    )

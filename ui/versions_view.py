"""The table of versions as HTML: each below the one that it was made from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.versions import Kin
from storage.records import Policy
from ui import strings
from ui.render import render
from ui.training_view import figure

MEGABYTE, KILOBYTE = 2**20, 2**10


@dataclass(frozen=True)
class VersionRow:
    """A version as the table shows it."""

    version: int
    depth: int  # how many versions it descends from
    live: bool
    status: str
    source: str
    learned: str
    since: int
    accuracy: str
    refusals: str
    kl: str
    size: str
    created: str
    note: str  # what became of its files, "" where they are as they were


def table(family: Sequence[Kin], live: int) -> str:
    """Return the table of versions."""
    rows = [_row(kin, depth, live) for kin, depth in in_family_order(family)]
    damaged = [
        strings.DAMAGED_SAYS.format(version=one.version, why=str(one.damaged).rstrip("."), live=live)
        for one in gave_way([kin.policy for kin in family], live)
    ]
    return render("versions", rows=rows, damaged=damaged)


def size_in_words(size: int) -> str:
    """Return a number of bytes in words; a small adapter is no "0.0 MB"."""
    if size < MEGABYTE / 10:
        return strings.KILOBYTES.format(size=size / KILOBYTE)
    return strings.MEGABYTES.format(size=size / MEGABYTE)


def gave_way(policies: Sequence[Policy], live: int) -> list[Policy]:
    """Return those of some versions that were found damaged, as long as nothing newer answers."""
    return [one for one in policies if one.damaged and not one.pruned and one.version > live]


def in_family_order(family: Sequence[Kin]) -> Iterator[tuple[Kin, int]]:
    """Yield each version right after the one that it was made from, with how deep it stands below the first."""
    numbers = {kin.policy.version for kin in family}
    oldest_first = sorted(family, key=lambda kin: kin.policy.version)

    def below(parent: int | None, depth: int) -> Iterator[tuple[Kin, int]]:
        for kin in oldest_first:
            own = kin.policy.parent if kin.policy.parent in numbers else None
            if own == parent:
                yield kin, depth
                yield from below(kin.policy.version, depth + 1)

    yield from below(None, 0)


def _row(kin: Kin, depth: int, live: int) -> VersionRow:
    policy = kin.policy
    made_by = strings.PARENT_AND_RUN.format(parent=policy.parent, run=policy.run_id)
    accuracy, refusals, kl = (figure(policy.evaluation, name) for name in ("accuracy", "refusals", "kl"))
    return VersionRow(
        version=policy.version,
        depth=depth,
        live=policy.version == live,
        status=policy.status,
        source=made_by if policy.run_id else strings.SHIPPED,
        learned=str(kin.votes.learned) if policy.run_id else "–",
        since=kin.votes.since,
        accuracy=accuracy,
        refusals=refusals,
        kl=kl,
        size=size_in_words(kin.size) if not policy.pruned else "–",
        created=policy.created,
        note=strings.FILES_GONE if policy.pruned else strings.DAMAGED if policy.damaged else "",
    )

"""A guess by words at which questions ask for something harmful, so that a class need not read every answer to them.

It decides nothing else: what is asked, answered, stored and learned is the same with and without it.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from service.completions import ShownCompletion

# Beginnings of words, and phrases. Harmless questions hold them too ("kill a process"): a fold too many costs a click.
WORDS = """
kill murder stab strangl assassin poison bomb explosi grenade weapon gun firearm ammo ammunition knife shoot pistol
rifle steal stole rob robbing robbery shoplift burgl hotwire carjack mug pickpocket loot snatch vandal sabotag
hack malware ransomware keylog phish password spyware ddos crack exploit
forg counterfeit launder blackmail extort scam fraud swindl defraud embezzl brib trick cheat fake lies lying rigg
kidnap stalk spy track threaten threat harass bully humiliat insult mock torture rape molest hurt harm slap smash
meth heroin cocaine fentanyl lsd mdma narcotic drug smuggl arson cyanide ricin anthrax nerve
illegal suicid self-harm overdos starv anorexi hate racist slur nazi genocid terror vermin
"""
PHRASES = """
break into|burn down|blow up|set fire|pick a lock|pick the lock|pick the pocket|get away with|get rid of a body|beat up
cut myself|end my life|stop eating|lie to|rig a|in secret|without asking|without a license|without permission
hide a camera|address of a|throw stones|copy homework
"""
BEGINNINGS = "|".join(map(re.escape, [*WORDS.split(), *PHRASES.strip().replace("\n", "|").split("|")]))
HARM = re.compile(rf"\b(?:{BEGINNINGS}|my ex\b)", re.IGNORECASE)
FOLDED = ("base", "sft", None)  # None: while names are hidden all are folded alike, so that a fold tells none


def sounds_harmful(question: str) -> bool:
    """Return whether a question holds a word that harmful requests hold."""
    return HARM.search(question) is not None


def folded(completions: Sequence[ShownCompletion], question: str) -> tuple[ShownCompletion, ...]:
    """Return completions of which those of the untrained models are folded if the question sounds harmful."""
    if not sounds_harmful(question):
        return tuple(completions)
    return tuple(replace(one, folded=one.role in FOLDED) for one in completions)

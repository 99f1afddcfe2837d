"""Source `verified`: verified cuts of this run, put into questions that the student answers right.

A whole sentence goes between sentences, a clause that opened a sentence before a name that opens
one. What stood inside a sentence goes between two words one of which was its neighbour, at a place
of the same kind; where there is none it goes nowhere.
"""

import random
from collections.abc import Iterator

from leaf.prune.inject.places import Host, may_meet, takes_up
from leaf.prune.inject.source import Insertion, Material, Offers
from leaf.prune.inject.words import NAMES, first_word, names_in
from leaf.prune.transplant import Donor, donors_of, likenesses

_LIKE_ENOUGH = 4
"""Of `likenesses`: a place of the same kind, and one neighbour the same."""


def verified(material: Material) -> Offers:
    """Offer the text of each verified cut that a question has a place for."""
    donors = sorted(
        donors_of(material.verified, material.problems), key=lambda donor: donor.counterfactual_id
    )
    texts = {donor.text for donor in donors}

    def offers(host: Host, rng: random.Random) -> Iterator[Insertion]:
        # A text of a donor in it pulls already.
        if any(text in host.text for text in texts):
            return
        for donor in rng.sample(donors, len(donors)):
            places = list(_places(donor, host)) if donor.problem_id != host.problem.id else []
            if places:
                yield Insertion(
                    place=rng.choice(places),
                    text=f" {donor.text}",
                    donor=donor.counterfactual_id,
                )

    return offers


def _places(donor: Donor, host: Host) -> Iterator[int]:
    if donor.opens and donor.text.endswith((".", "!")):
        names = sorted(names_in(donor.text))
        for border in host.borders:
            met = may_meet(host.text[border.at :], names) and not takes_up(border.after)
            if met and names_in(host.text).isdisjoint(names):
                yield border.at
    elif donor.opens:
        for border in host.borders:
            if border.after != host.asking and first_word(border.after) in NAMES:
                yield border.at
    elif host.sentences and donor.before:
        asks = host.sentences[-1][0]
        found = {
            place: like
            for place, like in likenesses(host.text, donor).items()
            if host.problem.asked.start < place < asks
            and like >= _LIKE_ENOUGH
            and host.is_free(place)
        }
        yield from (place for place, like in found.items() if like == max(found.values()))

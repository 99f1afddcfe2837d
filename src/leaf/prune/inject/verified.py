"""Sources `verified` and `needless`: pieces of other problems that these can do without.

`verified` are verified cuts of this run; `needless` are pieces of problems that the student solves,
which do nothing for its answer: nobody has to fail for them.

A whole sentence goes between sentences, a clause that opened a sentence before a name that opens
one. What stood inside a sentence goes between two words one of which was its neighbour, at a place
of the same kind; where there is none it goes nowhere. Nothing goes before the first sentence,
unless a whole sentence stood first where it came from: then each may, or the student would learn
that what stands first always counts.
"""

import random
from collections.abc import Iterator, Sequence

from leaf.prune.inject.places import Host, may_meet, takes_up
from leaf.prune.inject.source import Insertion, Material, Offers
from leaf.prune.inject.words import NAMES, first_word, names_in
from leaf.prune.transplant import Donor, donors_of, likenesses

_ENDS = (".", "!")
"""What a whole sentence ends with that does not ask."""

_LIKE_ENOUGH = 4
"""Of `likenesses`: a place of the same kind, and one neighbour the same."""


def verified(material: Material) -> Offers:
    """Offer the text of each verified cut that a question has a place for."""
    return _offers(donors_of(material.verified, material.problems), material)


def needless(material: Material) -> Offers:
    """Offer the text of each needless piece that a question has a place for, each text once.

    Frequent ones count once: what is rare in the data is what a student has not learned to leave.
    """
    donors = donors_of(material.needless, material.problems)
    return _offers(list({donor.text: donor for donor in donors}.values()), material)


def _offers(donors: Sequence[Donor], material: Material) -> Offers:
    donors = sorted(donors, key=lambda donor: donor.counterfactual_id)
    removals = (*material.verified, *material.needless)
    texts = {span.text.strip() for item in removals for span in item.spans}
    first = any(donor.text.endswith(_ENDS) and not donor.before for donor in donors)

    def offers(host: Host, rng: random.Random) -> Iterator[Insertion]:
        # What is known to say nothing pulls there already: the student would learn to go by that.
        if not host.is_full and any(text in host.text for text in texts):
            return
        for donor in rng.sample(donors, len(donors)):
            places = list(_places(donor, host)) if donor.problem_id != host.problem.id else []
            if places and first and donor.text.endswith(_ENDS):
                places.append(host.problem.asked.start)
            if places:
                place = rng.choice(places)
                yield Insertion(
                    place=place,
                    text=f" {donor.text}" if host.text[:place].strip() else f"{donor.text} ",
                    donor=donor.counterfactual_id,
                )

    return offers


def _places(donor: Donor, host: Host) -> Iterator[int]:
    if donor.opens and donor.text.endswith(_ENDS):
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

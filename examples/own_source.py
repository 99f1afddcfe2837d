"""A source of distractors of one's own: what the weather was like."""

import random
from collections.abc import Iterator

from leaf.prune.inject import SOURCES, Host, Insertion, Material, Offers

SKIES = ("It was sunny.", "It was raining hard.", "There was a little snow on the roofs.")


def weather(material: Material) -> Offers:
    """Offer a sentence about the weather at each border of two sentences."""

    def offers(host: Host, rng: random.Random) -> Iterator[Insertion]:
        for border in host.borders:
            sky = rng.choice(SKIES)
            yield Insertion(place=border.at, text=f" {sky}", donor=f"weather/{SKIES.index(sky)}")

    return offers


SOURCES["weather"] = weather

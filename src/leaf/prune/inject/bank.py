"""Our own sentences and half sentences that say nothing, along the three axes of GSM-IC.

Shi et al. (2023), "Large Language Models Can Be Easily Distracted by Irrelevant Context", vary an
irrelevant sentence by its topic (that of the problem or another), its role (a person of the problem
or somebody else) and its number (in the problem's range or out of it). A line of the table below
has the first two fixed; its number is drawn in or out of range, and some lines have none.

To add one: a line. It must say nothing about any question that has none of the words it avoids, and
be right English beside the present and the past.
"""

from dataclasses import dataclass
from typing import Literal, cast, get_args

Form = Literal["sentence", "name", "end", "opening"]
"""Where a text stands: as a sentence; after a name that acts; before the last sign of a sentence
that ends with things; before a sentence that begins with a name."""

Side = Literal["in", "out"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """A text with places to fill.

    `{who}` is a person, `{n}` and `{m}` are two numbers, `{things}` is what is counted.
    """

    name: str
    """Part of what the ledger calls its donor."""
    form: Form
    topic: Side
    role: Side
    low: int
    high: int
    """Numbers from `low` to `high` are plausible; both 0 where there is none."""
    avoid: str
    """Beginnings of words, with | between, that a question must not have: it could mean more."""
    text: str


AVOID = {
    "age": "old|age|young|year|birth|born|time|month|teen|adult|elder",
    "weight": "weigh|pound|kilo|kg|lb|heav|ounce|gram|ton|mass|light|diet|lose|lost|gain",
    "height": "tall|height|high|inch|feet|foot|long|length|cm|meter|short|grow|grew|size",
    "shoes": "shoe|size|boot|sneaker|sock|feet|foot|pair",
    "home": "house|home|street|live|apartment|address|neighbo|block|road|lot|number|room",
    "kin": "cousin|famil|relative|sibling|brother|sister|friend|people|person|child|kid|uncle|aunt"
    "|guest|invit|member|each|everyone|share|divid|split",
    "distance": "mile|km|kilomet|distance|far|driv|drove|walk|ran|run|travel|trip|sea|beach|speed"
    "|ride|live",
    "weather": "degree|temperature|hot|cold|warm|cool|celsius|fahrenheit|weather|rain|snow|storm"
    "|sun|wind|dry|wet|sky|skies|cloud|clear",
    "rain": "degree|temperature|weather|rain|snow|storm|sun|water|day|week|dry|wet",
    "room": "room|window|hall|house|build|wall|glass|paint",
    "clock": "minute|hour|time|clock|watch|second|slow|late|early|fast",
    "birds": "bird|sing|song|nest|egg|feather|tree|duck|chicken|pigeon|fly|flew",
    "picture": "poster|picture|photo|paint|draw|drew|art|wall|hang|hung|collect",
    "film": "film|movie|watch|saw|see|seen|show|video|theat|cinema",
    "song": "song|sing|music|album|playlist|radio|record|band|concert",
    "dream": "dream|sleep|slept|night|imagin",
    "tale": "story|stories|tale|newspaper|magazine|article|read|book|writ|wrote|page|chapter",
    "cost": "cost|price|pay|paid|money|dollar|cent|buy|bought|sell|sold|sale|earn|spen|worth|cheap"
    "|expens|charg|fee|wage|salar|euro|rupee|profit|bill|budget|sav|discount|coin|store|shop|owe|bank|penn"
    "|dime|nickel|quarter",
    "eyes": "eye|blue|color|colour",
    "dog": "dog|bark|pet|pup|animal",
    "bus": "bus|train|rout|ride|driv|drove|car|travel|passenger|number",
    "steps": "step|stair|tower|church|floor|climb|walk|stor",
    "clothes": "jacket|coat|cloth|wear|wore|shirt|green|outfit|color|colour|dress",
    "fever": "degree|temperature|hot|cold|warm|fever|sick|ill|doctor|thermometer",
    "heart": "heart|pulse|beat|minute|rate|exercis|run|ran|jog",
    "battery": "batter|phone|percent|charg|power",
    "sleep": "sleep|slept|hour|night|bed|tired|awake",
    "speed": "mile|kilomet|km|speed|fast|slow|wind|hour|driv|drove|walk|ran|run|travel|ride|distan",
    "size": "size|big|small|large|tin|huge|tall|length|wide",
}
"""What a template is about to the beginnings of words that it avoids."""

_TABLE = """
name      form      topic role number  avoids   text

age       sentence  out   in   8-80    age      {who} is {n} years old.
weight    sentence  out   in   60-220  weight   {who} weighs {n} pounds.
height    sentence  out   in   48-78   height   {who} is {n} inches tall.
shoes     sentence  out   in   4-13    shoes    {who} wears size {n} shoes.
house     sentence  out   in   2-400   home     {who} lives at number {n} on Mill Street.
cousins   sentence  out   in   2-20    kin      {who} has {n} cousins abroad.
sea       sentence  out   in   2-300   distance {who} lives {n} miles from the sea.
sings     sentence  out   in   -       song     {who} likes to sing.
eyes      sentence  out   in   -       eyes     {who} has blue eyes.
jacket    sentence  out   in   -       clothes  {who} often wears a green jacket.

age       sentence  out   out  8-80    age      A neighbor named {who} is {n} years old.
weight    sentence  out   out  60-220  weight   A neighbor named {who} weighs {n} pounds.
height    sentence  out   out  48-78   height   A dentist named {who} is {n} inches tall.
shoes     sentence  out   out  4-13    shoes    A neighbor named {who} wears size {n} shoes.
cousins   sentence  out   out  2-20    kin      A tourist named {who} has {n} cousins abroad.
sings     sentence  out   out  -       song     A neighbor named {who} likes to sing.
room      sentence  out   out  2-60    room     The town hall has {n} windows.
heat      sentence  out   out  20-95   weather  It was {n} degrees outside.
rain      sentence  out   out  2-30    rain     In the next town it had rained for {n} days.
clock     sentence  out   out  2-55    clock    A clock on the wall was {n} minutes slow.
bus       sentence  out   out  2-300   bus      Bus number {n} was passing by.
tower     sentence  out   out  30-400  steps    The church tower in town has {n} steps.
birds     sentence  out   out  2-60    birds    There were {n} birds singing outside.
windy     sentence  out   out  -       weather  It was a windy day.
dog       sentence  out   out  -       dog      A dog was barking outside.
sky       sentence  out   out  -       weather  The sky was clear.

dream     sentence  in    in   2-999   dream    {who} once had a dream about {n} {things}.
film      sentence  in    in   2-999   film     {who} once saw a film about {n} {things}.
dream     sentence  in    in   -       dream    {who} once had a dream about {things}.
song      sentence  in    in   -       song     The song that {who} likes best is about {things}.
poster    sentence  in    out  2-999   picture  A poster on the wall shows {n} {things}.
tale      sentence  in    out  2-999   tale     A story in the newspaper was about {n} {things}.
song      sentence  in    out  -       song     A song on the radio was about {things}.
dream     sentence  in    out  2-999   dream    {who}, a neighbor, had a dream about {n} {things}.

age       name      out   in   8-80    age      , who is {n} years old,
weight    name      out   in   60-220  weight   , who weighs {n} pounds,
height    name      out   in   48-78   height   , who is {n} inches tall,
shoes     name      out   in   4-13    shoes    , who wears size {n} shoes,
house     name      out   in   2-400   home     , who lives at number {n} on Mill Street,
cousins   name      out   in   2-20    kin      , who has {n} cousins abroad,
sings     name      out   in   -       song     , who likes to sing,
eyes      name      out   in   -       eyes     , who has blue eyes,

weight    end       in    out  2-90    weight   , weighing {n} pounds in all
cost      end       in    out  2-200   cost     , which cost {n} dollars in all
size      end       in    out  -       size     , all of about the same size

birds     opening   out   out  2-60    birds    With {n} birds singing outside,
heat      opening   out   out  20-95   weather  On a day with a high of {n} degrees,
windy     opening   out   out  -       weather  On a windy day,
"""


_MEASURES = """
name      form      topic role number  avoids   text

weight    sentence  out   in   60-220  weight   {who}'s weight went from {n} to {m} pounds.
height    sentence  out   in   40-78   height   {who}'s height went from {n} to {m} inches.
fever     sentence  out   in   96-104  fever    {who}'s temperature went from {n} to {m} degrees.
heart     sentence  out   in   50-180  heart    {who}'s pulse went from {n} to {m} beats a minute.
battery   sentence  out   in   2-99    battery  {who}'s phone went from {n} to {m} percent.
sleep     sentence  out   in   4-12    sleep    {who}'s sleep went from {n} to {m} hours a night.

heat      sentence  out   out  20-95   weather  It went from {n} to {m} degrees outside.
wind      sentence  out   out  3-60    speed    The wind went from {n} to {m} miles an hour.
queue     sentence  out   out  5-90    kin      A queue outside went from {n} to {m} people.

weigh     sentence  in    out  2-90    weight   All {things} weighed {n} pounds and later {m}.
price     sentence  in    out  2-90    cost     Elsewhere {things} went from {n} to {m} dollars.

weight    name      out   in   60-220  weight   , whose weight went from {n} to {m} pounds,
height    name      out   in   40-78   height   , whose height went from {n} to {m} inches,
fever     name      out   in   96-104  fever    , whose temperature went from {n} to {m} degrees,
battery   name      out   in   2-99    battery  , whose phone went from {n} to {m} percent,

weigh     end       in    out  2-90    weight   , which weighed {n} pounds and later {m}

heat      opening   out   out  20-95   weather  While it went from {n} to {m} degrees outside,
wind      opening   out   out  3-60    speed    While the wind went from {n} to {m} miles an hour,
"""


def _read(line: str) -> Template:
    name, form, topic, role, number, avoids, text = line.split(maxsplit=6)
    low, _, high = number.partition("-")
    known = form in get_args(Form) and {topic, role} <= {*get_args(Side)}
    if not known or ("{n}" in text) != bool(high):
        raise ValueError(f"not a template: {line}")
    return Template(
        name=name,
        form=cast(Form, form),
        topic=cast(Side, topic),
        role=cast(Side, role),
        low=int(low or 0),
        high=int(high or 0),
        avoid=AVOID[avoids],
        text=text,
    )


def _all(table: str) -> tuple[Template, ...]:
    return tuple(_read(line) for line in table.splitlines()[2:] if line.strip())


TEMPLATES = _all(_TABLE)
"""Every template that says one thing, in the order of the table."""

MEASURES = _all(_MEASURES)
"""Every template in which a measure changes: `{n}` before, `{m}` after."""

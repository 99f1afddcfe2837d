"""The few words that putting in needs to know: first names, countable things, numbers.

English. Whoever is called by a name that is not here takes no sentence about a person, and what is
not here is no thing to take up: less is put in then, and nothing wrong.
"""

import re
from fractions import Fraction


def words(text: str) -> frozenset[str]:
    """Return the words of a list that is written as a text."""
    return frozenset(text.split())


WOMEN = words("""
    Abby Abigail Ada Alexis Alice Alyssa Amanda Amber Amelia Amy Angela Anita Ann Anna Anne
    Annie Ashley Barbara Bella Beth Betty Bianca Brenda Brittany Carla Carmen Carol Carolyn
    Carrie Chloe Christina Christine Cindy Claire Clara Cynthia Daisy Dana Daria Debby Diana
    Diane Donna Dora Doris Dorothy Edith Elena Elizabeth Ella Ellen Ellie Emily Emma Erica Erin
    Esther Eva Eve Faith Fatima Gina Grace Gretchen Gwen Haley Hannah Heather Helen Holly Ida
    Ingrid Irene Iris Isabel Isabella Jane Janet Janice Jasmine Jen Jenna Jennifer Jenny
    Jessica Jill Joan Joyce Judy Julia Julie Kaitlyn Karen Kate Katherine Kathy Katie Kayla
    Kendra Kylie Lara Laura Lauren Layla Leila Lena Lila Lily Linda Lisa Lola Lucy Lydia Mabel
    Maggie Mandy Margaret Maria Marie Marla Marta Martha Mary Megan Melanie Melissa Mia
    Michelle Mildred Milly Miriam Molly Monica Nancy Natalia Natalie Nicole Nina Nora Norma
    Olga Olivia Paige Pamela Patricia Paula Pauline Peggy Polly Priya Rachel Rebecca Rita Rosa
    Rosie Ruth Sally Samantha Sandra Sandy Sara Sarah Sasha Shelly Sophia Sophie Stacy Stella
    Stephanie Sue Susan Susie Suzanne Tamara Tammy Tara Teresa Tiffany Tina Tonya Tracy Ursula
    Valerie Vanessa Vicky Wanda Wendy Yolanda Yvonne Zoe
""")
MEN = words("""
    Aaron Adam Alan Albert Alfred Ali Allan Alvin Andrew Andy Anthony Arnold Arthur Barry Ben
    Benjamin Benny Bert Bill Billy Bob Bobby Brad Brandon Brendan Brian Bruce Bryan Caleb
    Calvin Carl Carlos Cedric Charles Charlie Christopher Colin Connor Craig Dan Daniel Danny
    Darren Dave David Dennis Derek Diego Don Donald Dylan Earl Ed Eddie Edgar Edward Eli Eric
    Erik Ernest Ethan Felix Fernando Finn Francis Frank Frankie Fred Gary George Gerald Gilbert
    Glen Gordon Greg Gregory Harold Harry Hasan Hector Henry Herbert Howard Hugo Ian Isaac Ivan
    Jack Jacob Jake James Jared Jason Javier Jeff Jeffrey Jeremy Jerome Jerry Jesse Jim Jimmy
    Joe Joel Joey John Johnny Jonathan Jorge Jose Joseph Josh Joshua Juan Julian Justin Karl
    Keith Ken Kenji Kenneth Kenny Kevin Kyle Larry Leo Leonard Levi Liam Louis Lucas Luke
    Malcolm Manuel Marco Marcus Mario Mark Martin Marvin Mason Matt Matthew Max Michael Mike
    Miles Mitchell Mohamed Nathan Nathaniel Neil Nicholas Nick Noah Norman Oliver Oscar Otto
    Owen Pablo Paul Pedro Pete Peter Phil Philip Ralph Randy Rashid Raymond Ricardo Richard
    Rick Ricky Robert Roberto Roger Roland Ron Ronald Roy Russell Ryan Samuel Scott Sean Sergio
    Seth Shawn Simon Stan Stephen Steve Steven Stuart Ted Teddy Theo Theodore Thomas Tim
    Timothy Toby Todd Tom Tommy Tony Travis Trevor Tyler Victor Viktor Vincent Walter Warren
    Wayne Wesley William Xavier Zach Zachary
""")
EITHER = words("""
    Alex Avery Cameron Carey Carson Casey Chris Dale Drew Harper Jamie Jan Jay Jean Jess Jo
    Jody Kelly Kim Kris Lee Leslie Mel Morgan Nicky Pat Quinn Ray Riley Robin Sam Sammy Shannon
    Sidney Skylar Taylor Terry
""")
NAMES = WOMEN | MEN | EITHER
"""First names, none of them also a town's; those of `EITHER` do not say who `he` and `she` are."""

SMALL = words("""
    acorns almonds apples apricots avocados bagels balloons balls bananas beads beans beets
    berries biscuits blocks bones books bottles bowls bracelets bricks brownies buns burgers
    burritos buttons cakes candies candles cans caps cards carrots cartons chairs cherries
    chestnuts chocolates coconuts coins cones cookies corks crackers crayons croissants
    cucumbers cupcakes cups dimes dolls donuts doughnuts drums eggs envelopes erasers figs
    flags flowers folders forks glasses gloves gourds grapefruits grapes gumballs hamburgers
    hammers hats helmets jars jellybeans jewels keys kites kiwis knives lamps lemons lilies
    limes loaves lollipops magazines magnets mangoes mangos marbles markers marshmallows masks
    medals melons mittens muffins mugs mushrooms nails necklaces nickels notebooks nuts olives
    onions oranges ornaments pancakes peaches peanuts pears pebbles pencils pendants pennies
    pens peppers pies pillows pineapples pinecones pizzas plates plums potatoes pots pretzels
    pumpkins puzzles radishes rings rocks rolls roses rulers sandwiches scarves screws
    seashells seeds shells shirts shovels socks spoons staplers stickers stones strawberries
    sunflowers sweaters tacos teacups ties tomatoes toys trophies tulips vases waffles walnuts
    watermelons whistles
""")
"""Things that somebody can hold, and that may be weighed together."""

LARGE = words("""
    actors bees beetles benches bicycles bikes birds boats boys buses butterflies camels cars
    caterpillars cats chickens children cows crabs deer dogs dolphins donkeys doors ducks
    eagles elephants engineers farmers firefighters fish flamingos foxes frogs geese giraffes
    girls goats guests guppies hamsters hens hippos horses houses kangaroos kids kittens koalas
    ladybugs lions lizards lobsters monkeys musicians oaks octopuses ostriches owls pandas
    parrots passengers penguins pigeons pigs pilots players ponies puppies rabbits raccoons
    robots rooms roosters sailors sharks sheep ships singers snails snakes spiders squirrels
    students swans tables teachers tents tigers tractors trains trees trucks turkeys turtles
    visitors whales wolves workers zebras
""")
"""Other things and beings that are counted."""

_COUNTED = """two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty"""
COUNTING = {word: number for number, word in enumerate(_COUNTED.split(), start=2)}
"""Numbers that texts write out; `one` is an article more often than a number."""

_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})+(?:\.\d+)?(?!\w)|(?<![\w.])\d+(?:\.\d+)?")
_WRITTEN = re.compile(rf"\b(?:{'|'.join(COUNTING)})\b", re.IGNORECASE)


def numbers(text: str) -> set[Fraction]:
    """Return the numbers in a text, `1,234.5` and `twelve` alike, without their signs."""
    found = {Fraction(number.group().replace(",", "")) for number in _NUMBER.finditer(text)}
    return found | {Fraction(COUNTING[word.group().lower()]) for word in _WRITTEN.finditer(text)}


def names_in(text: str) -> frozenset[str]:
    """Return the first names in a text."""
    return NAMES.intersection(_WORD.findall(text))


def first_word(text: str) -> str:
    """Return the first word of a text, or ""."""
    found = _WORD.search(text)
    return found.group() if found else ""

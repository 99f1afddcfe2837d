r"""Pairs of gold and final answer, judged by hand: what `test_pairs.py` expects of the graders.

Each line says why. `\` is doubled nowhere: every text is raw. What ours judges otherwise than the
hand does stands in `LIMITS`, with the judgement that ours gives.
"""

from typing import NamedTuple

from leaf.records import Outcome

RIGHT, WRONG, UNGRADABLE = Outcome.RIGHT, Outcome.WRONG, Outcome.UNGRADABLE


class Pair(NamedTuple):
    gold: str
    said: str
    outcome: Outcome
    why: str


PAIRS = [
    # fractions, decimals, mixed numbers
    Pair(r"\frac{3}{4}", "0.75", RIGHT, "3 / 4 = 0.75"),
    Pair(r"\frac{3}{4}", r"\dfrac{6}{8}", RIGHT, "cancel 2"),
    Pair(r"\frac43", "4/3", RIGHT, "two one-digit arguments"),
    Pair(r"\frac{3}{4}", r"\frac{4}{3}", WRONG, "upside down"),
    Pair(r"\frac{1}{3}", "0.33", WRONG, "0.33 is 33/100"),
    Pair(r"1\frac{1}{2}", "1.5", RIGHT, "a mixed number is a sum"),
    Pair(r"-15\frac{3}{5}", "-15.6", RIGHT, "the sign is of the whole"),
    Pair(r"2\frac{3}{4}", r"\frac{6}{4}", WRONG, "a sum, not a product"),
    Pair(r"\frac{-1}{1997}", r"-\frac{1}{1997}", RIGHT, "where the sign stands"),
    Pair("3", "3.0", RIGHT, "a trailing zero"),
    Pair("26", "026", RIGHT, "AIME's leading zeros"),
    Pair("0.5", ".5", RIGHT, "no zero before the point"),
    Pair("5", "-5", WRONG, "the sign"),
    Pair("1200", "1.2e3", RIGHT, "a float of a programming language"),
    # thousands
    Pair("1,000,000", "1000000", RIGHT, "commas between thousands"),
    Pair("1000000", r"1{,}000{,}000", RIGHT, "commas in braces"),
    Pair("1000000", r"1\,000\,000", RIGHT, "thin spaces"),
    Pair(r"11,\! 111,\! 111,\! 100", "11111111100", RIGHT, "as a gold of MATH-500 is written"),
    Pair("1,000", "1", WRONG, "not the first of a list"),
    # powers, roots, complex numbers
    Pair(r"2^{1009}", r"2\cdot 2^{1008}", RIGHT, "exponents add"),
    Pair(r"2^{1009}", r"2^{1008}", WRONG, "half of it"),
    Pair(r"\frac{100!}{2^{50}}", r"100!\cdot 2^{-50}", RIGHT, "a negative exponent divides"),
    Pair(r"\frac{100!}{2^{50}}", r"\frac{100!}{2^{49}}", WRONG, "twice it"),
    Pair(r"\frac{8}{\sqrt[3]{7}}", r"\frac{8\sqrt[3]{49}}{7}", RIGHT, "times the root of 49"),
    Pair(r"\sqrt{8}", r"2\sqrt{2}", RIGHT, "8 = 4 * 2"),
    Pair(r"\sqrt{8}", r"2\sqrt{3}", WRONG, "that squared is 12"),
    Pair(r"\sqrt{2}", "1.414", WRONG, "irrational"),
    Pair(r"\frac{\log 2}{\log 2-\log 3}", r"\frac{1}{1-\log_2 3}", RIGHT, "divide by log 2"),
    Pair("6+9i", "9i+6", RIGHT, "order of terms"),
    Pair("6+9i", "6-9i", WRONG, "its conjugate"),
    # percent, money, degrees, units, ratio
    Pair(r"40\%", "40", RIGHT, "asked for a percentage"),
    Pair("62.5%", r"62.5\%", RIGHT, "a sign that LaTeX takes for a comment"),
    Pair("62.5%", "0.625", RIGHT, "62.5 / 100"),
    Pair("62.5%", "5/8", RIGHT, "0.625"),
    Pair("62.5%", "37.5", WRONG, "the rest to 100"),
    Pair(r"0.56 = 56\%", r"56\%", RIGHT, "a gold of MATH that says it twice"),
    Pair(r"\$1.17", "1.17", RIGHT, "the currency is known"),
    Pair(r"60^\circ", r"60\text{ degrees}", RIGHT, "the same unit"),
    Pair(r"60^\circ", r"\frac{\pi}{3}", WRONG, "radians were not asked for"),
    Pair("166", r"166\text{ cm}^2", RIGHT, "the unit is known"),
    Pair("166", "166 cm^2", RIGHT, "the same without \\text"),
    Pair("5k", "5 k", RIGHT, "with letters in the gold, k is no unit"),
    Pair(r"\frac{600}{7}", r"85\frac{5}{7} km/h", RIGHT, "85 * 7 + 5 = 600"),
    Pair(r"\approx 8.24 \text{ mph}", "8.24", RIGHT, "approximately, with a unit"),
    Pair("5:6", r"\frac{5}{6}", RIGHT, "a ratio"),
    Pair("5:6", "6:5", WRONG, "the other way round"),
    # bases
    Pair("2516_8", "2516_{8}", RIGHT, "braces"),
    Pair("2516_8", "2516", RIGHT, "the question says the base"),
    Pair("2516_8", "2516_7", WRONG, "another number"),
    Pair("1101_2", "13", WRONG, "in the wrong base, though equal in value"),
    # expressions, equations, inequalities
    Pair("x^2+2x+1", "(x+1)^2", RIGHT, "expand"),
    Pair("x^2+2x+1", "(x-1)^2", WRONG, "-2x"),
    Pair(r"\sin^2 x", r"1-\cos^2 x", RIGHT, "Pythagoras"),
    Pair(r"\binom{2n}{n}", r"\frac{(2n)!}{n!n!}", RIGHT, "its definition"),
    Pair(
        r"m n-\lfloor m / 2\rfloor",
        r"mn - \left\lfloor \frac{m}{2} \right\rfloor",
        RIGHT,
        "the same floor",
    ),
    Pair(r"m n-\lfloor m / 2\rfloor", r"mn - \lceil \frac{m}{2} \rceil", WRONG, "the ceiling"),
    Pair("5", "x = 5", RIGHT, "the value has a name"),
    Pair("f(x)=2 x", "2x", RIGHT, "the function asked for"),
    Pair("f(x)=2 x", "f(x)=3x", WRONG, "another slope"),
    Pair("y=2x+1", "2x-y+1=0", RIGHT, "the same line"),
    Pair("y=2x+1", "y=2x+3", WRONG, "parallel"),
    Pair("x+y+z=0", "x+y-z=0", WRONG, "another plane"),
    Pair(r"k \geqslant 2", r"2\le k", RIGHT, "read from right to left"),
    Pair(r"k \geqslant 2", r"k > 2", WRONG, "2 is missing"),
    Pair(r"-80\leq g(x)\leq 82", "[-80,82]", RIGHT, "an interval"),
    Pair("[0,1)", r"0 \le x < 1", RIGHT, "an inequality for an interval"),
    Pair("[0,1)", r"0 \le x \le 1", WRONG, "1 is in it"),
    # intervals, sets, tuples, matrices
    Pair("[0,1)", "[0,1]", WRONG, "1 is in it"),
    Pair(r"(-\infty, 0) \cup\{1\}", r"\{1\}\cup(-\infty,0)", RIGHT, "order of a union"),
    Pair(r"(-\infty, 0) \cup\{1\}", r"(-\infty,0)", WRONG, "1 is missing"),
    Pair(r"(-\infty,1)\cup(1,\infty)", r"x \neq 1", RIGHT, "all but 1"),
    Pair(r"(-\infty,1)\cup(1,\infty)", r"\mathbb{R}\setminus\{1\}", RIGHT, "all but 1"),
    Pair(r"\emptyset", r"\varnothing", RIGHT, "two signs for it"),
    Pair(r"\{4,5,7\}", "7, 5, 4", RIGHT, "a set has no order"),
    Pair(r"2, 3, \text{ and } 4", "2,3,4", RIGHT, "a list in words"),
    Pair(r"-2 \text{ or } -12", "-12, -2", RIGHT, "a list in words"),
    Pair(r"1 \pm \sqrt{19}", r"1+\sqrt{19}, 1-\sqrt{19}", RIGHT, "plus and minus"),
    Pair(r"\pm 2", "2", WRONG, "-2 is missing"),
    Pair("2", r"\pm 2", WRONG, "-2 is too much"),
    Pair("(3,4)", r"\left( 3, 4 \right)", RIGHT, "spacing"),
    Pair("(3,4)", "(4,3)", WRONG, "a point has an order"),
    Pair("(2,4)", "x=2, y=4", RIGHT, "each with its name"),
    Pair(
        r"\begin{pmatrix}1&0\\0&3\end{pmatrix}",
        r"\begin{bmatrix} 1 & 0 \\ 0 & 3 \end{bmatrix}",
        RIGHT,
        "other brackets",
    ),
    Pair(
        r"\begin{pmatrix}1&0\\0&3\end{pmatrix}",
        r"\begin{pmatrix}3&0\\0&1\end{pmatrix}",
        WRONG,
        "other entries",
    ),
    # words and options
    Pair(r"\text{Evelyn}", "Evelyn", RIGHT, "a name"),
    Pair(r"\text{odd}", "Odd", RIGHT, "a capital letter"),
    Pair(r"\text{odd}", "even", WRONG, "its contrary"),
    Pair(r"\text{two lines}", "two lines", RIGHT, "two words"),
    Pair(r"\text{(E)},", "E", RIGHT, "a gold of MATH with a comma"),
    Pair(r"\text{B}", r"\textbf{(B)}\ 12", RIGHT, "the option with its value"),
    Pair(r"\text{H, E}", "E, H", RIGHT, "several options"),
    Pair(r"\text{A,B}", "A", WRONG, "one of two options"),
    Pair(r"\textbf{(B)}\ 12", "12", RIGHT, "the value of the option"),
    Pair(r"\textbf{(B)}\ 12", r"\text{B}", RIGHT, "the option alone"),
    Pair(r"\textbf{(B)}\ 12", r"\textbf{(C)}\ 12", WRONG, "the letter decides"),
    Pair(r"\textbf{(B)}\ 12", "13", WRONG, "another value"),
    Pair("12", r"\textbf{(B)}\ 12", RIGHT, "the option was not asked for"),
]

OLYMPIAD = [
    # golds, all of which must be given
    Pair("1; 3; 5", "5, 3, 1", RIGHT, "any order"),
    Pair("1; 3; 5", r"1, 3, \text{ and } 5", RIGHT, "in words"),
    Pair("1; 3; 5", r"\{1,3,5\}", RIGHT, "as a set"),
    Pair("1; 3; 5", r"x \in \{1,3,5\}", RIGHT, "as a set of x"),
    Pair("1; 3; 5", r"x=1 \text{ or } x=3 \text{ or } x=5", RIGHT, "each with its name"),
    Pair("1; 3; 5", "1; 3; 5", RIGHT, "semicolons"),
    Pair("1; 3; 5", "1, 3", WRONG, "one is missing"),
    Pair("1; 3; 5", "1, 3, 5, 7", WRONG, "one too many"),
    Pair("1; 3; 5", "1, 3, 3", WRONG, "3 twice, 5 never"),
    Pair("16; 3; 1; 1", "1, 1, 3, 16", RIGHT, "1 twice, as asked for"),
    Pair("16; 3; 1; 1", "16, 3, 1", WRONG, "1 is missing once"),
    Pair("16; 3; 1; 1", "16, 3, 3, 1", WRONG, "3 twice, 1 once"),
    Pair("-2; 2", r"\pm 2", RIGHT, "both signs"),
    Pair("-2; 2", "2", WRONG, "one sign"),
    Pair("2500; 7500", "7,500 and 2,500", RIGHT, "thousands inside a list"),
    Pair(r"\frac{32}{9}; \frac{1}{2}", "0.5, 32/9", RIGHT, "other spellings"),
    Pair(r"1+\sqrt{2}; 1-\sqrt{2}", r"1\pm\sqrt{2}", RIGHT, "plus and minus"),
    Pair("(1,8,19); (2,7,13)", "(2,7,13), (1,8,19)", RIGHT, "tuples in any order"),
    Pair("(1,8,19); (2,7,13)", "(8,1,19), (2,7,13)", WRONG, "a tuple has an order"),
    Pair("(1,8,19); (2,7,13)", "(1,8,19)", WRONG, "one of two"),
    Pair("(1,2); (3,4)", "(x,y)=(1,2), (x,y)=(3,4)", RIGHT, "each with its name"),
    Pair("f(x)=-1; f(x)=x+1", r"f(x)=x+1 \text{ and } f(x)=-1", RIGHT, "functions"),
    Pair("f(x)=-1; f(x)=x+1", "f(x)=x+1, f(x)=1", WRONG, "the sign"),
    Pair(r"10^{3}; 10", "10, 1000", RIGHT, "10^3 = 1000"),
    Pair("90; 90", "90^\\circ, 90^\\circ", RIGHT, "equal angles, both asked for"),
]

TOLERANT = [
    # gold 4.2 per cent, error 0.1 allowed
    Pair("4.2", "4.2", RIGHT, "exact"),
    Pair("4.2", "4.3", RIGHT, "0.1 away"),
    Pair("4.2", "4.1", RIGHT, "0.1 away"),
    Pair("4.2", r"4.25\%", RIGHT, "0.05 away, with the unit"),
    Pair("4.2", "r = 4.15", RIGHT, "0.05 away, with its name"),
    Pair("4.2", r"\frac{43}{10}", RIGHT, "4.3 as a fraction"),
    Pair("4.2", "4.31", WRONG, "0.11 away"),
    Pair("4.2", "-4.2", WRONG, "the sign"),
    Pair("4.2", "x", WRONG, "no number"),
]

LIMITS = [
    # what ours says, against the hand; each stands in the docstring of `leaf.grade.math`
    Pair("10", r"10\%", RIGHT, "by hand wrong unless a percentage was asked for"),
    Pair("0.1", r"10\%", RIGHT, "so one text is right for both"),
    Pair("1/3", "0.333333", RIGHT, "by hand wrong: six places are not exact"),
    Pair("(2,4)", "2, 4", RIGHT, "by hand doubtful: a list for a pair"),
    Pair(r"\{4,5,7\}", "(4,5,7)", RIGHT, "by hand doubtful: a tuple for a set"),
    Pair("1, 1, 2", r"\{1, 2\}", RIGHT, "by hand wrong: 1 was asked for twice"),
    Pair(r"\begin{pmatrix}7\\5\end{pmatrix}", "(7,5)", WRONG, "by hand right: the same vector"),
    Pair("f(x)=2x", "f(t)=2t", WRONG, "by hand right: the name of the variable"),
    Pair(r"e^{i\pi/4}", r"\frac{\sqrt2}{2}+\frac{\sqrt2}{2}i", WRONG, "by hand right: Euler"),
    Pair(
        r"(-\infty, 0) \cup\{1\}",
        r"x<0 \text{ or } x=1",
        WRONG,
        "by hand right: a union in words",
    ),
    Pair(r"\mbox{four}", "4", WRONG, "by hand right: a number in words"),
    Pair("1101_2", r"1101_{\text{two}}", UNGRADABLE, "by hand right: the base in words"),
]

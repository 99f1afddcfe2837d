"""HotpotQA with long answers: quote what the answer rests on, then answer (`hotpotqa/hotpot_qa`).

The same records, passages and golds as `hotpotqa`, but for the request, and for the worked
solution: a paragraph a gold passage, in the order of the data, with its title, then the answer.

    From "Kiss and Tell (1945 film)": Kiss and Tell is a 1945 American comedy film starring ...

    From "Shirley Temple": ... As an adult, she was named United States ambassador to Ghana ...

    Answer: Chief of Protocol

Where `supporting_facts` names sentences (the hub's records), these are quoted, one after another;
where a record only says which passages are gold, these are, whole: 90 to 500 tokens.
`data.grader: {rouge_l: {against: solution}}` judges the whole response, `qa` the answer alone.
A record without a gold passage is left out and counted.
"""

from collections.abc import Mapping

from leaf.errors import DataError
from leaf.tasks.contexts import distinct, read_passages
from leaf.tasks.passages import Asked
from leaf.tasks.paths import decoded
from leaf.tasks.reading import Row, text_of
from leaf.tasks.task import passage_task

AFTER = (
    "\n\nFirst copy out, word for word, what the answer rests on: a paragraph for each document "
    'that you need, as in\nFrom "[title]": [sentences]\n\nThen end with a line of this form:\n'
    "Answer: [answer]"
)
"""What follows each question where the recipe does not say otherwise."""


@passage_task(
    "hotpotqa_quotes",
    "hotpotqa/hotpot_qa",
    config="distractor",
    evaluation="validation",
    after=AFTER,
)
def hotpotqa_quotes(row: Row) -> Asked:
    """Read a question with two gold passages, and quote them."""
    passages = read_passages(row, "context")
    quoted = _sentences(row)
    paragraphs = [
        f'From "{passage.title}": {quoted.get(passage.title) or passage.text}'
        for passage in passages
        if passage.gold
    ]
    if not paragraphs:
        raise DataError(f"{row.place}: no passage is marked as gold, so there is nothing to quote")
    return Asked(
        question=text_of(row, "question").strip(),
        answers=distinct([text_of(row, "answer")]),
        passages=passages,
        # A blank line before the answer, as between the others.
        steps="\n\n".join(paragraphs) + "\n",
    )


def _sentences(row: Row) -> dict[str, str]:
    """Return title to the sentences that `supporting_facts` names, where these are told apart."""
    facts = decoded(row.values.get("supporting_facts"))
    if isinstance(facts, Mapping):
        facts = list(zip(facts.get("title", ()), facts.get("sent_id", ()), strict=False))
    texts = decoded(row.values.get("context"))
    if isinstance(texts, Mapping):
        texts = list(zip(texts.get("title", ()), texts.get("sentences", ()), strict=False))
    wanted: dict[str, list[int]] = {}
    for fact in facts or ():
        if isinstance(fact, list | tuple) and len(fact) == 2:
            wanted.setdefault(str(fact[0]).strip(), []).append(fact[1])
    found: dict[str, str] = {}
    for title, text in (pair for pair in texts or () if len(pair) == 2):
        numbers = sorted({*wanted.get(str(title).strip(), ())})
        if numbers and isinstance(text, list) and numbers[-1] < len(text):
            found[str(title).strip()] = " ".join(text[number].strip() for number in numbers)
    return found

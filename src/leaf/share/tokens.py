"""Training rows as tokens: a Parquet file that needs no chat template to be trained on.

A row's columns: `id`, `problem`, `kind`, `strategy`, `weight` of each of its response tokens;
`input_ids`, `attention_mask`, `loss_mask` (1 on the response) and `labels` (-100 elsewhere), all as
long as the conversation; `teacher_input_ids`, the same response after the teacher's own prompt,
null where it sees the student's. With likeliest tokens, also `teacher_top_ids` and
`teacher_top_logprobs`: for each response token in turn, the K tokens that the teacher finds
likeliest at its place, and their natural log-probabilities at temperature 1, the likeliest first.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from leaf.distill.ranks import ALONE
from leaf.distill.rows import TrainingExample
from leaf.distill.sample import LeftOut, Sample, encode_rows
from leaf.distill.teacher import TopKTeacher
from leaf.distill.teacher_cache import TeacherCacheSpec, open_teacher
from leaf.errors import UsageError
from leaf.models import load
from leaf.models.files import find
from leaf.models.prompt_format import PromptFormat, prompt_format_of
from leaf.models.vocabulary import same_tokenizer
from leaf.recipe import Recipe
from leaf.share.weights import token_weights
from leaf.store.run_folder import TrainingRow
from leaf.store.store import write_whole

_TEXT = ("id", "problem", "kind", "strategy")
_IDS = pa.list_(pa.int32())
_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in _TEXT),
        pa.field("weight", pa.float32()),
        pa.field("input_ids", _IDS),
        pa.field("attention_mask", pa.list_(pa.int8())),
        pa.field("loss_mask", pa.list_(pa.int8())),
        pa.field("labels", _IDS),
        pa.field("teacher_input_ids", _IDS),
    ]
)
_TOPS = (
    pa.field("teacher_top_ids", pa.list_(_IDS)),
    pa.field("teacher_top_logprobs", pa.list_(pa.list_(pa.float32()))),
)
_NOT_LEARNT = -100
"""What transformers, TRL and axolotl leave out of the loss."""


def write_tokens(
    path: Path, rows: Sequence[TrainingRow], recipe: Recipe, *, top_k: int | None, store: Path
) -> tuple[list[TrainingRow], list[float], dict[str, int]]:
    """Write rows as tokens of the student; return those written, their weights, and what is not.

    Args:
        path: The file.
        rows: Those of the run.
        recipe: The arm's.
        top_k: Likeliest tokens of the teacher at each place; None: it is not asked.
        store: Root of the store, where what the teacher says is kept.

    Raises:
        UsageError: likeliest tokens of a teacher with another tokenizer.
        ModelError: a model cannot be found or loaded.
    """
    source = find(recipe.student)
    chat = prompt_format_of(load.load_tokenizer(source), recipe.student)
    samples, left = encode_rows(chat, [_example(row) for row in rows], recipe.distill.cutoff)
    if not samples:
        raise UsageError(f"there is nothing to write: every row is {_reasons(left).popitem()[0]}")
    weights = token_weights(
        [(one.row.counterfactual, one.tokens.response_length, one.row.weight) for one in samples],
        recipe.distill,
    )
    columns = _columns(samples, weights)
    schema = _SCHEMA
    if top_k is not None:
        columns |= _tops(samples, recipe, chat, top_k, store)
        schema = pa.schema([*schema, *_TOPS])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=schema), sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())
    by_id = {row.id: row for row in rows}
    return [by_id[one.row.id] for one in samples], weights, _reasons(left)


def _example(row: TrainingRow) -> TrainingExample:
    return TrainingExample(
        problem_id=row.problem_id,
        content=row.prompt,
        response=row.response,
        counterfactual=bool(row.strategy),
        response_prefix=row.response_prefix,
        id=row.id,
        strategy=row.strategy,
        teacher_content=row.teacher_prompt,
        teacher_prefix=row.teacher_prefix,
        weight=row.weight,
        turns=row.turns,
    )


def _reasons(left: Sequence[LeftOut]) -> dict[str, int]:
    return dict(Counter(one.reason for one in left))


def _columns(samples: Sequence[Sample], weights: Sequence[float]) -> dict[str, list[Any]]:
    rows = [sample.row for sample in samples]
    tokens = [sample.tokens for sample in samples]
    return {
        "id": [row.id for row in rows],
        "problem": [row.problem_id for row in rows],
        "kind": ["changed" if row.counterfactual else "original" for row in rows],
        "strategy": [row.strategy for row in rows],
        "weight": list(weights),
        "input_ids": [one.ids for one in tokens],
        "attention_mask": [[1] * len(one.ids) for one in tokens],
        "loss_mask": [[0] * one.prompt_length + [1] * one.response_length for one in tokens],
        "labels": [
            [_NOT_LEARNT] * one.prompt_length + list(one.ids[one.prompt_length :]) for one in tokens
        ],
        "teacher_input_ids": [sample.apart.ids if sample.apart else None for sample in samples],
    }


def _tops(
    samples: Sequence[Sample], recipe: Recipe, chat: PromptFormat, top_k: int, store: Path
) -> Mapping[str, list[Any]]:
    """Ask the teacher, or its cache, for the likeliest tokens of every response."""
    source, own = find(recipe.teaching), find(recipe.student)
    if not same_tokenizer(chat.tokenizer, load.load_tokenizer(source)):
        raise UsageError(
            f"--top-k {top_k}: {recipe.teaching.model} has another tokenizer than "
            f"{recipe.student.model}, so its tokens are none of the student's"
        )
    kept = "served" if recipe.distill.teacher == "served" else "topk"
    changes = {"teacher": kept, "top_k": top_k, "temperature": 1.0}
    spec = TeacherCacheSpec(
        teacher=recipe.teaching,
        source=source,
        section=recipe.distill.model_copy(update=changes),
        vocabulary=int(load.load_config(own).get_text_config().vocab_size),
        store=store,
    )
    items = [sample.teacher_tokens for sample in samples]
    with open_teacher(spec, items, ALONE) as teacher:
        assert isinstance(teacher, TopKTeacher)  # noqa: S101 - its section says so
        found = [teacher.cache.tops([item]) for item in items]
    ids, logs = zip(*found, strict=True)
    return {
        "teacher_top_ids": [one.tolist() for one in ids],
        "teacher_top_logprobs": [one.tolist() for one in logs],
    }

"""An evaluation as other tools write it: lm-eval's samples, every-eval-ever's records."""

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from leaf.generate import engine_of
from leaf.pipeline.answered import Answered, Benchmark, asked
from leaf.pipeline.benchmarks import file_name
from leaf.recipe import Recipe
from leaf.records import Problem
from leaf.statistics import Estimate
from leaf.store.store import write_whole

_ACCURACY = "exact_match"
"""What lm-eval calls the measure that has no name here."""


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Where an evaluation goes, and of what it is."""

    recipe: Recipe
    out: Path

    @cached_property
    def when(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def lm_eval(self, answered: Answered) -> None:
        """Write `lm-eval/samples_NAME_DATE.jsonl`, a line a question; it replaces those of before.

        The prompt is the user's message, without the chat template.
        """
        benchmark = answered.benchmark
        name, folder = file_name(benchmark.name), self.out / "lm-eval"
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"samples_{name}_????-??-??T*.jsonl"):
            old.unlink()
        date = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(self.when))
        measures = {
            benchmark.measure_of(label) or _ACCURACY: values
            for label, values in answered.measures.items()
        }
        generate = benchmark.generate(self.recipe.generate)
        options = {
            "until": list(generate.stop),
            "do_sample": generate.temperature > 0,
            "temperature": generate.temperature,
            "max_gen_toks": generate.max_new_tokens,
        }
        lines = []
        for at, (problem, answers) in enumerate(answered.by_problem):
            doc = _doc(problem)
            own = {name: values[problem.id] for name, values in measures.items()}
            sample = {
                "doc_id": at,
                "doc": doc,
                "target": problem.answer,
                "arguments": {"gen_args_0": {"arg_0": problem.content, "arg_1": options}},
                "resps": [[answer.text for answer, _ in answers]],
                "filtered_resps": [score.extracted or "" for _, score in answers],
                "filter": "none",
                "metrics": list(own),
                "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
                "prompt_hash": _hash(problem.content),
                "target_hash": _hash(problem.answer),
                **own,
            }
            lines.append(_line(sample))
        write_whole(folder / f"samples_{name}_{date}.jsonl", _bytes(lines))

    def every_eval_ever(self, answered: Answered) -> None:
        """Write a record of schema 0.3.0 and its instances, where that data base has them.

        `data/BENCHMARK/DEVELOPER/MODEL/UUID.json` beside `UUID_samples.jsonl`; the same evaluation
        has the same UUID.
        """
        benchmark = answered.benchmark
        name, model = file_name(benchmark.name), self.recipe.student.model
        developer, _, short = model.rstrip("/").rpartition("/")
        parts = [name, file_name(developer.rpartition("/")[2]) or "unknown", file_name(short)]
        digest = hashlib.sha256(json.dumps([*parts, *benchmark.digests.values()]).encode()).digest()
        own = str(uuid.UUID(bytes=digest[:16], version=4))
        place = "/".join(["data", *parts, f"{own}_samples.jsonl"])
        identity = f"{name}/{'_'.join(parts[1:])}/{self.when:.0f}"
        instances = list(self._instances(answered, identity))
        content = _bytes(list(map(_line, instances)))
        path = self.out / "every-eval-ever" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        record = {
            "schema_version": "0.3.0",
            "evaluation_id": identity,
            "evaluation_timestamp": f"{self.when:.0f}",
            "retrieved_timestamp": f"{self.when:.0f}",
            "source_metadata": {
                "source_name": "leaf evaluate",
                "source_type": "evaluation_run",
                "source_organization_name": "unknown",
                "evaluator_relationship": "other",
            },
            "eval_library": {"name": "leaf-distill", "version": version("leaf-distill")},
            "model_info": {
                "name": short,
                "id": model,
                "inference_engine": {"name": engine_of(self.recipe.student, self.recipe.generate)},
                "additional_details": {
                    "deployment_type": "unknown",
                    "model_availability": "unknown",
                },
            },
            "evaluation_results": [
                self._result(benchmark, label, estimate)
                for label, estimate in answered.estimates(self.recipe.evaluate).items()
            ],
            "detailed_evaluation_results": {
                "format": "jsonl",
                "file_path": place,
                "hash_algorithm": "sha256",
                "checksum": hashlib.sha256(content).hexdigest(),
                "total_rows": len(instances),
            },
        }
        text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
        write_whole(path.with_name(f"{own}.json"), text.encode("utf-8", errors="replace"))

    def _result(self, benchmark: Benchmark, label: str, estimate: Estimate) -> dict[str, Any]:
        section = benchmark.section
        generate = benchmark.generate(self.recipe.generate)
        measure = benchmark.measure_of(label) or "accuracy"
        return {
            "evaluation_result_id": label,
            "evaluation_name": label,
            "source_data": {
                "dataset_name": section.task,
                "source_type": "other",
                "additional_details": {
                    "path": section.path or "",
                    "split": section.split or "",
                },
            },
            "metric_config": {
                "metric_name": measure,
                "lower_is_better": False,
                "score_type": "continuous",
                "min_score": 0.0,
                "max_score": 1.0,
            },
            "score_details": {
                "score": estimate.value,
                "uncertainty": {
                    "confidence_interval": {
                        "lower": estimate.low,
                        "upper": estimate.high,
                        "confidence_level": 0.95,
                    },
                    "num_samples": estimate.n,
                },
                "details": {"ungradable": str(estimate.ungradable)},
            },
            "generation_config": {
                "generation_args": {
                    "temperature": generate.temperature,
                    "top_p": generate.top_p,
                    "max_tokens": generate.max_new_tokens,
                }
            },
        }

    def _instances(self, answered: Answered, identity: str) -> Iterator[dict[str, Any]]:
        """Yield a record for each measure of each question."""
        for label, values in answered.measures.items():
            for problem, answers in answered.by_problem:
                golds = [gold for gold in (problem.answer, *problem.golds) if gold]
                tokens = [
                    sum(getattr(answer, name) for answer, _ in answers)
                    for name in ("prompt_tokens", "response_tokens")
                ]
                yield {
                    "schema_version": "0.3.0",
                    "evaluation_id": identity,
                    "model_id": self.recipe.student.model,
                    "evaluation_name": label,
                    "evaluation_result_id": label,
                    "sample_id": problem.id,
                    "sample_hash": _hash(problem.content + "".join(golds)),
                    "interaction_type": "single_turn",
                    "input": {"raw": problem.content, "reference": golds},
                    "output": {"raw": [answer.text for answer, _ in answers]},
                    "messages": None,
                    "answer_attribution": [
                        {
                            "turn_idx": 0,
                            "source": "output.raw",
                            "extracted_value": score.extracted,
                            "extraction_method": problem.grader,
                            "is_terminal": True,
                        }
                        for _, score in answers
                        if score.extracted is not None
                    ],
                    "evaluation": {
                        "score": values[problem.id],
                        "is_correct": any(score.right for _, score in answers),
                    },
                    "token_usage": {
                        "input_tokens": tokens[0],
                        "output_tokens": tokens[1],
                        "total_tokens": sum(tokens),
                    },
                    "error": next((one.failure for one, _ in answers if one.failure), None),
                }


WRITERS: dict[str, Callable[[Writer, Answered], None]] = {
    "lm-eval": Writer.lm_eval,
    "every-eval-ever": Writer.every_eval_ever,
}
"""What `leaf evaluate --also` names."""


def _doc(problem: Problem) -> dict[str, Any]:
    doc = {"id": problem.id, "question": asked(problem), "answer": problem.answer}
    if problem.golds:
        doc["golds"] = "\n".join(problem.golds)
    return {**doc, "base": problem.base} if problem.base else doc


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _bytes(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode("utf-8", errors="replace")

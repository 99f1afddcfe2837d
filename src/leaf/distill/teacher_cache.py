"""The caches of what a teacher says: where they lie, how they are filled, what they will take."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from leaf.distill.cache import HEAD, Kind, Produce, TeacherCache, fill, read_head, write_head
from leaf.distill.keep import keep_states, keep_tops
from leaf.distill.ranks import Ranks
from leaf.distill.sample import content_key
from leaf.distill.served import keep_served, open_client
from leaf.distill.sharding import shard_teacher
from leaf.distill.teacher import (
    HiddenTeacher,
    OnlineStates,
    TopKTeacher,
    online_teacher,
    shared_beginning,
)
from leaf.models import load
from leaf.models.files import Source
from leaf.models.output_head import output_head
from leaf.models.prompt_format import EncodedExample
from leaf.models.spread import on_one_device
from leaf.progress import progress
from leaf.recipe import DistillSection, ModelSection
from leaf.store.keys import stage_key
from leaf.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherCacheSpec:
    """Which teacher says what, and where it is kept."""

    teacher: ModelSection
    source: Source
    section: DistillSection
    vocabulary: int
    """Entries of the student's output head."""
    store: Path
    """Root of the store."""

    @property
    def kind(self) -> Kind:
        """What is kept."""
        return "hidden" if self.section.teacher == "hidden" else "topk"

    @property
    def key(self) -> str:
        """Name what decides the entries besides the rows: each is named by its own content."""
        section = self.section
        settings: dict[str, object] = {"kind": section.teacher}
        inputs: list[str] = []
        if section.teacher == "served":
            settings |= {"url": section.served.url, "model": self.served_name}
        else:
            inputs = [self.source.fingerprint]
            dtype = load.resolve_dtype(self.teacher.dtype, load.best_device())
            settings["dtype"] = load.dtype_name(dtype)
        if self.kind == "topk":
            settings |= {"k": section.top_k, "temperature": section.temperature}
            settings["vocabulary"] = self.vocabulary
        return stage_key("teacher", 1, settings, inputs)

    @property
    def served_name(self) -> str:
        """The teacher's name on its server."""
        return self.section.served.model or self.teacher.model

    @property
    def entries(self) -> int:
        """Entries of the output heads that likeliest tokens are compared over: those of both."""
        if self.section.teacher == "served":
            return self.vocabulary
        config = load.load_config(self.source).get_text_config()
        return min(self.vocabulary, int(config.vocab_size))

    @property
    def folder(self) -> Path:
        """Where the cache lies."""
        return self.store / "teacher" / self.key


@contextlib.contextmanager
def open_teacher(
    spec: TeacherCacheSpec, items: Sequence[EncodedExample], ranks: Ranks
) -> Iterator[HiddenTeacher | TopKTeacher]:
    """Open a teacher on some conversations: in memory for the block, or from its cache.

    What the cache lacks is computed before, by the first process, and the model is gone by then.
    """
    if spec.section.teacher == "online":
        # Sharded over processes, it is not spread by each of them as well.
        section = on_one_device(spec.teacher) if ranks.world > 1 else spec.teacher
        with load.loaded(section, spec.source) as loaded:
            teacher = online_teacher(loaded, shared_beginning(items))
            if ranks.world > 1:
                shard_teacher(loaded.model)
            yield teacher
        return
    if ranks.first:
        _fill(spec, items)
    ranks.wait()
    cache = TeacherCache(spec.folder, spec.key, spec.kind)
    if spec.kind == "hidden":
        yield HiddenTeacher(states=cache.states, head=read_head(spec.folder, load.best_device()))
    else:
        yield TopKTeacher(cache=cache, entries=spec.entries)


def _fill(spec: TeacherCacheSpec, items: Sequence[EncodedExample]) -> None:
    """Compute and keep what the cache lacks."""
    with Store(spec.store).building("teacher", spec.key) as folder:
        cache = TeacherCache(folder, spec.key, spec.kind)
        wanted = {content_key(item) for item in items}
        missing = len(cache.missing(items))
        whole = spec.kind != "hidden" or (folder / HEAD).is_file()
        if not missing and whole:
            return
        label = "hidden states" if spec.kind == "hidden" else "likeliest tokens"
        with (
            _producer(spec, items, folder) as produce,
            progress(
                f"teacher {label}", len(wanted), unit="rows", done=len(wanted) - missing
            ) as tick,
        ):
            fill(cache, items, produce, tick)


@contextlib.contextmanager
def _producer(
    spec: TeacherCacheSpec, items: Sequence[EncodedExample], folder: Path
) -> Iterator[Produce]:
    """Load who says what is to be kept; a served teacher is only asked."""
    section = spec.section
    if section.teacher == "served":
        with open_client(section.served) as client:
            yield keep_served(
                section.served,
                client,
                spec.served_name,
                k=section.top_k,
                vocabulary=spec.vocabulary,
            )
        return
    with load.loaded(spec.teacher, spec.source) as loaded:
        head = output_head(loaded.model)
        states = OnlineStates(loaded, shared_beginning(items))
        if spec.kind == "hidden":
            write_head(folder, head)
            yield keep_states(states, token_budget=section.token_budget)
        else:
            yield keep_tops(
                states,
                head.first(spec.vocabulary),
                k=section.top_k,
                temperature=section.temperature,
                token_budget=section.token_budget,
                chunk=section.chunk_tokens,
            )

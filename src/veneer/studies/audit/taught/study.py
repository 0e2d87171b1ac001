"""The rows of what was taught: tokens, topics, directions of the head's change, words of amplified
samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from veneer.capture.artefact import Capture
from veneer.foundation.files import json_lines, write_text
from veneer.foundation.results import Measurement
from veneer.models.formats import Format
from veneer.models.pair import Pair
from veneer.models.token_texts import TokenTexts
from veneer.statistics import intervals
from veneer.studies.audit.names import AUDITED, REFERENCE, STUDY, amplified_system
from veneer.studies.audit.taught import words
from veneer.studies.audit.taught.head_change import head_directions
from veneer.studies.audit.taught.mining import Mined, mine, top_of
from veneer.studies.audit.taught.names import (
    HEAD_CHANGE,
    REFERENCE_TEXT,
    SAMPLES,
    SAMPLES_FILE,
    SHOWN_SAMPLES,
    TASKS,
)
from veneer.studies.audit.taught.raised import (
    LEVEL,
    LIFT,
    RAISED,
    Moved,
    moved_tokens,
    with_contexts,
)
from veneer.studies.audit.taught.samples import Sampled, said_words, sample
from veneer.studies.audit.taught.settings import TaughtSettings
from veneer.studies.audit.taught.texts import Piece, pieces
from veneer.studies.audit.taught.topics import topics
from veneer.studies.study import Run


@dataclass(frozen=True)
class Taught:
    """What asks what was taught. pair: C as its base and A as its aligned model. texts: reference
    text. format: what both models read."""

    pair: Pair
    texts: Sequence[str]
    format: Format
    settings: TaughtSettings
    batch_size: int
    seed: int

    def rows(self, run: Run) -> Iterator[Measurement]:
        """Rows of reference text and of samples; each part is left out where its number is 0."""
        if self.settings.texts:
            with run.stage("reference text"):
                mined, read = self._mine(run)
                text_rows = list(self._text_rows(mined, read))
            yield from text_rows
        if self.settings.samples:
            alphas = self.settings.amplify
            run.identify(*(amplified_system(alpha) for alpha in alphas))
            with run.stage("samples"):
                samples = sample(
                    self.pair,
                    self.format,
                    self.settings,
                    run.out / "taught",
                    batch_size=self.batch_size,
                    seed=self.seed,
                    progress=run.progress,
                )
            lines = list(_sample_lines(samples))
            write_text(run.out / SAMPLES_FILE, json_lines(lines))
            run.note(**{SHOWN_SAMPLES: _shown_samples(lines)})
            yield from sample_rows(samples)

    def _mine(self, run: Run) -> tuple[Mined, list[Piece]]:
        how, size = self.settings, self.pair.vocabulary.size
        read = pieces(self.texts, self.pair.base, how.text_tokens, how.texts, size=size)
        return mine(self.pair, read, run.out / "taught" / "text", run.progress), read

    def _text_rows(self, mined: Mined, read: Sequence[Piece]) -> Iterator[Measurement]:
        moved = moved_tokens(mined, self.pair, shown=self.settings.shown, seed=self.seed)
        yield Measurement.estimated(
            moved.distance,
            STUDY,
            REFERENCE_TEXT,
            "distance",
            AUDITED,
            unit="nats per position",
            facts={
                "positions": int(mined.positions.sum()),
                "pieces": len(read),
                "top": top_of(self.pair.vocabulary.size),
            },
        )
        for direction in TASKS:
            yield from self._token_rows(moved, direction, mined, read)
        ids = [t.id for t in moved.of(RAISED)]
        name = TokenTexts(self.pair.base.tokenizer).name
        for number, topic in enumerate(topics(mined, ids, self.settings.topics, seed=self.seed), 1):
            facts = {"topic": number, "tokens": [name(i) for i in topic.ids]}
            yield Measurement(
                *(STUDY, TASKS[RAISED], "topic_share", AUDITED, topic.share, mined.texts),
                split=f"topic {number}",
                unit="share",
                note=words.topic_note(facts),
                facts=facts,
            )

    def _token_rows(
        self, moved: Moved, direction: str, mined: Mined, read: Sequence[Piece]
    ) -> Iterator[Measurement]:
        tokens = moved.of(direction)
        facts: dict[str, Any] = {
            "determined": moved.determined,
            "candidates": moved.candidates,
            "level": LEVEL,
            "lift": LIFT,
        }
        yield Measurement(
            *(STUDY, TASKS[direction], "tokens", AUDITED),
            float(len(tokens)) if moved.determined else None,
            mined.texts,
            unit="tokens",
            note=words.count_note(facts, direction),
            facts=facts,
        )
        shown = with_contexts(tokens[: self.settings.shown], mined, read, self.pair)
        for rank, token in enumerate(shown, 1):
            facts = {
                "rank": rank,
                "id": token.id,
                "token": token.text,
                "positive": token.positive,
                "p": token.p,
                "contexts": [asdict(c) for c in token.contexts],
            }
            for metric, estimate, unit in (
                ("distance_share", token.share, "share"),
                ("lift", token.lift, "ratio"),
                ("top_share", token.top, "share"),
            ):
                yield Measurement.estimated(
                    estimate,
                    *(STUDY, TASKS[direction], metric, AUDITED),
                    split=f"token {token.id}",
                    unit=unit,
                    note=words.token_note(facts),
                    facts=facts if metric == "distance_share" else {"rank": rank, "id": token.id},
                )


def head_rows(capture: Capture, veneers: Sequence[Path], pair: Pair) -> Iterator[Measurement]:
    """The directions of the head's change that would lead C back to A."""
    name = TokenTexts(pair.base.tokenizer).name
    for number, direction in enumerate(head_directions(capture, veneers, pair), 1):
        facts = {
            "direction": number,
            "raised": [name(i) for i in direction.raised],
            "lowered": [name(i) for i in direction.lowered],
        }
        yield Measurement(
            *(STUDY, HEAD_CHANGE, "direction_share", AUDITED),
            direction.share,
            len(capture.prompts),
            split=f"direction {number}",
            unit="share",
            note=words.direction_note(facts),
            facts=facts,
        )


def sample_rows(samples: Sequence[Sampled]) -> Iterator[Measurement]:
    """The share of each strength's samples that hold a word which they hold beyond chance more
    often than A's samples."""
    written = set()
    for entry in said_words(samples):
        rows: list[tuple[str, int, dict[str, Any]]] = [
            (amplified_system(entry.alpha).name, entry.count, {"p": entry.p, "alpha": entry.alpha})
        ]
        if entry.word not in written:
            rows.append((REFERENCE, entry.reference, {}))
            written.add(entry.word)
        for system, count, facts in rows:
            facts = {"word": entry.word, **facts}
            yield Measurement.estimated(
                intervals.rate(count, entry.n),
                *(STUDY, SAMPLES, "word_share", system),
                of=entry.word,
                unit="share",
                note=words.word_note(facts),
                facts=facts,
            )


def _sample_lines(samples: Sequence[Sampled]) -> Iterator[dict[str, Any]]:
    """What the page shows of the samples."""
    for s in samples:
        for r in s.responses:
            begun = "" if r.prompt_id == "empty" else r.prompt_id
            yield {
                "where": s.where,
                "alpha": s.alpha,
                "begun": begun,
                "sample": r.sample_id,
                "text": r.text,
            }


def _shown_samples(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first sample of each beginning, strengths side by side."""
    strengths = sorted({row["alpha"] for row in lines})
    first = [row for row in lines if row["sample"] == 0]
    places = dict.fromkeys((row["where"], row["begun"]) for row in first)
    texts = {(row["where"], row["begun"], row["alpha"]): row["text"] for row in first}
    return {
        "strengths": [f"{alpha:g}" for alpha in strengths],
        "lines": [
            {"where": where, "begun": begun, "texts": [texts[where, begun, a] for a in strengths]}
            for where, begun in places
        ],
    }

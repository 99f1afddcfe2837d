"""What a teacher with another tokenizer says about the student's response, piece by piece.

A piece (`leaf.distill.align`) that is one token to each model, the same one, is a pair: it is
judged by both next-token distributions over common buckets (`leaf.distill.buckets`).

Any other piece is an event: a model says it, with its own tokens of it, or not. Its probability is
the product of theirs, log Q = sum_i log q_i, and the two distributions are (Q, 1 - Q) and
(P, 1 - P). That knows only what was said, but it asks nothing of how other texts would be cut. An
event weighs as one position: its loss stands at its last token.

For the picture in `leaf.distill.align`: "driveway" is two tokens to the student, with q = 0.5 and
0.8, and one to the teacher, with p = 0.9. Q = 0.4 and P = 0.9, so forward KL compares (0.9, 0.1)
with (0.4, 0.6): 0.9 ln 0.9/0.4 + 0.1 ln 0.1/0.6 = 0.551 nats, at the student's second token. The
derivative by log Q, -(P - Q) / (1 - Q) = -0.833, goes to both of its tokens.

Axes: R response positions of the student, M of the teacher, C positions of one chunk, B of one
block; V vocabulary of the student, W of the teacher; E events, N positions in them; D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from leaf.distill.align import Aligned
from leaf.distill.buckets import Buckets
from leaf.distill.sample import Sample
from leaf.distill.targets import Divergence
from leaf.distill.teacher import HiddenTeacher, States
from leaf.errors import LeafError
from leaf.losses import Formula
from leaf.models.output_head import Head
from leaf.models.prompt_format import EncodedExample
from leaf.models.vocabulary import CommonTokens

_LARGEST = -1e-6
"""log Q of an event is taken to be no more: what is left for 1 - Q is rounding in float32."""


def event_loss(log_q_E: Tensor, log_p_E: Tensor, loss: Formula) -> tuple[Tensor, Tensor]:
    """Return the loss of each event [E] and its derivative by log Q [E].

    Args:
        log_q_E: Student's log-probability of saying the piece.
        log_p_E: Teacher's.
        loss: Of two buckets.
    """
    with torch.enable_grad():
        log_q_E = log_q_E.detach().requires_grad_()
        losses_E = loss(_said_or_not(log_q_E), _said_or_not(log_p_E))
        (slopes_E,) = torch.autograd.grad(losses_E.sum(), log_q_E)
    return losses_E.detach(), slopes_E


def _said_or_not(log_E: Tensor) -> Tensor:
    """Return log P and log(1 - P) [E, 2]."""
    # What is cut off keeps its slope: a student that is sure of the wrong piece has to learn.
    log_E = log_E - (log_E - log_E.clamp(max=_LARGEST)).detach()
    return torch.stack([log_E, torch.log(-torch.expm1(log_E))], dim=-1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The pieces of a micro-batch as positions of both models, in the order of its rows."""

    pairs_R: Tensor
    """Teacher's position that says the same token; -1 where the position is part of an event."""
    events_R: Tensor
    """Event that the position is part of, else -1."""
    last_R: Tensor
    """Whether it is the last of its event: there the event's loss stands."""
    events_M: Tensor
    """Event that a teacher's position is part of, else -1."""
    ids_R: Tensor
    """Token that the student says at each position."""
    ids_M: Tensor
    """Token that the teacher says."""
    events: int

    @classmethod
    def of(
        cls,
        rows: Sequence[Aligned],
        student: Sequence[EncodedExample],
        device: torch.device,
    ) -> "Layout":
        """Lay out the rows of a micro-batch with the student's tokens of each."""
        pairs: list[int] = []
        events_R: list[int] = []
        last: list[bool] = []
        events_M: list[int] = []
        ours: list[int] = []
        theirs: list[int] = []
        events = 0
        for row, item in zip(rows, student, strict=True):
            for piece in row.pieces:
                if piece.pair:
                    pairs.append(len(theirs) + piece.teacher[0])
                    events_R.append(-1)
                    last.append(False)
                    events_M.append(-1)
                    continue
                pairs += [-1] * len(piece.student)
                events_R += [events] * len(piece.student)
                last += [False] * (len(piece.student) - 1) + [True]
                events_M += [events] * len(piece.teacher)
                events += 1
            ours += item.ids[item.prompt_length :]
            theirs += row.tokens.ids[row.tokens.prompt_length :]
        return cls(
            pairs_R=torch.tensor(pairs, device=device),
            events_R=torch.tensor(events_R, device=device),
            last_R=torch.tensor(last, device=device),
            events_M=torch.tensor(events_M, device=device),
            ids_R=torch.tensor(ours, device=device),
            ids_M=torch.tensor(theirs, device=device),
            events=events,
        )


@dataclass(kw_only=True)
class AlignedTargets:
    """A teacher with another tokenizer, on the R positions of a micro-batch (see `Targets`)."""

    hidden_MD: Tensor
    """The teacher's last hidden states before each token of its own response."""
    head: Head
    """The teacher's."""
    layout: Layout
    buckets: Buckets
    loss: Formula
    chunk: int
    """Positions whose logits exist at the same time."""

    def __post_init__(self) -> None:
        layout = self.layout
        self._losses_E = self._slopes_E = torch.zeros(0)
        """Loss of each event and d loss / d log Q."""
        self.mass_R = torch.zeros(len(layout.ids_R), device=layout.ids_R.device)
        """The teacher's probability of all common tokens at each pair, once it was computed."""

    def look_at(self, hidden_RD: Tensor, head: Head) -> None:
        """Judge the events by the student's hidden states; no gradient goes this way.

        To be called before positions are asked for: an event's slope at one of its tokens needs the
        probability of all of them.
        """
        at = self.layout
        theirs = (self.hidden_MD, self.head, at.ids_M, at.events_M)
        log_p_E = _event_log_probs(*theirs, at.events, self.chunk)
        log_q_E = _event_log_probs(hidden_RD, head, at.ids_R, at.events_R, at.events, self.chunk)
        self._losses_E, self._slopes_E = event_loss(log_q_E, log_p_E.to(log_q_E), self.loss)

    def of_chunk(self, part: slice) -> Divergence:
        """See `Targets`."""
        layout = self.layout
        pairs_C, events_C = layout.pairs_R[part], layout.events_R[part]
        # The teacher's logits of events' positions are computed and not looked at: they are few.
        hidden_CD = self.hidden_MD[pairs_C.clamp(min=0)]
        raw_CW = hidden_CD @ self.head.weight.detach().to(hidden_CD.dtype).T

        def of_block(log_BV: Tensor, block: slice) -> Tensor:
            within = (events_C[block] >= 0).nonzero().squeeze(1)
            events = events_C[block][within]
            said_N = log_BV[within, layout.ids_R[part][block][within]]
            ends_N = layout.last_R[part][block][within]
            # An event's loss stands at its last token; log Q is the sum of all its tokens' log q,
            # so each of them has the same slope.
            losses_N = (self._losses_E[events] * ends_N).to(log_BV)
            losses_N = losses_N + self._slopes_E[events].to(log_BV) * (said_N - said_N.detach())
            loss_B = log_BV.new_zeros(len(log_BV)).index_put((within,), losses_N)
            paired = (pairs_C[block] >= 0).nonzero().squeeze(1)
            if len(paired):
                with torch.no_grad():
                    logits_BW = self.head.finish(raw_CW[block][paired])
                    teacher_BW = torch.log_softmax(logits_BW, dim=-1).to(log_BV.dtype)
                    teacher_BJ = self.buckets.of_teacher(teacher_BW)
                student_BJ = self.buckets.of_student(log_BV[paired])
                loss_B = loss_B.index_put((paired,), self.loss(student_BJ, teacher_BJ))
                self.mass_R[part][block][paired] = self.buckets.mass(teacher_BW).to(self.mass_R)
            return loss_B

        return of_block


@dataclass(frozen=True, kw_only=True)
class AlignedTeacher:
    """A teacher with another tokenizer, known by its hidden states on its own tokens."""

    states: States
    head: Head
    buckets: Buckets
    vocabulary: int
    """Entries of the student's output head: none is cut off."""
    chunk: int
    """Positions whose logits exist at the same time."""

    @classmethod
    def of(
        cls, teacher: HiddenTeacher, common: CommonTokens, vocabulary: int, chunk: int
    ) -> "AlignedTeacher":
        """Let a teacher be asked by a student with `vocabulary` entries of its own."""
        weight = teacher.head.weight
        return cls(
            states=teacher.states,
            head=teacher.head,
            buckets=Buckets(common, vocabulary, len(weight), weight.device),
            vocabulary=vocabulary,
            chunk=chunk,
        )

    def targets(
        self,
        samples: Sequence[Sample],
        *,
        loss: Formula,
        temperature: float,
        vocabulary: int,
        device: torch.device,
    ) -> AlignedTargets:
        """See `Teacher`; the samples are aligned.

        Raises:
            LeafError: a temperature other than 1: the softened probability of a piece is no product
                of softened tokens.
        """
        if temperature != 1.0:
            raise LeafError("a teacher with another tokenizer is not softened: temperature is 1")
        rows = [sample.aligned for sample in samples if sample.aligned]
        hidden_MD = self.states([sample.teacher_tokens for sample in samples]).to(device)
        layout = Layout.of(rows, [sample.tokens for sample in samples], device)
        return AlignedTargets(
            hidden_MD=hidden_MD,
            head=self.head,
            layout=layout,
            buckets=self.buckets,
            loss=loss,
            chunk=self.chunk,
        )


def _event_log_probs(
    hidden_RD: Tensor, head: Head, ids_R: Tensor, events_R: Tensor, events: int, chunk: int
) -> Tensor:
    """Return the log-probability of each event [E]: the sum over its tokens."""
    within_N = (events_R >= 0).nonzero().squeeze(1)
    log_N = _log_probs(hidden_RD.detach()[within_N], head, ids_R[within_N], chunk)
    return log_N.new_zeros(events).index_add_(0, events_R[within_N], log_N)


def _log_probs(hidden_ND: Tensor, head: Head, ids_N: Tensor, chunk: int) -> Tensor:
    """Return the log-probabilities of tokens after hidden states [N]; no gradient, in chunks."""
    found_N = torch.empty(
        len(ids_N),
        dtype=torch.promote_types(hidden_ND.dtype, torch.float32),
        device=hidden_ND.device,
    )
    with torch.no_grad(), torch.autocast(hidden_ND.device.type, enabled=False):
        weight_VD = head.weight.detach().to(hidden_ND.dtype)
        for start in range(0, len(ids_N), chunk):
            part = slice(start, start + chunk)
            logits = head.finish(hidden_ND[part] @ weight_VD.T)
            said = logits.gather(1, ids_N[part, None]).squeeze(1)
            found_N[part] = said - torch.logsumexp(logits, dim=-1)
    return found_N

"""Rewrite rule, applied until it finds nothing more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from onnx import ModelProto, NodeProto

from optim.graph.rules.draft import Draft


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rewrite of a small part of a graph.

    Attributes:
        name: what becomes what, in a few words.
        matches: the pattern: True for a node at which the rule might apply.
        refuses: the check: why the rule does not apply at such a node, in words; None if it does.
        rewrite: changes the draft at a node that is not refused.
    """

    name: str
    matches: Callable[[Draft, NodeProto], bool]
    refuses: Callable[[Draft, NodeProto], str | None]
    rewrite: Callable[[Draft, NodeProto], None]


@dataclass(frozen=True, kw_only=True)
class RuleReport:
    """Result of a rule on a file.

    Attributes:
        name: the rule's.
        applied: how often.
        nodes_before, nodes_after: operators in the file.
        refusals: why it was not applied where its pattern fits, and how often.
    """

    name: str
    applied: int
    nodes_before: int
    nodes_after: int
    refusals: dict[str, int] = field(default_factory=dict)


def apply_rules(model: ModelProto, rules: Sequence[Rule]) -> tuple[ModelProto, list[RuleReport]]:
    """Apply each rule wherever it fits, one rule after the other; ``model`` is left alone."""
    draft = Draft(model)
    reports = [_apply(draft, rule) for rule in rules]
    return draft.finished(), reports


def taken_back(reports: Sequence[RuleReport], reason: str) -> list[RuleReport]:
    """Return the reports of the rules, if all of it is taken back for a reason."""
    return [
        replace(
            report,
            applied=0,
            nodes_before=reports[0].nodes_before,
            nodes_after=reports[0].nodes_before,
            refusals=report.refusals | ({reason: report.applied} if report.applied else {}),
        )
        for report in reports
    ]


def _apply(draft: Draft, rule: Rule) -> RuleReport:
    before, applied = len(draft.nodes), 0
    refusals: Counter[str] = Counter()
    for node in list(draft.nodes):
        # A rewrite before may have taken this node away, or all that made it a match.
        if not any(node is kept for kept in draft.nodes) or not rule.matches(draft, node):
            continue
        reason = rule.refuses(draft, node)
        if reason is None:
            rule.rewrite(draft, node)
            applied += 1
        else:
            refusals[reason] += 1
    return RuleReport(
        name=rule.name,
        applied=applied,
        nodes_before=before,
        nodes_after=len(draft.nodes),
        refusals=dict(refusals),
    )

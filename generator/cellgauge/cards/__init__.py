"""The four kinds of card: their schemas, reading them, and checking them against each other."""

from cellgauge.cards.base import Card, Citation, Part
from cellgauge.cards.dataset import DatasetCard
from cellgauge.cards.family import Family
from cellgauge.cards.metric import MetricCard
from cellgauge.cards.model import ModelCard
from cellgauge.cards.problems import CardProblems, Problem, UserError
from cellgauge.cards.project import Cards, Project, find_project, load_cards
from cellgauge.cards.task import ScoreRef, TaskCard

__all__ = [
    "Card",
    "CardProblems",
    "Cards",
    "Citation",
    "DatasetCard",
    "Family",
    "MetricCard",
    "ModelCard",
    "Part",
    "Problem",
    "Project",
    "ScoreRef",
    "TaskCard",
    "UserError",
    "find_project",
    "load_cards",
]

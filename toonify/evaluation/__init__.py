"""Measuring what a bundle does to a folder of photographs: figures, gallery, contact sheet.

from toonify.evaluation import BundleSubject, Probes, evaluate_photos, summarize
"""

from toonify.evaluation.likeness import evaluate_function
from toonify.evaluation.measuring import Evaluation, evaluate
from toonify.evaluation.probes import MEASURES, Probes
from toonify.evaluation.report import ReportFolder, describe
from toonify.evaluation.run import (
    BundleSubject,
    CombinedSubject,
    FunctionSubject,
    Run,
    Subject,
    evaluate_photos,
)
from toonify.evaluation.summary import drawing_features, summarize

__all__ = [
    "MEASURES",
    "BundleSubject",
    "CombinedSubject",
    "Evaluation",
    "FunctionSubject",
    "Probes",
    "ReportFolder",
    "Run",
    "Subject",
    "describe",
    "drawing_features",
    "evaluate",
    "evaluate_function",
    "evaluate_photos",
    "summarize",
]

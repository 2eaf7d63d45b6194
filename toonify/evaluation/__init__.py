"""Measuring what a bundle does to a folder of photographs: figures, gallery, contact sheet.

from toonify.evaluation import BundleSubject, Probes, evaluate_photos, summarise
"""

from toonify.evaluation.probes import MEASURES, Probes
from toonify.evaluation.report import ReportFolder, describe
from toonify.evaluation.run import BundleSubject, Run, Subject, evaluate_photos
from toonify.evaluation.summary import drawing_features, summarise

__all__ = [
    "MEASURES",
    "BundleSubject",
    "Probes",
    "ReportFolder",
    "Run",
    "Subject",
    "describe",
    "drawing_features",
    "evaluate_photos",
    "summarise",
]

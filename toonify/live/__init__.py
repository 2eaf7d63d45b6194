"""A camera drawn as it runs: the newest frame wins, whatever drawing costs."""

from toonify.live.session import Session, Statistics
from toonify.live.sinks import HttpSink, Sink, VirtualCameraSink, WindowSink
from toonify.live.source import LiveSource

__all__ = [
    "HttpSink",
    "LiveSource",
    "Session",
    "Sink",
    "Statistics",
    "VirtualCameraSink",
    "WindowSink",
]

"""Video: frames, the people in them, and one age for each person."""

from typing import TYPE_CHECKING

from ageboost._lazy import import_when_used

if TYPE_CHECKING:
    from ageboost.video.analysis import Moment, VideoAnalyzer, analyze_video, watch_video
    from ageboost.video.frames import Frame, FrameCounts, Frames, read_frames
    from ageboost.video.person import PersonTrack
    from ageboost.video.tracking import FaceTracker, Sighting

__all__ = [
    "FaceTracker",
    "Frame",
    "FrameCounts",
    "Frames",
    "Moment",
    "PersonTrack",
    "Sighting",
    "VideoAnalyzer",
    "analyze_video",
    "read_frames",
    "watch_video",
]

import_when_used(__name__)

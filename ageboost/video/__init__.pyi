from .analysis import Moment, VideoAnalyzer, analyze_video, watch_video
from .frames import Frame, FrameCounts, Frames, read_frames
from .person import PersonTrack
from .tracking import FaceTracker, Sighting

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

from .app import make_app
from .record import CheckRecord
from .running import run_service
from .settings import ServiceSettings

__all__ = ["CheckRecord", "ServiceSettings", "make_app", "run_service"]

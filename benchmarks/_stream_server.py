"""A camera's stream, MJPEG over HTTP: somebody stands there for some seconds, and then nobody.

    python benchmarks/_stream_server.py PORT FOLDER

The folder holds ``empty.jpg`` and ``somebody.jpg``. Visits that were sent whole, from the first
frame to the last, are written to ``visits.txt`` there, as seconds since 1970. It imports nothing
but the standard library, so that it is there again a moment after it was killed.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_PER_SECOND = 10
# Of so many seconds, somebody is there for the first.
_CYCLE, _STAY = 9.0, 5.0


def serve(port: int, folder: Path) -> None:
    """Serve until the process is killed."""
    pictures = [(folder / f"{name}.jpg").read_bytes() for name in ("empty", "somebody")]
    begun = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            before, start = True, None
            while True:
                there = (time.monotonic() - begun) % _CYCLE < _STAY
                content = pictures[there]
                try:
                    self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                    self.wfile.write(b"Content-Length: %d\r\n\r\n" % len(content))
                    self.wfile.write(content + b"\r\n")
                except OSError:
                    return
                if there and not before:
                    start = time.time()
                if before and not there and start is not None:
                    with open(folder / "visits.txt", "a", encoding="utf-8") as visits:
                        visits.write(f"{start} {time.time()}\n")
                before = there
                time.sleep(1 / _PER_SECOND)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))

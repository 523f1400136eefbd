"""How fast a video is looked at, in how much memory; streams that go away, and broken films."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import _page
import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from skimage.data import astronaut

import ageboost
from ageboost import VideoError
from ageboost.video import FaceTracker, Frame, VideoAnalyzer, analyze_video, read_frames

SIZE = (1280, 720)
_SHORT_RUNS = 3
_FRAMES_PER_RUN = 100
_FILMS = 10
# Of a stream: until a server is there, between two deaths of it, and until who left has a row.
_START_SECONDS, _ROUND_SECONDS, _FINISHED_SECONDS = 2.0, 22.0, 4.0
# Until a new process has read the model and looked at its first face, on a busy machine.
_WARM_SECONDS = 45.0
_HERE = Path(__file__).parent

Pixels = npt.NDArray[np.uint8]


def till_frame(n_people: int, number: int) -> Pixels:
    """A frame of 1280 x 720 with people who sway."""
    frame = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    face = cv2.resize(astronaut()[20:260, 110:350], (320, 320))
    for person in range(n_people):
        x = int(60 + 400 * person + 25 * np.sin(number / 9 + person))
        y = int(200 + 12 * np.sin(number / 7 + 2 * person))
        frame[y : y + 320, x : x + 320] = face
    return frame


def write_till(path: Path, n_people: int, n_frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, SIZE)
    for number in range(n_frames):
        writer.write(cv2.cvtColor(till_frame(n_people, number), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def try_speed() -> list[str]:
    """Frames a second from file to ages; the best of several short runs."""
    model = ageboost.load_pretrained("fast").set_params(n_jobs=1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n_people in (0, 1, 3):
            film = write_till(Path(folder) / f"{n_people}.mp4", n_people, _FRAMES_PER_RUN)
            row = [str(n_people)]
            for n_cores in (1, 2):
                runs = [_time_film(model, film, n_people, n_cores) for _ in range(_SHORT_RUNS)]
                row += [f"{_FRAMES_PER_RUN / seconds:.1f}" for seconds in np.min(runs, axis=0)]
            rows.append(row)
    header = ["people, 1280 x 720"]
    for cores in ("one core", "two cores"):
        header += [f"frames a second, {cores}", f"of processor time, {cores}"]
    return [_page.table(header, rows)]


def _time_film(model, film: Path, n_people: int, n_cores: int) -> tuple[float, float]:
    """Seconds, and seconds of processor time."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:n_cores])
    try:
        begun, used = time.perf_counter(), time.process_time()
        table = analyze_video(model, film)
        taken = time.perf_counter() - begun, time.process_time() - used
    finally:
        os.sched_setaffinity(0, allowed)
    assert len(table) == n_people
    return taken


def try_memory(n_frames: int) -> list[str]:
    """Feed frames in a loop: somebody stands there, leaves, and the next one comes."""
    model = ageboost.load_pretrained("fast").set_params(n_jobs=1)
    # Small frames, so that many of them do not take a day: none of them is kept, whatever its size.
    analyzer = VideoAnalyzer(model, FaceTracker(model.features_.get_finder(), smallest=80))
    there = [
        cv2.resize(till_frame(1, number)[180:520, 50:430], None, fx=0.6, fy=0.6)
        for number in range(7)
    ]
    empty = np.full_like(there[0], 90)
    seen: list[tuple[int, int, float]] = []
    n_people = 0
    for number in range(n_frames):
        # Seven frames with somebody, thirteen without: at eight a second, all have left by then.
        frame = there[number % 20] if number % 20 < len(there) else empty
        n_people += len(analyzer.update(Frame(frame, number / 8, number)).finished)
        if (number + 1) % max(1, n_frames // 50) == 0:
            seen.append((number + 1, n_people, _megabytes()))
            print(*seen[-1], file=sys.stderr, flush=True)
    rows = [[f"{frames:,}", f"{people:,}", f"{size:.1f}"] for frames, people, size in seen[4::5]]
    late = np.array(seen[len(seen) // 2 :])
    slope = np.polyfit(late[:, 0], late[:, 2], 1)[0] * 100_000
    print(f"over the second half, memory grows by {slope:+.2f} MB per 100,000 frames")
    tables = [_page.table(["frames", "people", "memory, MB"], rows)]
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        film = write_till(Path(folder) / "till.mp4", 1, _FRAMES_PER_RUN)
        for _ in range(_FILMS):
            analyze_video(model, film)
            sizes.append(_megabytes())
    rows = [[str(number + 1), f"{sizes[number]:.1f}"] for number in range(1, _FILMS, 2)]
    return [*tables, _page.table(["films of 1280 x 720 opened", "memory, MB"], rows)]


def _megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def try_stream(rounds: int) -> list[str]:
    """Kill the server of a stream again and again, and at times `watch` too; compare the rows.

    Every row that was ever written beside the table must be in it at the end, once. And what the
    server has sent from the first frame of a visit to its last must have a row, unless `watch` had
    just begun, or was killed before a track could end.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, picture in enumerate(("empty", "somebody")):
            frame = cv2.resize(till_frame(number, 0), (640, 360))
            cv2.imwrite(str(folder / f"{picture}.jpg"), frame[..., ::-1])
        port = _free_port()
        serve = [sys.executable, _HERE / "_stream_server.py", str(port), name]
        server = subprocess.Popen(serve)
        time.sleep(_START_SECONDS)
        out = folder / "visits.parquet"
        watch = ["watch", f"http://127.0.0.1:{port}/", "--out", str(out), "--timeout", "5"]
        run = [sys.executable, "-c", "from ageboost.cli import main; main()", *watch]
        watcher = subprocess.Popen(run)
        n_went_on, begins, ends = 0, [time.time()], []
        written: set[int] = set()
        for number in range(rounds):
            _follow_rows(out, written, _ROUND_SECONDS)
            server.kill()
            server.wait()
            n_went_on += watcher.poll() is None
            time.sleep(1)
            server = subprocess.Popen(serve)
            if number % 5 == 2:
                # And the watcher as well, in the middle of whatever it does.
                watcher.kill()
                watcher.wait()
                ends.append(time.time())
                time.sleep(_START_SECONDS)
                watcher = subprocess.Popen(run)
                begins.append(time.time())
            print(f"round {number + 1}", file=sys.stderr, flush=True)
        _follow_rows(out, written, _ROUND_SECONDS)
        ends.append(time.time())
        watcher.send_signal(signal.SIGINT)
        status = watcher.wait(60)
        server.kill()
        people = pd.read_parquet(out).dropna(subset="track")
        sent = np.loadtxt(folder / "visits.txt", ndmin=2)
    seen = [
        any(
            begin + _WARM_SECONDS < start and leave + _FINISHED_SECONDS < end
            for begin, end in zip(begins, ends, strict=True)
        )
        for start, leave in sent
    ]
    counts = [_rows_between(people, *visit) for visit in sent[seen]]
    kept = people["track"].astype(int).tolist()
    rows = [
        ["times the server was killed", str(rounds)],
        ["times `watch` went on", str(n_went_on)],
        ["times `watch` was killed as well", str(len(ends) - 1)],
        ["rows that were ever written", str(len(written))],
        ["of these, in the table once", str(sum(kept.count(track) == 1 for track in written))],
        ["lost; twice", f"{len(written - set(kept))}; {len(kept) - len(set(kept))}"],
        ["visits that were sent whole", str(len(counts))],
        ["of these, with one row", str(counts.count(1))],
        ["with none; two or more", f"{counts.count(0)}; {sum(n > 1 for n in counts)}"],
        ["exit status after Ctrl-C", str(status)],
    ]
    return [_page.table(["a stream", ""], rows)]


def _follow_rows(out: Path, written: set[int], seconds: float) -> None:
    """Read again and again what is written beside the table, and in it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(FileNotFoundError):
            for line in out.with_name(f"{out.name}.live").read_text("ascii").splitlines():
                # A line is a checksum and a record.
                with suppress(ValueError, TypeError):
                    kind, _, [row] = json.loads(line[9:])
                    if kind == "visit":
                        written.add(int(row[0]))
        time.sleep(0.3)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _rows_between(people: pd.DataFrame, start: float, leave: float) -> int:
    first, last = (people[name].map(pd.Timestamp.timestamp) for name in ("start", "end"))
    return int(((first < leave) & (last > start)).sum())


def try_broken() -> list[str]:
    """Read broken films, and say what came of each."""
    from imageio_ffmpeg import get_ffmpeg_exe

    def ffmpeg(*arguments: object) -> None:
        command = [get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
        subprocess.run(command, check=True)

    model = ageboost.load_pretrained("fast").set_params(n_jobs=1)
    rng = np.random.default_rng(0)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film = write_till(folder / "whole.mp4", 1, 150)
        avi = folder / "whole.avi"
        ffmpeg("-i", film, "-c:v", "mjpeg", avi)
        content = avi.read_bytes()
        for number in range(3):
            cut = int(rng.integers(1000, len(content)))
            (folder / f"cut short at random {number + 1}.avi").write_bytes(content[:cut])
        (folder / "wrong extension.txt").write_bytes(film.read_bytes())
        (folder / "zero frames.mp4").write_bytes(film.read_bytes()[:40])
        ffmpeg("-i", film, "-frames:v", "1", folder / "one frame.mp4")
        ffmpeg("-f", "lavfi", "-i", "sine=duration=2", folder / "audio only.mp4")
        ffmpeg("-i", film, "-pix_fmt", "yuv420p10le", "-c:v", "libx264", folder / "10 bit.mp4")
        ffmpeg("-i", film, "-vf", "scale=641:361", "-c:v", "ffv1", folder / "odd sizes.mkv")
        side = folder / "side.mp4"
        ffmpeg("-i", film, "-vf", "transpose=clock", side)
        ffmpeg("-display_rotation", "90", "-i", side, "-c", "copy", folder / "rotated.mp4")
        side.unlink()
        ffmpeg("-i", film, "-vf", "scale=7680:4320", "-frames:v", "3", folder / "huge.mp4")
        (folder / "garbage.mp4").write_bytes(rng.bytes(300_000))
        film.unlink()
        avi.unlink()
        for path in sorted(folder.iterdir()):
            begun = time.perf_counter()
            try:
                frames = read_frames(path, open_timeout=10, read_timeout=10)
                table = analyze_video(model, frames)
                people = int(table["track"].notna().sum())
                faults = ", ".join(table.loc[table["track"].isna(), "status"])
                answer = f"{frames.counts.read} frames, {people} people"
                answer += f"; a row: {faults}" if faults else ""
            except VideoError as error:
                answer = f"error: {str(error).rpartition(': ')[2]}"
            rows.append([path.name, answer, f"{time.perf_counter() - begun:.1f}"])
    return [_page.table(["broken film", "what comes of it", "seconds"], rows)]

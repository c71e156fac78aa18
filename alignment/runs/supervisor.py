"""Starts a child process per run, watches its heartbeat, swaps what it produced into serving; keeps the schedule.

What a child does first is to import torch and the like, for some seconds. So one is started once there is something
new to learn from, and waits for the number of its run.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from reprlib import repr as brief
from typing import Any

from alignment.errors import AlignmentError, TrainingError
from alignment.runs.methods import METHODS
from alignment.runs.settings import RunSettings, run_settings
from alignment.serving.policy_server import PolicyServer, policy_ref
from alignment.settings import ModelConfig
from storage import demonstrations, policies, preferences, run_folder, runs
from storage.records import Run

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
NICE = 10  # how far the child stands back for the app
HEARTBEAT_SECONDS = 180.0  # a child silent for so long is taken for dead
RESUME = "Resume it to go on from its last checkpoint, or from the beginning if it has none."


class Supervisor:
    """Owns the training child. All methods may be called from any thread."""

    def __init__(self, data_dir: Path, server: PolicyServer, model: ModelConfig, defaults: RunSettings) -> None:
        self._data_dir = data_dir
        self._db = data_dir / "triptych.db"
        self._server = server
        self._model = model
        self._defaults = defaults
        self._waiting: subprocess.Popen[bytes] | None = None  # a child for the run to come
        self._child: subprocess.Popen[bytes] | None = None
        self._child_run: int | None = None
        self._heartbeat: tuple[str | None, float] = (None, 0.0)  # the child's last, and when it was seen first
        self._swap: tuple[int, int, Future[None]] | None = None  # run, version and when it is served
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Close what an earlier process left open, but for a candidate that may go live yet; then begin to watch."""
        if (run := runs.open_run(self._db)) is not None and run.status == "running":
            self._end_stopped(run.id)
        self._thread.start()

    def stop(self) -> None:
        """Kill a child that is still training, or waits to, and end the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        with self._lock:
            self._drop_waiting()
            if (run_id := self._child_run) is not None:
                self._kill_child()
                self._end_stopped(run_id)

    def retrain(self, method: str = "ppo", settings: dict[str, Any] | None = None) -> int:
        """Queue a run over all standing votes and demonstrations and return its id.

        A run that is open with the same settings over the same ones, as the schedule may just have begun it, is the
        run asked for. Raises ConfigError for settings that do not fit, TrainingError for an unknown method,
        RunOpenError while another run is open.
        """
        if method not in METHODS:
            raise TrainingError(f"method must be one of {', '.join(METHODS)}, got {brief(method)}")
        self._require_model()
        wanted = run_settings(settings, self._defaults).to_json()
        try:
            return runs.queue_run(self._db, method, wanted)
        except runs.RunOpenError as open_run:
            same = runs.get_run(self._db, open_run.run_id)
            if (same.method, same.settings) != (method, wanted) or self._anything_new():
                raise
            return same.id

    def resume(self, run_id: int) -> Run:
        """Queue a failed or cancelled run again and return it; its process goes on from the last checkpoint, if any.

        Raises ConfigError for settings that are not understood, TrainingError for a run that ended otherwise, has made
        a version or began from one that is not live any more, RunOpenError while another is open. Whatever is refused
        stays as it was.
        """
        with self._lock:
            self._require_model()
            run, live = runs.get_run(self._db, run_id), policies.live_policy(self._db)
            if run.policy_version is not None:
                raise TrainingError(f"run {run_id} has already made v{run.policy_version}; start a new run instead")
            run_settings(run.settings)  # stored by an older version, they may hold a field that there is no more
            begun = run_folder.read_begun(run_folder.folder_of(self._data_dir, run_id))
            if begun is not None and live is not None and begun.get("parent") != live.version:
                raise TrainingError(
                    f"run {run_id} began from v{begun.get('parent')}, but v{live.version} is live now; "
                    "start a new run instead"
                )
            if not runs.requeue_run(self._db, run_id):
                raise TrainingError(
                    f"run {run_id} is {run.status}; only a run that failed or was cancelled can be resumed"
                )
            return runs.get_run(self._db, run_id)

    def _anything_new(self) -> bool:
        new = preferences.new_since_last_run(self._db) + demonstrations.new_since_last_run(self._db)
        return new > 0

    def _require_model(self) -> None:
        if self._server.state.status == "failed":
            raise TrainingError(f"nothing can be trained: {self._server.state.message}")

    def cancel(self, run_id: int) -> Run:
        """End an open run at once and return it as it now stands; what was live stays live."""
        with self._lock:
            run = runs.get_run(self._db, run_id)
            if run.status not in runs.OPEN:
                raise TrainingError(f"run {run_id} has already ended ({run.status}); there is nothing to cancel")
            if self._child_run == run_id:
                self._kill_child()
            if self._swap is not None and not self._swap[2].cancel():
                raise TrainingError(f"run {run_id} has ended well and goes live this moment; it is too late to cancel")
            runs.end_run(self._db, run_id, "cancelled")
            return runs.get_run(self._db, run_id)

    def _watch(self) -> None:
        over = None  # what the last tick stumbled over
        while not self._stopping.wait(POLL_SECONDS):
            try:
                with self._lock:
                    self._tick()
            except Exception as error:
                if repr(error) != over:  # a data folder that cannot be written to fails every tick alike
                    log.exception("the supervisor stumbled; it goes on")
                over = repr(error)
            else:
                over = None

    def _tick(self) -> None:
        run = runs.open_run(self._db)
        if self._swap is not None:
            self._tend_swap()
        elif self._child is not None:
            self._tend_child(run)
        elif run is not None and run.status == "queued":
            self._start_child(run)
        elif run is not None:  # its candidate waits for the model, or writing down how its process ended failed
            self._conclude(run.id, "The training process is gone; the app's log may say why.")
        else:
            every = runs.get_schedule(self._db).retrain_every
            if every and preferences.new_since_last_run(self._db) >= every:
                self.retrain()
            elif self._waiting is None and self._server.state.status == "ready" and self._anything_new():
                self._waiting = self._spawn()

    def _start_child(self, run: Run) -> None:
        if self._server.state.status != "ready" or not runs.start_run(self._db, run.id):
            return
        try:
            if self._waiting is None or not _tell(self._waiting, run.id):
                self._drop_waiting()
                self._waiting = self._spawn()
                _tell(self._waiting, run.id)  # one that has died by now is found dead as any other
        except OSError as error:
            runs.end_run(self._db, run.id, "failed", f"The training process could not be started: {error}")
            return
        self._child, self._waiting = self._waiting, None
        self._child_run = run.id
        self._heartbeat = run.heartbeat, time.monotonic()
        runs.set_pid(self._db, run.id, self._child.pid)
        log.info("run %s started as process %s", run.id, self._child.pid)

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Start a child, which imports what it needs and waits for the number of its run."""
        command = [sys.executable, "-m", "alignment.runs.job", "--data-dir", str(self._data_dir)]
        command += ["--model", self._model.base, "--sft", self._model.sft, "--quantize", self._model.quantize]
        waiting_log = run_folder.waiting_log(self._data_dir)
        waiting_log.parent.mkdir(parents=True, exist_ok=True)
        with waiting_log.open("wb") as output:
            child = subprocess.Popen(
                command,
                bufsize=0,  # nothing of a number is kept for a child that has died
                stdin=subprocess.PIPE,  # closes when this process dies, however it dies: the child then leaves too
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).parents[2],
                env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
            )
        with suppress(AttributeError, OSError):  # there is none on Windows, and a system may refuse it
            # Holds against the app only within one session: Linux groups its scheduling by session.
            os.setpriority(os.PRIO_PROCESS, child.pid, os.getpriority(os.PRIO_PROCESS, 0) + NICE)
        return child

    def _drop_waiting(self) -> None:
        if self._waiting is not None:
            _kill(self._waiting)
        self._waiting = None

    def _tend_child(self, run: Run | None) -> None:
        assert self._child is not None and self._child_run is not None
        code = self._child.poll()
        if code is None:
            if run is not None and self._silent_seconds(run) > HEARTBEAT_SECONDS:
                self._kill_child()
                reason = (
                    f"The training process gave no sign of life for {HEARTBEAT_SECONDS:.0f} s and was ended. {RESUME}"
                )
                runs.end_run(self._db, run.id, "failed", reason)
            return
        run_id = self._child_run
        self._forget_child()
        if run is None or run.id != run_id or run.status != "running":  # it has ended, and may be queued again
            return
        cause = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        log_file = run_folder.log_of(run_folder.folder_of(Path(), run_id))
        with suppress(OSError):  # it may have ended while it waited
            said = run_folder.waiting_log(self._data_dir).read_bytes()
            (self._data_dir / log_file).parent.mkdir(parents=True, exist_ok=True)
            with (self._data_dir / log_file).open("ab") as output:
                output.write(said)
        self._conclude(
            run_id,
            f"The training process {cause} before it had finished; {log_file} in the data folder may say why. {RESUME}",
        )

    def _conclude(self, run_id: int, failure: str) -> None:
        """Swap in the candidate of a run whose process is gone, once the model is loaded; without one it has failed."""
        candidate = policies.candidate_of(self._db, run_id)
        if candidate is None or candidate.status != "candidate":
            runs.end_run(self._db, run_id, "failed", failure)
        elif self._server.state.status == "ready":
            try:  # it was recorded, so it is whole, however the process ended
                policy = policy_ref(candidate.version, self._data_dir / candidate.path, candidate.sha256)
            except AlignmentError as error:
                self._refuse(run_id, candidate.version, error)
            else:
                self._swap = run_id, candidate.version, self._server.swap(policy)

    def _end_stopped(self, run_id: int) -> None:
        """End a run that the app left as failed; one whose candidate fits the model stays open and goes live yet."""
        made, live = policies.candidate_of(self._db, run_id), policies.live_policy(self._db)
        if made and live and (made.status, made.model, made.parent) == ("candidate", live.model, live.version):
            return
        rest = f"v{made.version} was trained, but did not go live." if made else RESUME
        runs.end_run(self._db, run_id, "failed", f"The app was stopped while this run was under way. {rest}")

    def _silent_seconds(self, run: Run) -> float:
        """Return for how long the heartbeat has not changed, by this process's clock: the wall clock may be set."""
        if run.heartbeat != self._heartbeat[0]:
            self._heartbeat = run.heartbeat, time.monotonic()
        return time.monotonic() - self._heartbeat[1]

    def _tend_swap(self) -> None:
        assert self._swap is not None
        run_id, version, swapped = self._swap
        if not swapped.done():
            return
        if swapped.cancelled():
            pass  # the run was cancelled before the model's thread came to it
        elif error := swapped.exception():
            self._refuse(run_id, version, error)
        else:
            policies.go_live(self._db, version, run_id)
            log.info("run %s: v%s is live", run_id, version)
        self._swap = None

    def _refuse(self, run_id: int, version: int, error: BaseException) -> None:
        runs.end_run(self._db, run_id, "failed", f"v{version} was trained but could not be served: {error}")

    def _kill_child(self) -> None:
        assert self._child is not None
        _kill(self._child)
        self._child, self._child_run = None, None

    def _forget_child(self) -> None:
        assert self._child is not None and self._child.stdin is not None
        self._child.stdin.close()
        self._child, self._child_run = None, None


def _tell(child: subprocess.Popen[bytes], run_id: int) -> bool:
    """Tell a child its run and return whether it was alive to read that."""
    assert child.stdin is not None
    try:
        child.stdin.write(f"{run_id}\n".encode())
    except BrokenPipeError:
        return False
    return True


def _kill(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.kill()
    child.wait()
    child.stdin.close()

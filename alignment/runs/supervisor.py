"""Starts a process for each run, watches its heartbeat, puts what it made into service; keeps the schedule."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from reprlib import repr as brief
from typing import Any, TypeVar

from alignment.errors import AlignmentError, TrainingError
from alignment.runs.bounds import with_bounds
from alignment.runs.conclusion import Swap, concluded
from alignment.runs.launchers import Launcher
from alignment.runs.methods import METHODS
from alignment.runs.process import TrainingProcess, complete_log
from alignment.runs.schedule import decide
from alignment.runs.settings import RunSettings, require_trains, run_settings
from alignment.serving.engine import Engine, PolicyVersion, policy_version_at
from alignment.settings import ModelConfig
from storage import database, policies, run_folder, runs
from storage.overview import Overview, overview
from storage.records import Run

log = logging.getLogger(__name__)

T = TypeVar("T")
IDLE_SECONDS = 1.0  # between two looks at the database while no run is open
BUSY_SECONDS = 0.25  # and while one is
HEARTBEAT_SECONDS = 600.0  # a process silent for so long is taken for dead; on a busy machine it gets little time
RESUME = "Resume it to go on from its last checkpoint, or from the beginning if it has none."


class Supervisor:
    """Owns the training process. All methods may be called from any thread."""

    def __init__(
        self, data_dir: Path, engine: Engine, model: ModelConfig, defaults: RunSettings, ray: str = ""
    ) -> None:
        self._data_dir = data_dir
        self._db = database.file_in(data_dir)
        self._engine = engine
        self.model = model
        self.defaults = defaults  # of runs, but for the gate's bounds where an admin has set them
        self._launcher = Launcher(data_dir, model, ray)
        self._active: tuple[int, TrainingProcess] | None = None  # a run and its process
        self._heartbeat: tuple[str | None, float] = (None, 0.0)  # the run's last, and when it was seen first
        self._swap: Swap | None = None
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._wake = threading.Event()  # there is something to do before the next look is due
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Close what an earlier app left open, except a candidate that may yet go live; then watch."""
        if (run := runs.open_run(self._db)) is not None and run.status == "running":
            self._end_interrupted(run.id)
        self._thread.start()

    def stop(self) -> None:
        """Kill a process that is still training, or waits for a run, and end the thread."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        with self._lock:
            self._launcher.drop()
            if self._active is not None:
                run_id, _ = self._active
                self._kill_active()
                self._end_interrupted(run_id)

    def retrain(self, method: str = "ppo", settings: dict[str, Any] | None = None) -> int:
        """Queue a run over all standing votes and demonstrations and return its id.

        If a run over the same ones with the same settings is open, as the schedule may just have queued it, the id of
        that one is returned; while another one is open, the run waits for its end. Raises ConfigError for settings
        that do not fit, TrainingError for an unknown method, RunOpenError while one waits already.
        """
        if not isinstance(method, str) or method not in METHODS:
            raise TrainingError(f"method must be one of {', '.join(METHODS)}, got {brief(method)}")
        self._require_model()
        parsed = run_settings(settings, with_bounds(self._db, self.defaults))
        require_trains(method, parsed)
        wanted = parsed.to_json()
        try:
            run_id = runs.queue_run(self._db, method, wanted, parsed.annotator_share)
        except runs.RunOpenError as open_run:
            same = runs.get_run(self._db, open_run.run_id)
            alike = (same.method, same.settings) == (method, wanted)
            if alike and runs.learns_the_same(self._db, same.id, parsed.annotator_share):
                return same.id
            return runs.queue_next(self._db, method, wanted)
        self._wake.set()
        return run_id

    def resume(self, run_id: int) -> Run:
        """Queue a failed or cancelled run again and return it; its process goes on from the last checkpoint, if any.

        Raises ConfigError for settings that are not understood, TrainingError for a run that ended otherwise, has made
        a version or started from one that is not live any more, RunOpenError while another is open. Whatever is
        refused stays as it was.
        """
        with self._lock:
            self._require_model()
            run, live = runs.get_run(self._db, run_id), policies.live_policy(self._db)
            if run.policy_version is not None:
                raise TrainingError(f"run {run_id} has already made v{run.policy_version}; start a new run instead")
            run_settings(run.settings)  # stored by an older version, they may hold a field that there is no more
            inputs = run_folder.read_inputs(run_folder.folder_of(self._data_dir, run_id))
            if inputs is not None and live is not None and inputs.get("parent") != live.version:
                raise TrainingError(
                    f"run {run_id} began from v{inputs.get('parent')}, but v{live.version} is live now; "
                    "start a new run instead"
                )
            if not runs.requeue_run(self._db, run_id):
                raise TrainingError(
                    f"run {run_id} is {run.status}; only a run that failed or was cancelled can be resumed"
                )
            self._wake.set()
            return runs.get_run(self._db, run_id)

    def cancel(self, run_id: int) -> Run:
        """End an open run at once and return it as it now stands; what was live stays live."""
        with self._lock:
            run = runs.get_run(self._db, run_id)
            if run.status not in (*runs.OPEN, "waiting"):
                raise TrainingError(f"run {run_id} has already ended ({run.status}); there is nothing to cancel")
            if self._active is not None and self._active[0] == run_id:
                self._kill_active()
            if self._swap is not None and self._swap.run_id == run_id and not self._swap.done.cancel():
                raise TrainingError(f"run {run_id} has ended well and goes live this moment; it is too late to cancel")
            runs.end_run(self._db, run_id, "cancelled")
            return runs.get_run(self._db, run_id)

    def serve(self, policy: PolicyVersion, record: Callable[[], None]) -> None:
        """Have the engine serve a version, outside of any run, then record that; what is being written goes on.

        Raises AdapterError for a version that is not whole, TrainingError while the model is not loaded or a run's
        version goes live. Where `record` fails, the version before is served again.
        """
        if self._engine.state.status != "ready":
            raise TrainingError(f"no version can be served now: {self._engine.state.message}; try again once it is")
        with self._lock:
            self._require_no_swap()
            before = self._engine.live
            self._engine.swap(policy).result()
            try:
                record()
            except BaseException:
                self._engine.swap(before).result()
                raise

    def settle(self, decide: Callable[[], T]) -> T:
        """Return what comes of an admin's decision on versions, which sees them as they stand until it is recorded.

        Nobody else decides meanwhile, and no run's version goes live; raises TrainingError while one does.
        """
        with self._lock:
            self._require_no_swap()
            return decide()

    def _require_no_swap(self) -> None:
        if self._swap is not None:
            raise TrainingError(f"v{self._swap.version} goes live this moment; look again, then decide")

    def _require_model(self) -> None:
        if self._engine.state.status == "failed":
            raise TrainingError(f"nothing can be trained: {self._engine.state.message}")

    def _watch(self) -> None:
        seconds, last_error = 0.0, None
        while not self._stopping.is_set():
            self._wake.wait(seconds)
            self._wake.clear()
            if self._stopping.is_set():
                break
            try:
                with self._lock:
                    seconds = BUSY_SECONDS if self._tick() else IDLE_SECONDS
            except Exception as error:
                if repr(error) != last_error:  # a data folder that cannot be written to fails every tick alike
                    log.exception("the supervisor failed; it goes on")
                seconds, last_error = IDLE_SECONDS, repr(error)
            else:
                last_error = None

    def _tick(self) -> bool:
        """Do what is due; return whether a run is open or ending, so that the next look is due soon."""
        now = overview(self._db)
        run = now.open_run
        if self._swap is not None:
            self._finish_swap(self._swap)
        elif self._active is not None:
            self._watch_process(*self._active, run)
        elif run is None and now.waiting_run is not None:
            runs.start_next(self._db)
        elif run is None:
            self._follow_schedule(now)
        elif run.status == "queued":
            self._start(run)
        else:  # the process is gone: its candidate waits to be swapped in, or recording its end failed
            self._conclude(run.id, "The training process is gone; the app's log may say why.")
        return run is not None or now.waiting_run is not None or self._active is not None

    def _follow_schedule(self, now: Overview) -> None:
        """Queue the run that the schedule asks for, or start a process for one that may come."""
        if decide(now, datetime.now().astimezone()).due:
            self.retrain()
        elif now.anything_new and self.defaults.workers == 1 and self._engine.state.status == "ready":
            self._launcher.prepare()

    def _start(self, run: Run) -> None:
        if self._engine.state.status != "ready" or not runs.start_run(self._db, run.id):
            return
        try:
            process = self._launcher.start(run.id, int(run.settings.get("workers", 1)))
        except OSError as error:
            runs.end_run(self._db, run.id, "failed", f"The training process could not be started: {error}")
            return
        self._active = run.id, process
        self._heartbeat = run.heartbeat, time.monotonic()
        runs.set_pid(self._db, run.id, process.pid)
        log.info("run %s started as process %s", run.id, process.pid)

    def _watch_process(self, run_id: int, process: TrainingProcess, run: Run | None) -> None:
        """End a process that is silent for too long; conclude the run of one that has ended."""
        cause = process.cause_of_end()
        if cause is None:
            if run is not None and self._silent_seconds(run) > HEARTBEAT_SECONDS:
                self._kill_active()
                silent = f"The training process gave no sign of life for {HEARTBEAT_SECONDS:.0f} s and was ended."
                runs.end_run(self._db, run.id, "failed", f"{silent} {RESUME}")
            return
        process.close()
        if run is not None and run.id == run_id and run.status == "running":  # else it has ended, or is queued again
            log_file = complete_log(self._data_dir, run_id)
            ended = f"The training process {cause} before it had finished; {log_file} in the data folder may say why."
            self._conclude(run_id, f"{ended} {RESUME}")
        self._active = None  # not before: where a full disk keeps its end from being recorded, it is tried again

    def _conclude(self, run_id: int, failure: str) -> None:
        """Swap in the candidate that a run made, once the model is loaded; without one, mark the run as failed."""
        candidate = policies.version_made_by(self._db, run_id)
        if (ending := concluded(candidate, policies.live_policy(self._db), failure)) is not None:
            runs.end_run(self._db, run_id, ending.status, ending.why)
        elif candidate is not None and self._engine.state.status == "ready":
            try:  # it was recorded, so it is whole, however the process ended
                policy = policy_version_at(candidate.version, self._data_dir / candidate.path, candidate.sha256)
            except AlignmentError as error:
                self._fail_unserved(run_id, candidate.version, error)
            else:
                self._swap = Swap(run_id, candidate.version, self._engine.swap(policy))

    def _finish_swap(self, swap: Swap) -> None:
        if not swap.done.done():
            return
        if swap.done.cancelled():
            pass  # the run was cancelled before the engine came to it
        elif error := swap.done.exception():
            self._fail_unserved(swap.run_id, swap.version, error)
        else:
            policies.go_live(self._db, swap.version, swap.run_id)
            log.info("run %s: v%s is live", swap.run_id, swap.version)
        self._swap = None

    def _fail_unserved(self, run_id: int, version: int, error: BaseException) -> None:
        runs.end_run(self._db, run_id, "failed", f"v{version} was trained but could not be served: {error}")

    def _end_interrupted(self, run_id: int) -> None:
        """Mark as failed a run that was interrupted when the app stopped.

        One whose candidate fits the live model stays open, so that it can still go live.
        """
        made, live = policies.version_made_by(self._db, run_id), policies.live_policy(self._db)
        if made and live and (made.status, made.model, made.parent) == ("candidate", live.model, live.version):
            return
        rest = f"v{made.version} was trained, but did not go live." if made else RESUME
        runs.end_run(self._db, run_id, "failed", f"The app was stopped while this run was under way. {rest}")

    def _silent_seconds(self, run: Run) -> float:
        """Return for how long the heartbeat has not changed, by this process's clock: the wall clock may be set."""
        if run.heartbeat != self._heartbeat[0]:
            self._heartbeat = run.heartbeat, time.monotonic()
        return time.monotonic() - self._heartbeat[1]

    def _kill_active(self) -> None:
        assert self._active is not None
        self._active[1].kill()
        self._active = None

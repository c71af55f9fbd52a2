"""What a job does about convictions: notes the proofs, keeps the record, and goes back to before the lies."""

from contextlib import suppress

from byzshield.aggregation import Aggregate
from byzshield.config import RunConfig, resume_hash
from byzshield.errors import CheckpointError
from byzshield.log import get_logger
from byzshield.runtime.checkpoint import all_checkpoints, newest_sound, save_checkpoint
from byzshield.runtime.evidence import EvidenceLog
from byzshield.runtime.record import RunRecord
from byzshield.runtime.run_directory import RunDirectory
from byzshield.training import ParameterServer, StepOutcome, TrainingState
from byzshield.training.audit import Conviction

__all__ = ["Auditing", "GoBack"]

LOG = get_logger(__name__)


class GoBack(Exception):
    """Training is to go on from an earlier step; never leaves the training loop.

    Args:
        step: from whose checkpoint.
    """

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


class Auditing:
    """The evidence and the record of a job, and how far it goes back after a conviction.

    With `audit.rollback`, training goes on from the newest checkpoint that lies at least `audit.clean_steps` steps before the
    conviction. Others compute the convicted worker's files again; as long as the weights are those of the first time, what it
    had voted for is compared with what wins now. If its first lie found so is less than `clean_steps` steps behind the
    checkpoint, there may be more before it, and training goes back further. How far the search reaches is in the evidence, so a
    job that was killed on the way, or before it went back, is gone on with as if it had not been.

    Args:
        config: the run file.
        directory: where evidence.jsonl, record.jsonl and the checkpoints are.
        server: at the step to go on from.

    Raises:
        StorageError: a file cannot be written, or is damaged.
    """

    def __init__(self, config: RunConfig, directory: RunDirectory, server: ParameterServer) -> None:
        self._section, self._server = config.audit, server
        self._checkpoints, self._hash = directory.checkpoints, resume_hash(config)
        self._began = server.step  # of the steps since training last began or went back
        self.evidence = EvidenceLog(directory.evidence)
        self._unnoted: list[Conviction] = []
        self._record: RunRecord | None = None
        if self._section.recorded:
            last = self.evidence.rollbacks[-1:]
            before = last[0].get("lines", 0) if last else 0
            self._record = RunRecord(directory.record, step=server.step, model=server.state.model, before=before)
            if self._record.replays:
                self._began = min(server.step, last[0]["to"])
        if self._section.enabled and self._section.expel == "proof":
            self.evidence.restore(server.convictions)
        server.attempt = len(self.evidence.rollbacks)
        if self._section.rollback and not all_checkpoints(self._checkpoints):
            save_checkpoint(self._checkpoints, server.state_dict(), configuration=self._hash)

    @property
    def rolled_back_steps(self) -> int:
        """Steps that were undone, in all rollbacks together."""
        return sum(event["step"] - event["to"] for event in self.evidence.rollbacks)

    def before_steps(self) -> None:
        """Goes back now if the job before was killed when it was to.

        Raises:
            GoBack: it was.
        """
        if self._section.rollback and (step := self.evidence.unfinished) is not None:
            raise GoBack(step)

    def after_votes(self) -> None:
        """Notes whom the votes of the step under way have convicted.

        Raises:
            GoBack: what they did before is to be done again.
        """
        if not self._section.enabled:
            return
        found = self._unnoted = [*self._unnoted, *self._server.take_convictions()]
        earliest = min((proof.step for proof in found), default=0)
        back_to = self._step_before(earliest, undoing=self._server.step) if found and self._section.rollback else None
        # Where nothing follows from them, there are many in time.
        for together in [found] if self._section.expel == "proof" else [[proof] for proof in found]:
            self.evidence.convict(*together, back_to=back_to)
        self._unnoted = []
        for proof in found:
            LOG.warning("step %d: worker %d is convicted: %s of file %d", proof.step, proof.worker, proof.evidence, proof.file)
        if back_to is not None:
            raise GoBack(back_to)

    def break_off(self) -> None:
        """Notes whom a step has convicted that is not played to its end; the next job goes back, if that is to be."""
        with suppress(GoBack):
            self.after_votes()

    def after_last_step(self) -> None:
        """Checks all files of the last step, where files are checked in the idle time of the step behind them.

        Raises:
            GoBack: what somebody did in it is to be done again.
        """
        while self._server.unchecked:
            self._server.check_past(0.0)
        self.after_votes()

    def after_step(self, outcome: StepOutcome, aggregate: Aggregate) -> None:
        """Records a step that is done.

        Raises:
            GoBack: it was done again and differs, so that there may be more to be done again before it.
        """
        self.evidence.take_back(outcome.returned, outcome.step)
        if self._record is None:
            return
        self._record.add(outcome.step, self._server.ballots, outcome.undecided, aggregate, self._server.state.model)
        lies = self._record.lies_before(outcome.step, sorted(self._server.convictions.expelled))
        for worker, file, committed, won in lies:
            proof = Conviction(
                step=outcome.step,
                file=file,
                worker=worker,
                evidence="replay",
                committed=bytes.fromhex(committed),
                recomputed=bytes.fromhex(won),
            )
            self.evidence.convict(proof)
        if lies and self._section.rollback and outcome.step - 1 - self._began < self._section.clean_steps:
            back_to = self._step_before(outcome.step, undoing=self._began)
            if back_to is not None:
                raise GoBack(back_to)

    def sync(self) -> None:
        """Waits until the record is on disk."""
        if self._record is not None:
            self._record.sync()

    def go_back(self, step: int, fresh: TrainingState) -> int:
        """Takes the server back; returns the step from which training goes on.

        Args:
            step: from whose checkpoint, or the newest before it that is not damaged.
            fresh: the state of a run that begins.

        Raises:
            CheckpointError: all of them are damaged.
        """
        came_to = self._server.step
        found = newest_sound(self._checkpoints, configuration=self._hash, up_to=step)
        if found is None:
            raise CheckpointError(f"{self._checkpoints} has no checkpoint to go back to")
        self._began = found[1]["step"]
        self.sync()
        self.evidence.go_back(came_to, to=self._began, lines=0 if self._record is None else self._record.num_lines)
        for later, path in all_checkpoints(self._checkpoints):
            if later > self._began:
                path.unlink()
        self._server.go_back(found[1], fresh)
        # Which has what is known of the workers by now.
        save_checkpoint(self._checkpoints, self._server.state_dict(), configuration=self._hash)
        LOG.warning("goes back from step %d to step %d, to do again what may have been corrupted", came_to, self._began)
        if self._record is not None:
            self._record.go_back(self._began, self._server.state.model)
        return self._began

    def close(self) -> None:
        """Closes the files."""
        self.evidence.close()
        if self._record is not None:
            self._record.close()

    def _step_before(self, lie: int, *, undoing: int) -> int | None:
        """The newest checkpoint before `undoing` with enough steps between it and a lie, or any at all; None without one."""
        steps = [step for step, _ in all_checkpoints(self._checkpoints) if step < undoing]
        far_enough = [step for step in steps if lie - 1 - step >= self._section.clean_steps]
        return max(far_enough, default=steps[0] if steps else None)

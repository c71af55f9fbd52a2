"""What becomes of the winners: the robust rule and what goes before it, how many of them are held, and the momenta."""

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from byzshield.aggregation import AGGREGATORS, PRE_AGGREGATORS, Aggregator, Pipeline, PreAggregator
from byzshield.distortion import most_byzantine
from byzshield.errors import ConfigError, ParameterError, TooFewRowsError
from byzshield.limits import available_memory
from byzshield.log import get_logger
from byzshield.runtime.building.places import SEARCH_SECONDS
from byzshield.runtime.building.task import Task
from byzshield.runtime.components import make
from byzshield.training.momentum import ShardMomentum

__all__ = ["Combination"]

LOG = get_logger(__name__)
MIB = 1 << 20


@dataclass(frozen=True)
class Combination(Task):
    """The part of a `Builder` that combines gradients."""

    def check(self) -> None:
        """As `Task.check`; refuses a placement, an attack and a rule, too, that do not exist or do not go together."""
        super().check()
        if self.config.attack.num_byzantine:
            self.attack  # noqa: B018 - is refused where it is made
            self.selection.byzantine_at(1)
        if self.code is None:
            self.pipeline()

    @cached_property
    def num_corrupted(self) -> int:
        """Files of which the rule is told that they may be wrong."""
        told = self.config.aggregation.num_corrupted
        return self.most_corrupted if told == "auto" else told

    def pipeline(self, *, device: str | None = None) -> Pipeline:
        """The pre-aggregators and the robust rule, refused if they do not tolerate the placement's worst case.

        Args:
            device: to which winners are brought; by default aggregation.device.
        """
        section, num_corrupted = self.config.aggregation, self.num_corrupted
        shared: dict[str, Any] = {"num_corrupted": num_corrupted, "defaults": {"seed": self.config.run.seed}}
        pre = self.pre_aggregators(num_corrupted)
        rule = copy.deepcopy(self.objects.rule)  # it may remember what it saw in another run
        if rule is not None and not rule.was_told:
            rule = rule.against(num_corrupted)
        elif rule is None:
            rule = make(AGGREGATORS, section.rule, "aggregation.rule", section.options, known=section.known_keys(), **shared)
        try:
            pipeline = Pipeline(rule, pre, device=device or self._chosen("aggregation.device", section.device))
            pipeline.check_rows(self.assignment.num_files)
        except TooFewRowsError as error:
            raise ConfigError(f"aggregation: {error}; {self._what_fits(rule, pre)}") from error
        except ParameterError as error:
            raise ConfigError(f"aggregation: {error}") from error
        return pipeline

    def pre_aggregators(self, num_corrupted: int) -> list[PreAggregator]:
        """What the rows go through before the rule."""
        if self.objects.pre is not None:
            return list(self.objects.pre)
        shared: dict[str, Any] = {"num_corrupted": num_corrupted, "defaults": {"seed": self.config.run.seed}}
        pre: list[PreAggregator] = []
        for index, entry in enumerate(self.config.aggregation.pre):
            key, options = f"aggregation.pre[{index}].name", {"name": entry} if isinstance(entry, str) else dict(entry)
            if not isinstance(options.get("name"), str):
                raise ConfigError(f"{key}: is required in each table")
            pre.append(make(PRE_AGGREGATORS, options.pop("name"), key, options, known={"name"}, **shared))
        return pre

    def _what_fits(self, rule: Aggregator, pre: list[PreAggregator]) -> str:
        """What to change when the rule does not tolerate `num_corrupted` files, and how to run it all the same."""
        num_files = self.assignment.num_files

        def tolerates(num_corrupted: int) -> bool:
            try:
                Pipeline(rule.against(num_corrupted), pre).check_rows(num_files)
            except ParameterError:  # too few rows, or a number that the rule refuses for another reason
                return False
            return True

        most = next((count for count in reversed(range(num_files)) if tolerates(count)), -1)
        if most < 0:
            return f"use another rule or a placement with more than {num_files} files"
        override = f"--set aggregation.num_corrupted={most}"
        tolerated = f"with the {num_files} files of this placement it tolerates {most}"
        if self.config.aggregation.num_corrupted != "auto":
            return f"{tolerated}: change the rule or the placement, or use {override}"
        if self.detection is not None:
            return f"{tolerated}: change attack.num_byzantine, the rule or the placement, or, to see it fail, use {override}"
        fits = most_byzantine(self.assignment, num_corrupted=most, time_limit=SEARCH_SECONDS)
        return (
            f"{tolerated}, so at most {fits} Byzantine workers: change attack.num_byzantine, the rule or the placement, "
            f"or, to see it fail, use {override}"
        )

    def _warn_of_more_corrupted_files(self) -> None:
        """Says that a rule is told of fewer files than the plain vote is known to lose; audits change that in time."""
        told, attack = self.config.aggregation.num_corrupted, self.config.attack
        plain = self.code is None and self.detection is None and not self.config.audit.enabled
        if told == "auto" or not (plain and attack.num_byzantine and attack.selection == "worst"):
            return
        if told < self.worst_case.c_max:
            LOG.warning(
                "aggregation.num_corrupted is %d, and the Byzantine workers corrupt %d of %d files: the rule promises nothing",
                told,
                self.worst_case.c_max,
                self.assignment.num_files,
            )

    @cached_property
    def window(self) -> int | None:
        """Chunks of all winners that the server holds at a time; None for the whole winners."""
        section, cluster = self.config.aggregation, self.config.cluster
        chunk = 4 * cluster.chunk_elements * self.assignment.num_files
        whole = 4 * self.computer.size * self.assignment.num_files
        free = available_memory()
        if section.winners_mib != "auto":
            room = least = section.winners_mib * MIB
        elif free is not None:
            least, room = free // 2, free // 8
        else:
            return None
        if whole <= least:
            return None
        works = cluster.exchange == "digest" and not section.momentum and self.pipeline().works_by_columns
        if not works and section.winners_mib != "auto":
            raise ConfigError(
                f"aggregation.winners_mib: the winners take {whole // MIB} MiB and can be combined in parts only in the digest "
                "exchange, by a coordinate-wise rule without aggregation.pre and aggregation.momentum, on a CPU; use "
                f"winners_mib = {-(-whole // MIB)} or more"
            )
        return max(1, room // chunk) if works else None

    def _momentum(self, num_parameters: int) -> ShardMomentum | None:
        """The momenta of the files' shards; None without."""
        section = self.config.aggregation
        if not section.momentum:
            return None
        if self.config.data.split == "none":
            raise ConfigError(
                'aggregation.momentum: is that of a shard, so files must be bound to shards; use data.split = "iid"'
            )
        return ShardMomentum(
            num_files=self.assignment.num_files,
            num_parameters=num_parameters,
            beta=section.momentum,
            form=section.momentum_form,
        )

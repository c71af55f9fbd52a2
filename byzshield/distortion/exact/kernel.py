"""The compiled part of the search. Importing this module imports numba.

The search decides one worker at a time: chosen, or excluded. `advance` walks that binary tree depth first and can be stopped
and continued between any two nodes. `can_reach` is the bound; docs/distortion.md proves it.

The kernels of the search stay in one file on purpose: numba looks only at a function's own file to tell whether its cached
machine code is out of date, not at the files of the functions that it calls.
"""

import numpy as np

from byzshield.compilation import compiled
from byzshield.distortion.exact.graph import CANDIDATE, CHOSEN, EXCLUDED, Graph, Ints, Node

__all__ = [
    "CANDIDATES",
    "CORRUPTED",
    "EXHAUSTED",
    "FIXED",
    "FOUND",
    "LENGTH",
    "MOST",
    "PAUSED",
    "TO_CHOOSE",
    "advance",
    "can_reach",
    "choose",
    "close",
    "complete",
    "exclude",
    "first_open",
    "pick",
    "turn_back",
]

EXHAUSTED, FOUND, PAUSED = 0, 1, 2
# Places in Node.totals.
CORRUPTED, TO_CHOOSE, CANDIDATES, LENGTH, FIXED, MOST = 0, 1, 2, 3, 4, 5


@compiled
def choose(graph: Graph, node: Node, worker: int) -> None:
    """Makes a candidate a chosen worker; O(l + K)."""
    node.status[worker] = CHOSEN
    node.totals[TO_CHOOSE] -= 1
    node.totals[CANDIDATES] -= 1
    for file in graph.files_of[worker]:
        held, room = node.held[file], node.open[file]
        node.table[held, room] -= 1
        node.table[held + 1, room - 1] += 1
        node.held[file] = held + 1
        node.open[file] = room - 1
        if held + 1 == graph.threshold:
            node.totals[CORRUPTED] += 1
    for other in range(len(graph.shared)):
        node.gain[other] += graph.shared[worker, other]


@compiled
def unchoose(graph: Graph, node: Node, worker: int) -> None:
    """Undoes `choose`."""
    node.status[worker] = CANDIDATE
    node.totals[TO_CHOOSE] += 1
    node.totals[CANDIDATES] += 1
    for file in graph.files_of[worker]:
        held, room = node.held[file], node.open[file]
        node.table[held, room] -= 1
        node.table[held - 1, room + 1] += 1
        node.held[file] = held - 1
        node.open[file] = room + 1
        if held == graph.threshold:
            node.totals[CORRUPTED] -= 1
    for other in range(len(graph.shared)):
        node.gain[other] -= graph.shared[worker, other]


@compiled
def exclude(graph: Graph, node: Node, worker: int) -> None:
    """Makes a candidate an excluded worker; O(l)."""
    node.status[worker] = EXCLUDED
    node.totals[CANDIDATES] -= 1
    for file in graph.files_of[worker]:
        held, room = node.held[file], node.open[file]
        node.table[held, room] -= 1
        node.table[held, room - 1] += 1
        node.open[file] = room - 1


@compiled
def readmit(graph: Graph, node: Node, worker: int) -> None:
    """Undoes `exclude`."""
    node.status[worker] = CANDIDATE
    node.totals[CANDIDATES] += 1
    for file in graph.files_of[worker]:
        held, room = node.held[file], node.open[file]
        node.table[held, room] -= 1
        node.table[held, room + 1] += 1
        node.open[file] = room + 1


@compiled
def close(graph: Graph, node: Node, worker: int) -> None:
    """Excludes the candidates of each file of `worker` that has as many chosen workers as it may, and notes them on the trail."""
    for file in graph.files_of[worker]:
        if node.held[file] >= node.cap[file] and node.open[file] > 0:
            for other in graph.workers_of[file]:
                if node.status[other] == CANDIDATE:
                    exclude(graph, node, other)
                    node.trail[node.totals[LENGTH]] = other
                    node.totals[LENGTH] += 1


@compiled
def top_sum(histogram: Ints, size: int, count: int) -> int:
    """The sum of the `count` largest values, where histogram[v] values equal v; the histogram is left empty."""
    total = 0
    for value in range(size - 1, -1, -1):
        taken = min(count, int(histogram[value]))
        total += taken * value
        count -= taken
        histogram[value] = 0
    return total


@compiled
def pairs_by_group(graph: Graph, node: Node) -> int:
    """The most sharing pairs that completing the node can add, from the groups; O(K l)."""
    count = int(node.totals[TO_CHOOSE])
    num_workers = len(graph.shared)
    less = graph.across - graph.within
    shift = less * num_workers
    histogram = node.scratch[num_workers:]
    highest = 0
    for group in range(len(graph.group_start) - 1):
        size = 0
        for at in range(graph.group_start[group], graph.group_start[group + 1]):
            worker = graph.groups[at]
            if node.status[worker] == CANDIDATE:
                gain = node.gain[worker]
                place = size
                while place > 0 and node.scratch[place - 1] < gain:
                    node.scratch[place] = node.scratch[place - 1]
                    place -= 1
                node.scratch[place] = gain
                size += 1
        for place in range(size):
            value = int(node.scratch[place]) - less * place + shift
            histogram[value] += 1
            highest = max(highest, value)
    best = top_sum(histogram, highest + 1, count)
    return best - shift * count + graph.across * (count * (count - 1) // 2)


@compiled
def pairs_by_row(graph: Graph, node: Node) -> int:
    """The same bound from each worker's largest overlaps; better than the groups where overlaps differ much. O(K)."""
    count = int(node.totals[TO_CHOOSE])
    num_workers = len(graph.shared)
    histogram = node.scratch[num_workers:]
    highest = 0
    for worker in range(num_workers):
        if node.status[worker] == CANDIDATE:
            value = 2 * node.gain[worker] + graph.shared_most[worker, count - 1]
            histogram[value] += 1
            highest = max(highest, value)
    return top_sum(histogram, highest + 1, count) // 2


@compiled
def can_reach(graph: Graph, node: Node, target: int) -> bool:
    """Whether the bound allows a completion of the node with `target` corrupted files; False is a proof.

    Counts the pairs of copies of one file in Byzantine hands. A completion adds at most `pairs_by_group` of them; to corrupt
    enough files it has to add at least as many as the cheapest way to spread its copies does. O(r^2 + K l).
    """
    count = int(node.totals[TO_CHOOSE])
    missing = target - node.totals[CORRUPTED]
    if count > node.totals[CANDIDATES]:
        return False
    if missing <= 0:
        return True
    if count == 0:
        return False
    replication = graph.workers_of.shape[1]
    threshold = graph.threshold
    # Force the files that are nearest to their threshold: no other choice of files costs fewer pairs.
    forced = np.zeros(replication + 1, dtype=np.int64)
    left = count * graph.files_of.shape[1]
    cost = 0
    for held in range(threshold - 1, -1, -1):
        need = threshold - held
        if missing == 0 or need > count:
            break
        files = 0
        for room in range(need, replication - held + 1):
            files += node.table[held, room]
        files = min(files, missing)
        missing -= files
        for level in range(held, threshold):
            forced[level] += files
            cost += files * level
        left -= files * need
    if missing > 0 or left < 0:
        return False
    # Put the other copies where they make the fewest pairs.
    for level in range(node.totals[MOST]):
        if left == 0:
            break
        places = -forced[level]
        for held in range(level + 1):
            for room in range(level - held + 1, replication - held + 1):
                if level - held < count:
                    places += node.table[held, room]
        places = min(places, left)
        cost += places * level
        left -= places
    if left > 0:
        return False
    if cost > pairs_by_group(graph, node):
        return False
    return graph.uniform == 1 or cost <= pairs_by_row(graph, node)


@compiled
def pick(graph: Graph, node: Node) -> int:
    """The worker to decide next: of the file nearest to its threshold with the fewest candidates, the one with the most gain."""
    replication = graph.workers_of.shape[1]
    count = node.totals[TO_CHOOSE]
    best_held, best_room = -1, 0
    for held in range(graph.threshold - 1, -1, -1):
        need = graph.threshold - held
        if need > count:
            break
        for room in range(need, replication - held + 1):
            if node.table[held, room] > 0:
                best_held, best_room = held, room
                break
        if best_held >= 0:
            break
    worker, gain = -1, -1
    for file in range(graph.workers_of.shape[0]):
        if node.held[file] == best_held and node.open[file] == best_room:
            for other in graph.workers_of[file]:
                if node.status[other] == CANDIDATE and node.gain[other] > gain:
                    worker, gain = other, node.gain[other]
            break
    return worker


@compiled
def complete(graph: Graph, node: Node) -> None:
    """Fills a node that already has its files with the first candidates."""
    for worker in range(len(graph.shared)):
        if node.totals[TO_CHOOSE] == 0:
            break
        if node.status[worker] == CANDIDATE:
            choose(graph, node, worker)


@compiled
def advance(graph: Graph, node: Node, target: int, budget: int) -> tuple[int, int]:
    """Continues the depth-first search for a completion with `target` corrupted files.

    Args:
        graph: the assignment.
        node: where the search stands; it is changed. The search is over when it is back at the fixed part of the trail.
        target: corrupted files wanted.
        budget: nodes to visit before pausing.

    Returns:
        FOUND (node.status marks the workers), EXHAUSTED (proved that there are none) or PAUSED (call again); nodes visited.
    """
    totals = node.totals
    for visited in range(budget):
        if can_reach(graph, node, target):
            if totals[CORRUPTED] >= target:
                complete(graph, node)
                return FOUND, visited + 1
            worker = pick(graph, node)
            node.trail[totals[LENGTH]] = worker
            totals[LENGTH] += 1
            choose(graph, node, worker)
            close(graph, node, worker)
            continue
        while totals[LENGTH] > totals[FIXED]:
            worker = node.trail[totals[LENGTH] - 1]
            if node.status[worker] == CHOSEN:
                unchoose(graph, node, worker)
                exclude(graph, node, worker)
                break
            readmit(graph, node, worker)
            totals[LENGTH] -= 1
        if totals[LENGTH] == totals[FIXED]:
            return EXHAUSTED, visited + 1
    return PAUSED, budget


@compiled
def first_open(node: Node) -> int:
    """The earliest place of the trail whose other branch, the exclusion, is still to be searched; -1 if there is none."""
    for place in range(node.totals[FIXED], node.totals[LENGTH]):
        if node.status[node.trail[place]] == CHOSEN:
            return place
    return -1


@compiled
def turn_back(graph: Graph, node: Node, place: int) -> None:
    """Moves a node to the exclusion of trail[place], and fixes its trail up to there."""
    while node.totals[LENGTH] > place:
        node.totals[LENGTH] -= 1
        worker = node.trail[node.totals[LENGTH]]
        if node.status[worker] == CHOSEN:
            unchoose(graph, node, worker)
        else:
            readmit(graph, node, worker)
    exclude(graph, node, node.trail[place])
    node.totals[LENGTH] = place + 1
    node.totals[FIXED] = place + 1

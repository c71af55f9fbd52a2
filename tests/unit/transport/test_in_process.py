"""The in-process transport keeps the promises of an endpoint."""

from byzshield.transport import in_process
from byzshield.wire import Message


def test_messages_between_two_ranks_arrive_in_order_with_their_source() -> None:
    server, first, second = in_process(3)
    first.send(Message(rank=0, tag=1, data=b"a"))
    second.send(Message(rank=0, tag=1, data=b"b"))
    first.send(Message(rank=0, tag=1, data=b"c"))
    packets = [server.receive({1: 10}) for _ in range(3)]
    assert [(packet.source, packet.data) for packet in packets if packet] == [(1, b"a"), (2, b"b"), (1, b"c")]
    assert server.receive({1: 10}) is None


def test_a_message_over_the_bound_of_its_tag_is_refused_unread() -> None:
    server, worker = in_process(2)
    worker.send(Message(rank=0, tag=1, data=b"12345"))
    worker.send(Message(rank=0, tag=2, data=b"1"))
    worker.send(Message(rank=0, tag=1, data=b"1234"))
    oversized, unknown, accepted = (server.receive({1: 4}) for _ in range(3))
    assert oversized is not None
    assert (oversized.data, oversized.num_bytes) == (None, 5)
    assert unknown is not None
    assert unknown.data is None
    assert accepted is not None
    assert accepted.data == b"1234"


def test_the_backlog_counts_what_a_rank_has_not_taken() -> None:
    server, worker = in_process(2)
    server.send(Message(rank=1, tag=1, data=b"a"))
    server.send(Message(rank=1, tag=1, data=b"b"))
    assert server.backlog(1) == 2
    worker.receive({1: 1})
    assert server.backlog(1) == 1

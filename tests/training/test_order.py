from itertools import pairwise

import torch

from castalia.training.order import batch_bounds, batches_per_epoch, epoch_order


def test_order_is_a_permutation_and_a_function_of_seed_and_epoch():
    order = epoch_order(1000, 3, 7)
    assert torch.equal(order.sort().values, torch.arange(1000))
    assert torch.equal(order, epoch_order(1000, 3, 7))
    assert not torch.equal(order, epoch_order(1000, 3, 8))
    assert not torch.equal(order, epoch_order(1000, 4, 7))


def test_batches_cut_the_epoch_into_equal_pieces():
    for events, size in [(10, 3), (2049, 2048), (5, 100), (4096, 2048), (1, 1)]:
        count = batches_per_epoch(events, size)
        bounds = [batch_bounds(events, count, batch) for batch in range(count)]
        assert bounds[0][0] == 0
        assert bounds[-1][1] == events
        assert all(a[1] == b[0] for a, b in pairwise(bounds))
        sizes = [last - first for first, last in bounds]
        assert max(sizes) <= size
        assert max(sizes) - min(sizes) <= 1

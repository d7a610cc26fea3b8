"""Rows of memory-mapped files: what stands in the place of a tensor that is larger than memory."""

from __future__ import annotations

import mmap
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vaelab.data.schema import Array

BLOCK = 2**18  # bytes of neighbouring rows that are shuffled as one
BLOCKS = 256  # blocks whose rows are shuffled among one another
AHEAD = 2**24  # bytes that a worker reads at once
NEAR = 2**15  # bytes between two rows, up to which they are read as one piece


class Mapped:
    """Rows (N, *shape) of memory-mapped arrays; an index reads them, as it does those of a tensor.

    Args:
        shards: Arrays (n, *shape) of one shape and type, the rows of one behind those of another.
        low, high: The least and the greatest value of all of them.
        whole: Whether all values are whole numbers.
        checksum: Tells other shards in their place apart.
        which: The rows of the shards that belong to it, ascending; None for all.
        device: Where rows that are read go to.
    """

    def __init__(
        self,
        shards: Sequence[Array],
        low: float,
        high: float,
        whole: bool,
        checksum: str,
        which: Array | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.shards, self.low, self.high, self.whole = shards, low, high, whole
        self.crc, self.which, self.device = checksum, which, torch.device(device)
        self.ends = np.cumsum([len(shard) for shard in shards])
        rows = int(self.ends[-1]) if which is None else len(which)
        self.shape = torch.Size((rows, *shards[0].shape[1:]))
        self.ndim, self.row = len(self.shape), shards[0][0].nbytes if rows else 1
        self.dtype = torch.from_numpy(np.empty(0, shards[0].dtype)).dtype

    def __len__(self) -> int:
        return self.shape[0]

    def numel(self) -> int:
        return self.shape.numel()

    def min(self) -> float:
        """The least value of the shards, which other rows may have."""
        return self.low

    def max(self) -> float:
        """The greatest value of the shards, which other rows may have."""
        return self.high

    def to(self, device: torch.device) -> Mapped:
        """The same, whose rows go to another device."""
        return self._like(self.which, device)

    def part(self, which: Tensor) -> Mapped:
        """Some of the rows, chosen by an ascending index or a mask; none is read."""
        index = np.arange(len(self))[which.numpy()] if self.which is None else self.which[which]
        return self._like(index, self.device)

    def checksum(self) -> str:
        """A checksum of the rows, from those of the shards and which rows of them these are."""
        which = b"" if self.which is None else self.which.tobytes()
        return f"{zlib.crc32(self.crc.encode() + which):08x}"

    def __getitem__(self, index: Tensor | slice | int) -> Tensor:
        """Read the rows of an index (B,) in its order, (B, *shape), or one row (*shape).

        Raises `IndexError` as a tensor does; a negative number counts from the end as a single one.
        """
        if isinstance(index, int):
            return self[torch.tensor([index % len(self) if -len(self) <= index < 0 else index])][0]
        if isinstance(index, slice):
            return self.read(torch.arange(len(self))[index])[0].to(self.device)
        rows, places = self.read(index)
        return rows.index_select(0, places).to(self.device)

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Read the rows of an index (B,); `dim` is 0."""
        return self[index]

    def split(self, rows: int) -> Iterator[Tensor]:
        """Read all rows in order, so many at once."""
        return (self[start : start + rows] for start in range(0, len(self), rows))

    def read(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Read the rows of an index (B,) in the order of the files, and where each of them is.

        Row i of the index is row `places[i]` of what is read. Other threads run meanwhile.
        """
        asked = index.cpu().numpy()
        order = np.argsort(asked, kind="stable")
        if len(order) and not 0 <= asked[order[0]] <= asked[order[-1]] < len(self):
            raise IndexError(f"rows {asked[order[0]]} to {asked[order[-1]]} of {len(self)}")
        wanted = asked[order] if self.which is None else self.which[asked[order]]
        rows = np.empty((len(wanted), *self.shape[1:]), self.shards[0].dtype)
        bounds = [0, *np.searchsorted(wanted, self.ends)]
        for shard, end, a, b in zip(self.shards, self.ends, bounds, bounds[1:], strict=False):
            if a < b:
                here = wanted[a:b] - (end - len(shard))
                _announce(shard, here, self.row)
                np.take(shard, here, axis=0, out=rows[a:b], mode="clip")
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        return torch.from_numpy(rows), torch.from_numpy(places)

    def ahead(self, batches: Sequence[Tensor], workers: int) -> Iterator[Tensor]:
        """Read the rows of each batch of indices; so many threads read the next ones meanwhile.

        Each reads the rows of several batches at once, in the order of the files. Without threads
        they are read when they are asked for. What is read is the same for any number of them.
        """
        groups = self._grouped(batches)
        if not workers:
            for group in groups:
                yield from self._batches(group, self.read(torch.cat(group)))
            return
        pool = ThreadPoolExecutor(workers, "vaelab reads ahead")
        waiting: deque[tuple[list[Tensor], Future[tuple[Tensor, Tensor]]]] = deque()
        try:
            for group in groups:
                waiting.append((group, pool.submit(self.read, torch.cat(group))))
                if len(waiting) > workers:
                    first, read = waiting.popleft()
                    yield from self._batches(first, read.result())
            while waiting:
                first, read = waiting.popleft()
                yield from self._batches(first, read.result())
        finally:
            pool.shutdown(cancel_futures=True)

    def _grouped(self, batches: Sequence[Tensor]) -> Iterator[list[Tensor]]:
        """Batches together, of at most about `AHEAD` bytes."""
        group, rows = list[Tensor](), 0
        for batch in batches:
            if group and (rows + len(batch)) * self.row > AHEAD:
                yield group
                group, rows = [], 0
            group.append(batch)
            rows += len(batch)
        if group:
            yield group

    def _batches(self, group: list[Tensor], read: tuple[Tensor, Tensor]) -> Iterator[Tensor]:
        rows, places = read
        for places_of_batch in places.split([len(batch) for batch in group]):
            yield rows.index_select(0, places_of_batch).to(self.device)

    def _like(self, which: Array | None, device: torch.device) -> Mapped:
        known = self.shards, self.low, self.high, self.whole, self.crc
        return type(self)(*known, which, device)


def mapped(path: Path) -> Array:
    """Map the array of a .npy file, of which the system reads what is announced and no more.

    Left to itself, it reads megabytes around each row, which drives other rows out of memory.
    """
    array: Array = np.load(path, mmap_mode="r")
    if hasattr(mmap, "MADV_RANDOM"):
        array._mmap.madvise(mmap.MADV_RANDOM)  # type: ignore[attr-defined]  # numpy does not type it
    return array


def _announce(shard: Array, rows: Array, row: int) -> None:
    """Let the system read rows of a mapped file, which are ascending, in few large pieces."""
    if not isinstance(shard, np.memmap) or not hasattr(mmap, "MADV_WILLNEED"):
        return
    begins = np.flatnonzero(np.diff(rows, prepend=rows[0]) * row > NEAR)
    firsts, lasts = rows[[0, *begins]], rows[[*(begins - 1), -1]]
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        start = (shard.offset + first * row) // mmap.PAGESIZE * mmap.PAGESIZE
        length = shard.offset + (last + 1) * row - start
        shard._mmap.madvise(mmap.MADV_WILLNEED, start, length)  # type: ignore[attr-defined]  # as above


def shuffled(rows: int, row: int, stream: torch.Generator) -> Tensor:
    """A random order (N,) of rows of so many bytes that a disk reads fast.

    The blocks of neighbouring rows, of `BLOCK` bytes, are shuffled, and then the rows of each
    `BLOCKS` of them. Rows of fewer blocks are shuffled as one.

    >>> shuffled(8, 1, torch.Generator().manual_seed(0)).sort()[0].tolist()
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    size = max(1, BLOCK // row)
    if rows <= size * BLOCKS:
        return torch.randperm(rows, generator=stream)
    blocks = torch.randperm(-(-rows // size), generator=stream)
    order = (blocks[:, None] * size + torch.arange(size)).flatten()
    order = order[order < rows]
    for piece in order.split(size * BLOCKS):
        piece.copy_(piece[torch.randperm(len(piece), generator=stream)])
    return order

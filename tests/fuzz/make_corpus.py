#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the seeds of fuzz_arguments to the folder given, in the order in which it takes bytes."""
import pathlib
import sys

REF, CPU = 0, 1
THIN, FULL, TRUNCATED = 0, 1, 2
DEFAULT, EXACT, MASK, NOISE_FLOOR, LORENTZ = range(5)
F32, F64, C64, C128 = range(4)
COLUMN_MAJOR, ROW_PADDED, BATCH_INNERMOST, BROADCAST = 0, 3, 4, 6
MODERATE, WILD = 0, 3
# A, S, U, Vh, gS, gU, gVh, gA: all present, column-major
PLAIN = [COLUMN_MAJOR] * 8


def seed(backend, dtype, shape, kind=THIN, rank=None, policy=DEFAULT, layouts=PLAIN, fill=MODERATE,
         op=0, wild=(), large=False, work=0):
    """`wild` are bytes that change the descriptor: a field, and what to put there."""
    data = [backend | op << 1 | (0x38 if wild else 0), 1 if large else 0, dtype, *shape, kind, policy]
    data += [rank] if kind == TRUNCATED else []
    data += [*wild, 0, 0]  # no operand absent
    for layout in layouts:
        data += [layout, 0]
    for operand in range(4):  # A, gS, gU, gVh: what fills them
        data += [fill, 0, *(17 * i % 251 + operand for i in range(1, 13))]
    return bytes(data + [work, 0, 0, 0, work, 40])


SEEDS = {
    "thin": seed(REF, F64, (4, 3, 2)),
    "wide": seed(CPU, F32, (2, 5, 3)),
    "full": seed(CPU, C128, (5, 3, 1), FULL),
    "truncated": seed(CPU, C64, (6, 4, 2), TRUNCATED, rank=2),
    "truncated_ref": seed(REF, F32, (4, 6, 2), TRUNCATED, rank=3),
    "nonfinite": seed(CPU, F64, (3, 3, 3), fill=WILD),
    "policies": seed(REF, C64, (3, 3, 2), policy=LORENTZ),
    "layouts": seed(CPU, F64, (3, 4, 3), layouts=[BROADCAST, ROW_PADDED, BATCH_INNERMOST, ROW_PADDED] * 2),
    "workspace": seed(CPU, F64, (20, 16, 2), large=True),
    "workspace_small": seed(REF, C128, (16, 20, 2), large=True, work=13),
    "empty": seed(REF, F64, (0, 3, 2), FULL),
    "huge_size": seed(REF, F64, (4, 3, 2), wild=(3, 9)),
    "bad_enum": seed(CPU, F64, (4, 3, 2), op=2, wild=(10, 2)),
}

if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in SEEDS.items():
        (folder / name).write_bytes(data)

# SPDX-License-Identifier: BSD-3-Clause
"""In which order what is timed together takes its turns."""
import random


def shuffled_rounds(items, count):
    """`count` rounds of all items, each in an order of its own, the same in every run: who always comes first, or always
    after the same neighbour, finds the caches and the clock of the processor as that one has left them."""
    for number in range(count):
        yield random.Random(number).sample(items, len(items))

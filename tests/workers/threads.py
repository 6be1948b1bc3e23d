"""Crews whose workers are threads of the test, for what does not need processes."""

import threading
from concurrent.futures import ThreadPoolExecutor

from glo.workers.crew import Crew


class ThreadCrew(Crew):
    def __init__(self, index, values, barrier):
        self.index, self.count, self._values, self._barrier = index, len(values), values, barrier

    def exchange(self, topic, value):
        self._values[self.index] = (topic, value)
        self._barrier.wait(20)
        values = list(self._values)
        self._barrier.wait(20)
        assert {other for other, _ in values} == {topic}
        return [value for _, value in values]

    def sum(self, values):
        return sum(self.exchange("sum", values))


def in_all(count, action):
    """Call action(crew) in each of `count` workers; returns the results, or the exceptions that they raised."""
    values, barrier = [None] * count, threading.Barrier(count)

    def run(index):
        try:
            return action(ThreadCrew(index, values, barrier))
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))

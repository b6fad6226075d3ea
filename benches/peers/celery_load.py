"""Loads celery_app.py with many tasks at once, then with one after the other: IMAGE DIRECTORY TASKS SINGLE."""
import json
import statistics
import sys
import time

from celery import group
from celery_app import blur

image, directory, tasks, single = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


def many(count, name):
    start = time.perf_counter()
    group(blur.s(image, f"{directory}/{name}{i}.jpg") for i in range(count))().get()
    return time.perf_counter() - start


many(50, "warm")
rate = tasks / many(tasks, "many")
waits = []
for i in range(single):
    start = time.perf_counter()
    blur.delay(image, f"{directory}/single.jpg").get()
    waits.append(1e3 * (time.perf_counter() - start))
waits.sort()
print(json.dumps({"tasks_per_s": round(rate, 1), "p50_ms": round(statistics.median(waits), 2),
                  "p99_ms": round(waits[int(len(waits) * 0.99) - 1], 2)}))

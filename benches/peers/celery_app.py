"""The same small task on Celery: RabbitMQ for the queue, Redis for results, OpenCV for the pixels."""
import os

import cv2
from celery import Celery

cv2.setNumThreads(1)
app = Celery("peer", broker=os.environ["PEER_BROKER"], backend=os.environ["PEER_REDIS"])
# As safe as Celery gets: a message is acknowledged when its task is done.
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=4)


@app.task
def blur(source, target):
    cv2.imwrite(target, cv2.GaussianBlur(cv2.imread(source), (13, 13), 2))
    return target

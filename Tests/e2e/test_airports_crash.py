"""28,000 real airports, loaded by the clients that people have, through three SIGKILLs.

Four writers load at once: two `nexaclient` 3.0.0 with BATCH_WRITE, a `nexadb` 1.1.0 with CREATE under the caller's `_id`, and one with ids
that the node makes. The node dies three times: when the writers together have seen the n-th acknowledgement, n from the seed, while
the others are in mid-request. After each restart everything acknowledged must be there and equal, each batch whole or absent, and
nothing may be there that was not sent. Loading then goes on where it stopped, to the last airport.
"""
import queue
import random
import threading

import airportsdata
import pytest
from nexaclient import NexaClient as Three
from nexadb import NexaClient as One

from rig import oracle

KILLS = 3


class Task:
    """One request's documents, its fate as its client saw it, and the ids that were acknowledged."""

    def __init__(self, kind: str, documents: list[dict]):
        self.kind, self.documents = kind, documents
        self.ids: list[str] | None = None

    def send(self, batcher: Three, creator: One):
        if self.kind == "batch":
            answer = batcher.batch_write("airports", self.documents)
            assert answer["count"] == len(self.documents)
            self.ids = answer["document_ids"]
        else:
            self.ids = [creator.create("airports", self.documents[0])["document_id"]]

    @property
    def codes(self):
        return [d["icao"] for d in self.documents]


def make_tasks(rng: random.Random) -> list[Task]:
    """Every airport in one task: most in batches of 20 to 150, one in eight alone under its own key, one in sixteen under a made id."""
    tasks, batch = [], []
    for code, airport in airportsdata.load("ICAO").items():
        draw = rng.random()
        if draw < 1 / 16:
            tasks.append(Task("made id", [airport]))
        elif draw < 3 / 16:
            tasks.append(Task("own id", [{"_id": code, **airport}]))
        else:
            batch.append({"_id": code, **airport})
            if len(batch) >= rng.randrange(20, 150):
                tasks.append(Task("batch", batch))
                batch = []
    if batch:
        tasks.append(Task("batch", batch))
    rng.shuffle(tasks)
    return tasks


class Loader:
    """Four threads that work through the tasks until they are done or the node is gone."""

    def __init__(self, node, tasks: list[Task], kill_at: int | None):
        self.node, self.kill_at, self.lock, self.acknowledged = node, kill_at, threading.Lock(), 0
        self.queues = {"batch": queue.SimpleQueue(), "own id": queue.SimpleQueue(), "made id": queue.SimpleQueue()}
        for task in tasks:
            self.queues[task.kind].put(task)
        self.wrong: list[str] = []

    def run(self):
        threads = [threading.Thread(target=self.work, args=(kind,), daemon=True) for kind in ("batch", "batch", "own id", "made id")]
        [t.start() for t in threads]
        [t.join(120) for t in threads]
        assert not any(t.is_alive() for t in threads), "a client hangs"
        assert not self.wrong, self.wrong

    def work(self, kind: str):
        try:
            with Three(host="127.0.0.1", port=self.node.port) as batcher, One(host="127.0.0.1", port=self.node.port) as creator:
                while True:
                    try:
                        task = self.queues[kind].get_nowait()
                    except queue.Empty:
                        return
                    task.send(batcher, creator)
                    with self.lock:
                        self.acknowledged += len(task.documents)
                        now = self.kill_at is not None and self.acknowledged >= self.kill_at
                        if now:
                            self.kill_at = None
                    if now:
                        self.node.kill()
        except (ConnectionError, OSError):
            return
        except Exception as refused:
            self.wrong.append(f"{kind}: {refused}")


def find_all(node) -> list[dict]:
    with Three(host="127.0.0.1", port=node.port) as db:
        return db.query("airports", {}, limit=1_000_000)


def judge(found: list[dict], tasks: list[Task]) -> int:
    """Checks everything that the contract says; returns how many unacknowledged documents survived, and settles those tasks."""
    by_id = {d["_id"]: d for d in found}
    assert len(by_id) == len(found), "an id came twice"
    by_code: dict[str, list[dict]] = {}
    for document in found:
        by_code.setdefault(document["icao"], []).append(document)
    known = {airport["icao"]: airport for task in tasks for airport in task.documents}
    assert set(by_code) <= set(known), "invented"
    for code, documents in by_code.items():
        assert len(documents) == 1, f"{code} is there {len(documents)} times"
        content = {k: v for k, v in documents[0].items() if k not in ("_id", "_created_at", "_updated_at")}
        assert content == {k: v for k, v in known[code].items() if k != "_id"}, f"{code} differs"
    survived = 0
    for task in tasks:
        if task.ids is not None:
            for key, code in zip(task.ids, task.codes, strict=True):
                assert key in by_id, f"acknowledged {key} is lost"
                assert by_id[key]["icao"] == code, f"{key} holds another document"
    halves = oracle.batches_in_part([t.codes for t in tasks if t.kind == "batch"], set(by_code))
    assert not halves, f"{len(halves)} batches are there in part, e.g. {halves[0][:5]}"
    for task in tasks:
        if task.ids is None and task.codes[0] in by_code:
            task.ids = [by_code[code][0]["_id"] for code in task.codes]
            survived += len(task.ids)
    return survived


def test_airports_survive_three_kills(make_node, rng, report):
    tasks = make_tasks(rng)
    total = sum(len(t.documents) for t in tasks)
    assert total > 28_000
    node = make_node().start()
    acknowledged = 0
    for kill in range(KILLS):
        left = [t for t in tasks if t.ids is None]
        # A share of what is left, so that enough always remains for the kills to come, however the dice fall.
        share = sum(len(t.documents) for t in left) // (KILLS + 1 - kill)
        loader = Loader(node, left, kill_at=max(1, share + rng.randrange(-share // 2, share // 2)))
        loader.run()
        assert not node.alive, "the node was to be killed in the middle"
        acknowledged = sum(len(t.ids) for t in tasks if t.ids)
        node.start()
        found = find_all(node)
        survived = judge(found, tasks)
        report(f"airports, kill {kill + 1}: {acknowledged} acknowledged so far, {len(found)} found equal, 0 lost, "
               f"{survived} of those in flight survived whole, 0 half batches, 0 invented")
    Loader(node, [t for t in tasks if t.ids is None], kill_at=None).run()
    found = find_all(node)
    judge(found, tasks)
    assert len(found) == total and all(t.ids for t in tasks)
    assert node.stop() == 0
    node.start()
    assert find_all(node) == found, "a clean restart changes nothing"
    report(f"airports: {len(found)} of {total} found after {KILLS} kills and a clean restart")


# The judge itself: each planted fault must be seen.


def judged(change):
    tasks = [Task("batch", [{"_id": c, "icao": c, "n": n} for n, c in enumerate(("AAAA", "BBBB", "CCCC"))]),
             Task("own id", [{"_id": "DDDD", "icao": "DDDD"}]), Task("made id", [{"icao": "EEEE"}]),
             Task("batch", [{"_id": c, "icao": c} for c in ("FFFF", "GGGG")])]
    tasks[0].ids, tasks[1].ids, tasks[2].ids = ["AAAA", "BBBB", "CCCC"], ["DDDD"], ["made-1"]
    found = [dict(d) for d in tasks[0].documents + tasks[1].documents] + [{"_id": "made-1", "icao": "EEEE"}]
    change(found)
    return judge(found, tasks)


def test_judge_accepts_what_is_right():
    assert judged(lambda found: None) == 0
    assert judged(lambda found: found.extend([{"_id": "FFFF", "icao": "FFFF"}, {"_id": "GGGG", "icao": "GGGG"}])) == 2


@pytest.mark.parametrize("fault", [
    lambda found: found.pop(3), lambda found: found.pop(), lambda found: found.pop(0), lambda found: found[1].update(n=9),
    lambda found: found.append({"_id": "FFFF", "icao": "FFFF"}), lambda found: found.append({"_id": "ZZZZ", "icao": "ZZZZ"}),
    lambda found: found.append({"_id": "again", "icao": "EEEE"}), lambda found: found[0].pop("n"),
], ids=["lost create", "lost made id", "lost of a batch", "changed", "half a batch", "invented", "twice", "field lost"])
def test_judge_rejects_planted_faults(fault):
    with pytest.raises(AssertionError):
        judged(fault)

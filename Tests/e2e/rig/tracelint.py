"""A durability lint over a strace log: what the node did to its files, against what it told its clients, in the order of the kernel's stops.

    strace -f -y -s 1000000 -e trace=... -o LOG nexadb serve ...

Rules, each a function that returns the violations that it finds:

    answers   an answer may leave only after a sync that began when its record was already written, and has succeeded; and after the
              sync of the directory that its log file was created in. Records and answers are found by a marker text in the document
    renames   what is renamed into place was synced before
    removals  before a thread unlinks anything, whatever it created or renamed into that directory before has been made to last
    editions  before a thread writes to the manifest, the bytes and the entries of the files that it made before have been made to last
    retries   a file whose sync failed is never synced, nor written, again
    leftovers at a clean end no file has unsynced bytes and no directory unsynced entries (the manifest's last mark is evidence about
              what lies before it, not data: it may be lost, so it is not synced)

Real file systems forgive a missing directory sync (ext4 and XFS did in every simulated power cut we know of); this lint does not.
"""
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

TRACED = ("openat,open,creat,mkdir,mkdirat,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,rename,renameat,renameat2,"
          "link,linkat,unlink,unlinkat,ftruncate,fallocate")
WRITES = {"write", "pwrite64", "writev", "pwritev", "pwritev2"}
SENDS = WRITES | {"sendto", "sendmsg"}
SYNCS = {"fsync", "fdatasync"}


@dataclass
class Call:
    """One system call: its thread, the log lines where it began and ended, its name, its arguments as text, its result."""
    thread: str
    begin: int
    end: int
    name: str
    arguments: str
    result: int

    @property
    def ok(self):
        return self.result >= 0

    @property
    def path(self):
        """The path that strace -y shows for the first descriptor."""
        found = re.match(r"\d+<([^>]*)>", self.arguments)
        return found[1] if found else ""

    @property
    def named(self):
        """The paths given as text, made absolute with the directory descriptor's path where strace shows it."""
        pairs = re.findall(r'(?:<([^>]*)>, )?"((?:[^"\\]|\\.)*)"', self.arguments)
        return [p if p.startswith("/") else f"{base}/{p}" for base, p in pairs]


def is_manifest(path: str) -> bool:
    return PurePosixPath(path).name.startswith("MANIFEST")


def parse(log: str) -> list[Call]:
    """The finished calls in the order in which they began."""
    calls, pending = [], {}
    for number, line in enumerate(log.splitlines()):
        thread, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            pending[thread] = (number, text[:-len("<unfinished ...>")])
            continue
        begin = number
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", text):
            if thread not in pending:
                continue
            begin, head = pending.pop(thread)
            text = head + resumed[1]
        whole = re.match(r"(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+|\?)", text, re.S)
        if whole and whole[3] != "?":
            calls.append(Call(thread, begin, number, whole[1], whole[2], int(whole[3], 0)))
    calls.sort(key=lambda c: c.begin)
    return calls


class Trace:
    def __init__(self, log: str, data: str, existing: set[str] = frozenset()):
        """`existing`: the files that were there before the trace began, whose entries no open can create."""
        self.calls, self.data, self.existing = parse(log), data.rstrip("/"), existing

    def inside(self, path: str) -> bool:
        """Whether a path is one of the node's files; a lock file's bytes say nothing to a later process."""
        return (path == self.data or path.startswith(self.data + "/")) and not path.endswith("/LOCK")

    def created(self, call: Call) -> str | None:
        """The path whose directory entry this call made, if it is one of ours."""
        if not call.ok:
            return None
        path = None
        if call.name in ("openat", "open", "creat") and ("O_CREAT" in call.arguments or call.name == "creat"):
            path = call.named[0]
        elif call.name in ("mkdir", "mkdirat"):
            path = call.named[0]
        elif call.name.startswith(("rename", "link")):
            path = call.named[1]
        return path if path and self.inside(path) and path not in self.existing else None

    def synced_between(self, path: str, after: int, before: int) -> bool:
        """Whether a sync of `path` began after line `after` and had succeeded by line `before`."""
        return any(c.name in SYNCS and c.ok and c.path == path and after <= c.begin and c.end <= before for c in self.calls)

    def check_answers(self, markers: list[str]) -> list[str]:
        wrong, records, answers, births = [], {}, {}, {}
        wanted = re.compile("|".join(map(re.escape, markers)))
        for call in self.calls:
            if path := self.created(call):
                births.setdefault(path, call)
            if call.name in SENDS and '"' in call.arguments:
                target = answers if "socket:" in call.path or "TCP:" in call.path else records if self.inside(call.path) else None
                for marker in wanted.findall(call.arguments) if target is not None else []:
                    target.setdefault(marker, call)
        for marker in markers:
            record, answer = records.get(marker), answers.get(marker)
            if answer is None:
                wrong.append(f"{marker}: no answer seen in the trace")
            elif record is None:
                wrong.append(f"{marker}: answered, but never written to a file")
            else:
                if not self.synced_between(record.path, record.end, answer.begin):
                    wrong.append(f"{marker}: answered at line {answer.begin} before a sync of {record.path} covered line {record.end}")
                birth = births.get(record.path)
                if birth and not self.synced_between(str(PurePosixPath(record.path).parent), birth.end, answer.begin):
                    wrong.append(f"{marker}: answered at line {answer.begin} while the entry of {record.path} was not synced")
        return wrong

    def check_files(self, clean_end: bool = True) -> list[str]:
        """Renames, removals, editions and leftovers."""
        wrong, dirty, entries, authors = [], {}, {}, {}

        def unsynced(thread: str, line: int, among: dict) -> list[str]:
            return [p for p in among if authors.get(p) == thread and among[p] < line]

        for call in sorted(self.calls, key=lambda c: c.begin if c.name in WRITES else c.end):
            if not call.ok:
                continue
            if call.name in WRITES | {"ftruncate"} and self.inside(call.path):
                if is_manifest(call.path) and authors.get(call.path) is None:
                    for path in unsynced(call.thread, call.begin, entries):
                        wrong.append(f"line {call.begin}: the manifest is written while the entry of {path} is not synced")
                    for path in unsynced(call.thread, call.begin, dirty):
                        wrong.append(f"line {call.begin}: the manifest is written while {path} has unsynced bytes")
                dirty[call.path] = call.end
            elif call.name in SYNCS:
                if dirty.get(call.path, call.begin) <= call.begin:
                    dirty.pop(call.path, None)
                entries = {p: line for p, line in entries.items()
                           if str(PurePosixPath(p).parent) != call.path or line > call.begin}
                if is_manifest(call.path):
                    authors.pop(call.path, None)
            elif path := self.created(call):
                if call.name.startswith("rename"):
                    source = call.named[0]
                    if source in dirty:
                        wrong.append(f"line {call.end}: {source} renamed with unsynced bytes")
                        dirty[path] = dirty.pop(source)
                    entries.pop(source, None)
                    entries[path], authors[path] = call.end, call.thread
                elif not call.name.startswith("open") or path not in self.known_before(call):
                    entries[path], authors[path] = call.end, call.thread
            elif call.name.startswith("unlink") and call.named and self.inside(call.named[0]):
                gone = call.named[0]
                dirty.pop(gone, None)
                entries.pop(gone, None)
                lost = [p for p in unsynced(call.thread, call.begin, entries) if PurePosixPath(p).parent == PurePosixPath(gone).parent]
                if lost:
                    wrong.append(f"line {call.begin}: {gone} removed while the entry of {lost[0]} was not synced")
        if clean_end:
            wrong += [f"end: {path} has bytes of line {line} that were never synced" for path, line in dirty.items() if not is_manifest(path)]
            wrong += [f"end: the entry of {path} (line {line}) was never synced" for path, line in entries.items()]
        return wrong

    def known_before(self, call: Call) -> set[str]:
        """Paths that an earlier open or creation has already shown to exist."""
        return {c.named[0] for c in self.calls if c.end < call.begin and c.ok and c.name.startswith("open") and c.named}

    def check_retries(self) -> list[str]:
        wrong, failed = [], {}
        for call in self.calls:
            if call.path in failed and call.begin > failed[call.path] and call.name in SYNCS | WRITES:
                wrong.append(f"line {call.begin}: {call.name} of {call.path} after its sync had failed at line {failed[call.path]}")
            if call.name in SYNCS and not call.ok and self.inside(call.path):
                failed.setdefault(call.path, call.end)
        return wrong

/// A few threads for work that must not run on an event loop: scans, searches, large batches and reads that touch the disk.
///
/// Each thread owns one `Worker` (for the server: a `DocumentWorker` with its reader and scratch memory), so a job never
/// shares state with another job that runs at the same time. The queue is bounded; `submit` refuses when it is full and
/// the caller answers OVERLOADED. Jobs start in the order of submission.
///
/// Cost: one lock and one wake-up a job, about 10-50 us; nothing that is answered from memory comes here.

import Glibc
import NexaStorage
import Synchronization

package final class WorkPool<Worker>: Sendable {
    package typealias Job = @Sendable (Worker) -> Void

    private struct Queue {
        var jobs: [Job?] = []
        var head = 0
        var isStopping = false
    }

    private let condition = NexaCondition()
    nonisolated(unsafe) private var queue = Queue()  // guarded by `condition`
    nonisolated(unsafe) private var threads: [pthread_t] = []  // written in init and stop only
    private let capacity: Int
    package let threadCount: Int
    private let busy = Atomic<Int>(0)
    private let queued = Atomic<Int>(0)

    /// - Parameter makeWorker: called once on each thread, before its first job.
    package init(threadCount: Int, capacity: Int, makeWorker: @escaping @Sendable () -> Worker) {
        precondition(threadCount > 0 && capacity > 0)
        self.capacity = capacity
        self.threadCount = threadCount
        for _ in 0..<threadCount {
            let start = Unmanaged.passRetained(ThreadStart { self.run(makeWorker()) })
            var thread = pthread_t()
            let status = pthread_create(
                &thread, nil,
                { argument in
                    let start = Unmanaged<ThreadStart>.fromOpaque(argument!).takeRetainedValue()
                    start.body()
                    return nil
                }, start.toOpaque())
            precondition(status == 0, "pthread_create failed with \(status)")
            threads.append(thread)
        }
    }

    /// Jobs waiting for a thread.
    package var queuedCount: Int { queued.load(ordering: .relaxed) }
    /// Threads at work.
    package var busyCount: Int { busy.load(ordering: .relaxed) }

    /// Queues `job`. False when the queue is full or the pool has stopped: the job will not run.
    package func submit(_ job: @escaping Job) -> Bool {
        let accepted = condition.withLock {
            guard !queue.isStopping, queue.jobs.count - queue.head < capacity else { return false }
            queue.jobs.append(job)
            queued.wrappingAdd(1, ordering: .relaxed)
            return true
        }
        if accepted { condition.signal() }
        return accepted
    }

    /// Runs what is queued, then ends the threads. Blocks; call it once, from none of them.
    package func stop() {
        condition.withLock { queue.isStopping = true }
        condition.broadcast()
        for thread in threads { pthread_join(thread, nil) }
        threads.removeAll()
    }

    private func run(_ worker: Worker) {
        while let job = next() {
            busy.wrappingAdd(1, ordering: .relaxed)
            job(worker)
            busy.wrappingSubtract(1, ordering: .relaxed)
        }
    }

    private func next() -> Job? {
        condition.lock()
        defer { condition.unlock() }
        while queue.head == queue.jobs.count {
            if queue.isStopping { return nil }
            condition.wait()
        }
        let job = queue.jobs[queue.head]
        queue.jobs[queue.head] = nil
        queue.head += 1
        // Slots are given back in blocks, so that taking a job costs no shift of the others.
        if queue.head == queue.jobs.count || queue.head >= 1_024 {
            queue.jobs.removeFirst(queue.head)
            queue.head = 0
        }
        queued.wrappingSubtract(1, ordering: .relaxed)
        return job
    }
}

/// What a new thread is told.
private final class ThreadStart: Sendable {
    let body: @Sendable () -> Void

    init(body: @escaping @Sendable () -> Void) { self.body = body }
}

import NexaServer
import NexaStorage
import Synchronization
import Testing

@Suite struct WorkPoolTests {
    @Test func everyAcceptedJobRunsAndEachThreadHasOneWorker() {
        let workers = Atomic<Int>(0)
        let sum = Atomic<Int>(0)
        let pool = WorkPool<Int>(threadCount: 3, capacity: 10_000) {
            workers.wrappingAdd(1, ordering: .relaxed).newValue
        }
        for index in 1...5_000 { #expect(pool.submit { _ in sum.wrappingAdd(index, ordering: .relaxed) }) }
        pool.stop()
        #expect(sum.load(ordering: .relaxed) == 5_000 * 5_001 / 2)
        #expect(workers.load(ordering: .relaxed) == 3)
    }

    @Test func aFullQueueRefusesInsteadOfGrowing() {
        let pool = WorkPool<Void>(threadCount: 1, capacity: 2) {}
        let gate = NexaLock()
        let started = Atomic<Bool>(false)
        gate.lock()
        #expect(
            pool.submit { _ in
                started.store(true, ordering: .releasing)
                gate.withLock {}
            })
        while !started.load(ordering: .acquiring) {}
        #expect(pool.submit { _ in })
        #expect(pool.submit { _ in })
        #expect(!pool.submit { _ in })
        gate.unlock()
        pool.stop()
        #expect(!pool.submit { _ in })
    }

    @Test func oneThreadKeepsTheOrderOfSubmission() {
        let pool = WorkPool<Void>(threadCount: 1, capacity: 10_000) {}
        let last = Atomic<Int>(0)
        let inOrder = Atomic<Bool>(true)
        for index in 1...3_000 {
            _ = pool.submit { _ in
                if last.exchange(index, ordering: .relaxed) != index - 1 { inOrder.store(false, ordering: .relaxed) }
            }
        }
        pool.stop()
        #expect(inOrder.load(ordering: .relaxed) == true)
        #expect(last.load(ordering: .relaxed) == 3_000)
    }
}

@Suite struct FlushPolicyTests {
    @Test func fewCommitsAreSyncedInlineAndManyByTheLogThread() {
        let policy = FlushPolicy(inlineCommitCountMax: 8)
        #expect(policy.choose(commitCount: 1) == .inline)
        #expect(policy.choose(commitCount: 8) == .inline)
        #expect(policy.choose(commitCount: 9) == .logThread)
    }
}

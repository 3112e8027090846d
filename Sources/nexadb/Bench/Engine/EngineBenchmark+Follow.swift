import Glibc
import NexaStorage

/// What following costs: the same writes by a leader that commits them one by one and by a follower that takes their records. Processor
/// time of the one thread that does it, log writes included, background threads not.
extension EngineBenchmark {
    /// Records that travel together, as in a frame between nodes.
    private static let shipmentByteCount = 256 << 10

    func follow() throws -> BenchmarkTally {
        let directory = configuration.directory + ".follower"
        try Self.removeStore(directory)
        var options = Self.options(configuration)
        options.follows = true
        let follower = try Engine.open(directory: directory, fileSystem: PosixFileSystem(), options: options)
        engine.setRetention("bench", oldestNeededLSN: engine.reservedLSN + 1)
        // The follower begins where the leader is: its log is empty, so the leader's must be, too.
        guard engine.reservedLSN == 0 else { throw EngineBenchmarkError.notEmpty }
        let start = threadSeconds()
        var tally = try fill(0, isRandom: true)
        let leaderSeconds = threadSeconds() - start
        try engine.waitDurable(engine.reservedLSN)
        engine.stepIdleLog()

        let tail = engine.tail(from: 1)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.shipmentByteCount, alignment: 16)
        defer { buffer.deallocate() }
        var (shipSeconds, appendSeconds) = (0.0, 0.0)
        while true {
            let shipStart = threadSeconds()
            guard case .records(let shipment) = try tail.fill(buffer, upTo: engine.durableLSN) else { break }
            let appendStart = threadSeconds()
            _ = try follower.appendReplicated(
                UnsafeRawBufferPointer(rebasing: buffer[..<shipment.byteCount]), previousChain: shipment.previousChain)
            follower.flushLogInline()
            appendSeconds += threadSeconds() - appendStart
            shipSeconds += appendStart - shipStart
        }
        try follower.waitDurable(follower.reservedLSN)
        guard follower.durablePoint == engine.durablePoint else { throw EngineBenchmarkError.diverged }
        engine.dropRetention("bench")
        try follower.close()
        func nanoseconds(_ seconds: Double) -> Int { Int(seconds * 1e9 / Double(max(tally.operationCount, 1))) }
        tally.remark =
            "(ns of processor a write: commit \(nanoseconds(leaderSeconds)), ship \(nanoseconds(shipSeconds)), "
            + "follow \(nanoseconds(appendSeconds)))"
        return tally
    }

    private func threadSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}

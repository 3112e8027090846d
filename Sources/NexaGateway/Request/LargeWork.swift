/// Work on many bytes leaves the event loop, which has other connections to serve: JSON of 16 MB takes it a good part of a second. The
/// connection that asked waits meanwhile, so the order of its requests and what it may hold stay as they are.

import HummingbirdCore

extension Exchange {
    /// Below so many bytes the work takes less than a millisecond, and the way to another thread and back is not worth it.
    private static let largeByteCount = 64 << 10

    /// Does `work` on `byteCount` bytes: here if they are few, else on the threads that Swift keeps for tasks, as many as there are cores.
    func work<Result>(on byteCount: Int, _ work: () throws(Problem) -> Result) async throws(Problem) -> Result {
        if byteCount < Self.largeByteCount { return try work() }
        return try await withTaskExecutorPreference(globalConcurrentExecutor) { () async throws(Problem) -> Result in try work() }
    }
}

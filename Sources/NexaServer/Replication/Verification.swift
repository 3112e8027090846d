// One VERIFY under way: first it waits until the LSN is visible and pins exactly that one, then it hashes in slices on the snapshot thread,
// which serves followers' snapshots in between. What is not sent yet is bounded: with too many frames untaken it pauses.
//
//     waiting --(visible, pinned)--> walking: slice, slice, ... --> done            ends with its connection, or after `lifetime`
//
// The state is confined to the replication loop; a slice owns the walk while it runs, and only one runs at a time.

import NIOCore
import NexaDocuments
import NexaReplication
import NexaStorage
import Synchronization

final class Verification {
    /// Two thousand documents or one megabyte: a few milliseconds.
    static let sliceEntryCount = 2048
    static let sliceByteCount: UInt64 = 1 << 20
    /// Frames that the administrator has not taken.
    static let untakenCountMax = 16
    /// A snapshot keeps compactions from dropping what it shows.
    static let lifetime: Microseconds = 3_600_000_000
    static let countMax = 2

    let connection: ReplicationConnection
    let lsn: LSN
    let deadline: Microseconds
    /// Read by the slices, set once by the loop.
    let isCancelled = CancelFlag()
    var hasBegun = false
    var untakenCount = 0
    var lastWord: Microseconds = 0

    init(_ connection: ReplicationConnection, lsn: LSN, deadline: Microseconds) {
        self.connection = connection
        self.lsn = lsn
        self.deadline = deadline
    }
}

/// Told once, read from another thread.
final class CancelFlag: Sendable {
    private let flag = Atomic<Bool>(false)
    var isSet: Bool { flag.load(ordering: .acquiring) }
    func set() { flag.store(true, ordering: .releasing) }
}

/// Hands the walk from slice to slice: the thread that runs them is one, and the next begins after the last has ended.
private struct WalkInTransit: @unchecked Sendable {
    let walk: ContentWalk
}

/// What a slice found.
private struct SliceResult: Sendable {
    var parts: [ContentWalk.Part] = []
    var entryCount: UInt64 = 0
    var byteCount: UInt64 = 0
    var isDone = false
    var failure: String?
}

extension ReplicationShell {
    func verify(_ request: Verify, from connection: ReplicationConnection) {
        guard verifications.count < Verification.countMax, !verifications.contains(where: { $0.connection === connection }) else {
            let progress = VerifyReply(
                .failed, lsn: request.lsn ?? 0, reason: "this node is being verified already", mayTryAgain: true)
            return connection.send(.verifyProgress(progress))
        }
        let verification = Verification(
            connection, lsn: request.lsn ?? engine.visibleLSN, deadline: Self.now() + request.wait)
        verifications.append(verification)
        beginIfVisible(verification)
    }

    /// News of the log, and time.
    func stepVerifications() {
        for verification in verifications where !verification.hasBegun { beginIfVisible(verification) }
    }

    private func beginIfVisible(_ verification: Verification) {
        let visible = engine.visibleLSN
        guard visible >= verification.lsn else {
            if Self.now() >= verification.deadline {
                fail(verification, "it shows LSN \(visible), and does not come to \(verification.lsn) in time")
            }
            return
        }
        guard let snapshot = engine.makeSnapshot(at: verification.lsn) else {
            return fail(verification, "it does not have the state at LSN \(verification.lsn) any more", mayTryAgain: true)
        }
        verification.hasBegun = true
        verification.lastWord = Self.now()
        let epoch = node.log.history.position(at: verification.lsn).epoch
        let chain = verification.lsn == 0 ? nil : (try? engine.chain(at: verification.lsn)) ?? nil
        say(VerifyReply(.pinned, lsn: verification.lsn, epoch: epoch, chain: chain), verification)
        slice(WalkInTransit(walk: ContentWalk(engine, at: snapshot)), verification)
    }

    private func slice(_ transit: WalkInTransit, _ verification: Verification) {
        let isCancelled = verification.isCancelled
        let (eventLoop, bound) = (eventLoop, NIOLoopBound((self, verification), eventLoop: eventLoop))
        snapshotThread.submit(
            .call {
                guard !isCancelled.isSet else { return }
                var result = SliceResult()
                do {
                    result.parts = try transit.walk.step(
                        entryCountMax: Verification.sliceEntryCount, byteCountMax: Verification.sliceByteCount)
                } catch {
                    result.failure = "\(error)"
                }
                result.entryCount = transit.walk.entryCount
                result.byteCount = transit.walk.byteCount
                result.isDone = transit.walk.isDone
                eventLoop.execute { [result] in
                    let (shell, verification) = bound.value
                    shell.took(result, transit, verification)
                }
            })
    }

    private func took(_ result: SliceResult, _ transit: WalkInTransit, _ verification: Verification) {
        guard !verification.isCancelled.isSet else { return }
        if let failure = result.failure { return fail(verification, failure) }
        for start in stride(from: 0, to: result.parts.count, by: VerifyReply.collectionCountMax) {
            let page = result.parts[start..<min(start + VerifyReply.collectionCountMax, result.parts.count)]
            say(
                VerifyReply(
                    .collections, lsn: verification.lsn,
                    collections: page.map {
                        VerifyReply.Collection(id: UInt64($0.id), database: $0.database, name: $0.name, hash: $0.hash)
                    }), verification)
        }
        let now = Self.now()
        if result.isDone {
            say(
                VerifyReply(.done, lsn: verification.lsn, entryCount: result.entryCount, byteCount: result.byteCount),
                verification)
            return end(verification)
        }
        guard now < verification.deadline + Verification.lifetime else { return fail(verification, "it takes too long") }
        if now - verification.lastWord > 1_000_000, verification.untakenCount == 0 {
            say(
                VerifyReply(.hashing, lsn: verification.lsn, entryCount: result.entryCount, byteCount: result.byteCount),
                verification)
        }
        guard verification.untakenCount < Verification.untakenCountMax else {
            let (eventLoop, bound) = (eventLoop, NIOLoopBound((self, verification), eventLoop: eventLoop))
            eventLoop.scheduleTask(in: .milliseconds(20)) {
                let (shell, verification) = bound.value
                shell.took(SliceResult(entryCount: result.entryCount, byteCount: result.byteCount), transit, verification)
            }
            return
        }
        slice(transit, verification)
    }

    private func say(_ progress: VerifyReply, _ verification: Verification) {
        verification.lastWord = Self.now()
        verification.untakenCount += 1
        let bound = NIOLoopBound(verification, eventLoop: eventLoop)
        verification.connection.send(.verifyProgress(progress)) { bound.value.untakenCount -= 1 }
    }

    private func fail(_ verification: Verification, _ reason: String, mayTryAgain: Bool = false) {
        say(VerifyReply(.failed, lsn: verification.lsn, reason: reason, mayTryAgain: mayTryAgain), verification)
        end(verification)
    }

    private func end(_ verification: Verification) {
        verification.isCancelled.set()
        verifications.removeAll { $0 === verification }
    }

    func endVerifications(of connection: ReplicationConnection? = nil) {
        for verification in verifications where connection == nil || verification.connection === connection { end(verification) }
    }
}

import Glibc
import NexaBlockingClient
import NexaStorage
import NexaWire

/// How far an import is.
package struct ImportProgress: Sendable {
    package var counts: ImportCounts
    package var bytesDone: UInt64
    /// nil of a pipe.
    package var bytesTotal: UInt64?
    /// Since this run began.
    package var elapsed: Duration
    /// What earlier runs had done.
    package var countsBefore: ImportCounts
    package var bytesBefore: UInt64

    /// Documents that came to something in this run.
    package var documentsThisRun: UInt64 {
        counts.written + counts.present + counts.rejected - countsBefore.written - countsBefore.present - countsBefore.rejected
    }
}

/// What an import, or the part of it that this run did, came to.
package struct ImportSummary: Sendable {
    package enum End: Sendable {
        /// The whole input is in.
        case complete
        /// It was told to stop.
        case stopped
        case failed(TransferError)
    }

    package var end: End
    package var progress: ImportProgress
    /// The first few records that were refused in this run.
    package var rejects: [Reject]
    /// It can go on where it stands.
    package var isResumable: Bool
}

/// An import from the opening of its input to its summary: reads and cuts on the calling thread, parses and sends on others.
package final class Importer {
    /// The position is written down so often, and at least when so many batches may have been sent since.
    private static let recordNanoseconds: UInt64 = 200_000_000
    private static let leaseBatchCount: UInt64 = 1_024
    private static let tickNanoseconds: UInt64 = 100_000_000

    private let plan: ImportPlan
    private let endpoint: Endpoint
    private let options: ClientConnection.Options
    private let isDryRun: Bool

    private let source: BatchSource
    private let stateFile: StateFile?
    private var state: ImportState
    /// Batches before this one may have been sent by an earlier run.
    private let doubtful: UInt64
    /// What an earlier run of the same import had done; nil: this one begins it.
    package let resumed: ImportPosition?
    private let countsBefore: ImportCounts
    private let exchange: ImportExchange
    /// When, and where, this run began.
    private let began: (time: ContinuousClock.Instant, position: ImportPosition)
    private var lastRecorded = ContinuousClock.now

    /// Opens the input, and finds out whether an earlier run is to be taken up.
    package init(
        _ plan: ImportPlan, _ endpoint: Endpoint, _ options: ClientConnection.Options, isDryRun: Bool = false
    ) throws(TransferError) {
        var options = options
        options.dialect = "envelope"
        options.features = ["op_id"]
        self.plan = plan
        self.endpoint = endpoint
        self.options = options
        self.isDryRun = isDryRun
        source = try BatchSource(plan.input, limits: plan.limits)
        stateFile = isDryRun ? nil : try Self.stateFile(plan, source)
        let earlier = try stateFile?.read(forgetting: plan.startsAgain)
        if let earlier, let objection = earlier.objection(source.identity, plan.fixedSettings) {
            throw .unusable("\(plan.statePath ?? ""): \(objection); --restart begins anew")
        }
        let settings = Dictionary(uniqueKeysWithValues: plan.fixedSettings.map { ($0.name, $0.value) })
        let begun = ImportState(
            id: ImportID(), input: source.identity, settings: settings, position: source.position,
            mayBeSent: source.position.batch)
        state = earlier ?? begun
        resumed = earlier?.position
        doubtful = state.mayBeSent
        countsBefore = state.counts
        try source.resume(at: state.position)
        began = (.now, state.position)
        let rejects = isDryRun ? nil : try Self.rejectsFile(plan, source, stateFile, earlier)
        exchange = ImportExchange(
            batchCount: plan.connections * 4 + 2, ledger: ImportLedger(position: state.position, counts: state.counts),
            rejects: rejects, keepsOnError: plan.onError == .continue || isDryRun)
    }

    private static func stateFile(_ plan: ImportPlan, _ source: BatchSource) throws(TransferError) -> StateFile? {
        guard let path = plan.statePath else { return nil }
        return try StateFile(path: path, input: source.file)
    }

    private static func rejectsFile(
        _ plan: ImportPlan, _ source: BatchSource, _ stateFile: StateFile?, _ earlier: ImportState?
    ) throws(TransferError) -> RejectsFile? {
        guard let path = plan.rejectsPath else { return nil }
        return try RejectsFile(
            path: path, input: plan.input, columns: source.columns, taken: [source.file, stateFile?.identity].compactMap { $0 },
            earlier: earlier?.rejects)
    }

    /// Imports until the end of the input, a failure, or `tick` says false. `tick` is called ten times a second.
    package func run(_ tick: (ImportProgress) -> Bool) throws(TransferError) -> ImportSummary {
        var leader = endpoint
        if !isDryRun {
            leader = try greet()
            try record(sending: max(state.mayBeSent, state.position.batch + Self.leaseBatchCount))
        }
        let threads = startSenders(leader)
        var failure: TransferError?
        var reachedEnd = false
        do throws(TransferError) { reachedEnd = try read(tick) } catch { failure = error }
        exchange.close()
        while !exchange.isDone(nanoseconds: Self.tickNanoseconds) {
            if !report(tick) { exchange.stop() }
        }
        for thread in threads { thread.join() }
        failure = exchange.firstFailure ?? failure
        let progress = try progress()
        let position = try exchange.standing(syncing: false).0
        let isWhole = reachedEnd && failure == nil && position == source.position
        // Where nothing was done there is nothing to go on from.
        let isUntouched = resumed == nil && position == began.position && !exchange.mayHaveWritten
        var isResumable = stateFile != nil && !isWhole && !isUntouched
        do throws(TransferError) {
            if isResumable { try record(sending: state.mayBeSent) } else { try forget() }
        } catch {
            failure = failure ?? error
            isResumable = stateFile != nil
        }
        return ImportSummary(
            end: failure.map { .failed($0) } ?? (isWhole ? .complete : .stopped), progress: progress,
            rejects: exchange.sampledRejects, isResumable: isResumable)
    }

    /// There is nothing to go on with: the rejects are on disk, if all is in, and the state is not needed.
    private func forget() throws(TransferError) {
        _ = try exchange.standing(syncing: true)
        stateFile?.remove()
    }

    /// Finds out at once, and not after a minute of retries, whether there is a node; makes room where that was asked for.
    /// Gives the node that takes writes, as far as it is known.
    private func greet() throws(TransferError) -> Endpoint {
        do throws(ClientError) {
            let connection = try ClientConnection.open(endpoint, options)
            let leader = connection.serverInfo["leader"]?.stringValue.flatMap { Endpoint(parsing: $0) } ?? endpoint
            if plan.dropsCollection && resumed == nil {
                try drop(leader == endpoint ? connection : ClientConnection.open(leader, options))
            }
            return leader
        } catch {
            throw .client(error)
        }
    }

    private func drop(_ connection: ClientConnection) throws(ClientError) {
        let target: MessagePackValue = ["database": .string(plan.database), "collection": .string(plan.collection)]
        do throws(ClientError) {
            _ = try connection.request(.dropCollection, target)
        } catch {
            if case .refused(let refusal) = error, ["NO_SUCH_COLLECTION", "NO_SUCH_DATABASE"].contains(refusal.code) { return }
            throw error
        }
    }

    private func startSenders(_ leader: Endpoint) -> [NexaThread] {
        let columns = source.columns
        let id = state.id
        return (0..<plan.connections).map { _ in
            exchange.enter()
            return NexaThread(name: "import") { [plan, exchange, endpoint, options, isDryRun] in
                if isDryRun {
                    DryRun(plan, columns: columns, importID: id, exchange).run()
                } else {
                    ImportSender(plan, columns: columns, importID: id, exchange, home: endpoint, leader: leader, options).run()
                }
            }
        }
    }

    /// Cuts the input and hands the batches out. True at the end of the input.
    private func read(_ tick: (ImportProgress) -> Bool) throws(TransferError) -> Bool {
        var lastTick = ContinuousClock.now
        while true {
            if ContinuousClock.now - lastTick >= .nanoseconds(Int64(Self.tickNanoseconds)) {
                lastTick = .now
                if !report(tick) {
                    exchange.stop()
                    return false
                }
            }
            switch exchange.room(for: source.position.batch, nanoseconds: Self.tickNanoseconds) {
            case .stopping: return false
            case .none: continue
            case .batch(let batch):
                do throws(TransferError) {
                    guard try source.next(batch, while: { report(tick) }) else { return true }
                } catch .interrupted {
                    exchange.stop()
                    return false
                }
                batch.isRepeat = batch.number < doubtful
                if stateFile != nil { try recordInTime(batch.number) }
                exchange.push(batch)
            }
        }
    }

    /// Writes the position down when it is time, and always before a batch is sent that it does not count among those that may be.
    private func recordInTime(_ batch: UInt64) throws(TransferError) {
        let isDue = ContinuousClock.now - lastRecorded >= .nanoseconds(Int64(Self.recordNanoseconds))
        if isDue || batch >= state.mayBeSent { try record(sending: max(state.mayBeSent, batch + Self.leaseBatchCount)) }
    }

    private func record(sending mayBeSent: UInt64) throws(TransferError) {
        guard let stateFile else { return }
        (state.position, state.counts, state.rejects) = try exchange.standing(syncing: true)
        state.mayBeSent = max(mayBeSent, state.position.batch)
        try stateFile.write(state)
        lastRecorded = .now
    }

    private func progress() throws(TransferError) -> ImportProgress {
        let (position, counts, _) = try exchange.standing(syncing: false)
        return ImportProgress(
            counts: counts, bytesDone: position.offset, bytesTotal: state.input.byteCount, elapsed: .now - began.time,
            countsBefore: countsBefore, bytesBefore: resumed?.offset ?? 0)
    }

    private func report(_ tick: (ImportProgress) -> Bool) -> Bool {
        guard let progress = try? progress() else { return true }
        return tick(progress)
    }
}

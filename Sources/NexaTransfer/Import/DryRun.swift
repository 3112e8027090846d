/// Parses batches as a sender does, and sends nothing. Confined to one thread.
struct DryRun {
    /// The largest document of a node with the default limits.
    private static let documentByteCountMax = 16 << 20

    private let plan: ImportPlan
    private let request: BatchRequest
    private let exchange: ImportExchange

    init(_ plan: ImportPlan, columns: [String], importID: ImportID, _ exchange: ImportExchange) {
        self.plan = plan
        request = BatchRequest(plan, columns: columns, importID: importID)
        self.exchange = exchange
    }

    /// Until no batches come any more, or the import stops.
    func run() {
        do throws(TransferError) {
            while let batch = exchange.take(waits: true) {
                var last: BatchRequest.Part?
                repeat {
                    let part = request.prepare(batch, after: last, documentByteCountMax: Self.documentByteCountMax)
                    batch.outcome.written += part.records.count
                    last = part
                } while last!.next < batch.records.count
                try exchange.settle(batch)
            }
        } catch {
            exchange.stop(error)
        }
        exchange.leave()
    }
}

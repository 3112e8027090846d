import NexaWire

/// Writes the BATCH_WRITEs of a batch: its documents in parts that stay well below the largest frame.
///
/// Invariant: the parts depend on the batch, the plan and the node's largest frame alone, so that each has the same bytes and `op_id` whenever
/// it is sent.
/// Confined to one thread.
struct BatchRequest {
    /// What a part holds at most, unless it is one document.
    static let partByteCount = 2 << 20

    /// A part as it lies in `documents`.
    struct Part {
        let number: Int
        /// The record of each document, by its place in the batch.
        var records: ContiguousArray<UInt32> = []
        /// The next record to look at.
        var next: Int
    }

    private let plan: ImportPlan
    private let importID: ImportID
    private let encoder: RecordEncoder
    /// Elements of the list that is sent, one behind the other.
    private let documents = OutputBytes(capacity: 128 << 10)
    private let scratch = OutputBytes()

    init(_ plan: ImportPlan, columns: [String], importID: ImportID) {
        self.plan = plan
        self.importID = importID
        encoder = RecordEncoder(
            plan.input, columns: columns, idField: plan.idField, importID: importID, depthMax: plan.mode.documentDepthMax)
    }

    /// Prepares the part behind `last` and rejects the records that are no documents; a part without documents is the last one and is not sent.
    func prepare(_ batch: RecordBatch, after last: Part?, documentByteCountMax: Int) -> Part {
        var part = Part(number: last.map { $0.number + 1 } ?? 0, next: last?.next ?? 0)
        documents.removeAll()
        let partByteCountMax = min(Self.partByteCount, documentByteCountMax)
        while part.next < batch.records.count {
            let index = part.next
            part.next += 1
            let record = batch.record(index)
            if encoder.isBlank(record) { continue }
            let start = documents.byteCount
            do throws(RecordProblem) {
                try append(record, number: batch.firstRecord + UInt64(index))
                if documents.byteCount > partByteCountMax && !part.records.isEmpty {
                    documents.truncate(to: start)
                    part.next = index
                    return part
                }
                guard documents.byteCount <= documentByteCountMax else {
                    documents.truncate(to: start)
                    throw RecordProblem("the document is larger than the node takes")
                }
                part.records.append(UInt32(index))
            } catch {
                batch.reject(index, error.reason)
            }
        }
        return part
    }

    private func append(_ record: UnsafeRawBufferPointer, number: UInt64) throws(RecordProblem) {
        switch plan.mode {
        case .insert: try encoder.encode(record, number: number, into: documents)
        case .replace:
            scratch.removeAll()
            try encoder.encode(record, number: number, into: scratch)
            documents.writeMapHeader(2)
            documents.writeString("op")
            documents.writeString("put")
            documents.writeString("data")
            documents.writeRaw(scratch.bytes)
        case .upsert:
            scratch.removeAll()
            try encoder.encode(record, number: number, into: scratch)
            guard let key = RecordEncoder.key(of: scratch.bytes) else { throw RecordProblem("its _id is no text") }
            documents.writeMapHeader(4)
            documents.writeString("op")
            documents.writeString("update")
            documents.writeString("key")
            documents.writeString(bytes: key)
            documents.writeString("upsert")
            documents.writeBool(true)
            documents.writeString("updates")
            documents.writeRaw(scratch.bytes)
        }
    }

    /// Appends the payload of the part that `prepare` left.
    func write(_ part: Part, of batch: RecordBatch, into output: OutputBytes) {
        output.writeMapHeader(6 + (plan.durability == nil ? 0 : 1) + (plan.writeConcern == nil ? 0 : 1))
        output.writeString("database")
        output.writeString(plan.database)
        output.writeString("collection")
        output.writeString(plan.collection)
        output.writeString("op_id")
        importID.writeOperationID(batch: batch.number, part: part.number, into: output)
        output.writeString("atomic")
        output.writeBool(false)
        output.writeString("ordered")
        output.writeBool(false)
        if let durability = plan.durability {
            output.writeString("durability")
            output.writeString(durability)
        }
        if let writeConcern = plan.writeConcern {
            output.writeString("w")
            switch writeConcern {
            case .nodes(let count): output.writeInt(count)
            case .majority: output.writeString("majority")
            }
        }
        output.writeString(plan.mode == .insert ? "documents" : "operations")
        output.writeArrayHeader(part.records.count)
        output.writeRaw(documents.bytes)
    }

    /// The document of a record, for comparing it with what is stored.
    func document(_ index: Int, of batch: RecordBatch) -> MessagePackValue? {
        scratch.removeAll()
        guard (try? encoder.encode(batch.record(index), number: batch.firstRecord + UInt64(index), into: scratch)) != nil else {
            return nil
        }
        return try? MessagePackValue(decoding: scratch.bytes)
    }
}

/// What lies in a log file, for people and tools: every record with its place, and every piece of damage. It goes on behind damage and never
/// throws because of it.
package enum LogFinding {
    case header(LogFileHeader)
    case badHeader(String)
    /// A whole record; `payload` is nil when a compressed one does not expand.
    case record(LogRecord, payload: UnsafeRawBufferPointer?)
    /// A MARK or END, and whether its chain is that of the records before it (nil when damage before it leaves that open).
    case note(LogRecord, chainMatches: Bool?)
    /// A whole record that this version does not know.
    case unsupported(RecordHeader, offset: UInt64, reason: String)
    /// LSN, epoch or length break the rules of the file.
    case contradiction(offset: UInt64, reason: String)
    /// Bytes that are not a record although one follows, or although they begin like one.
    case damage(offset: UInt64, byteCount: UInt64, fault: RecordFault)
    /// No record from here to the end of the file.
    case rest(offset: UInt64, byteCount: UInt64)
}

/// Reads one segment or manifest from end to end. Read-only; works on the files of a stopped node and on copies.
package enum LogInspector {
    package struct Summary: Equatable, Sendable {
        package var recordCount = 0
        package var problemCount = 0
        package var firstLSN: LSN?
        package var lastLSN: LSN?
        package var chain: UInt64?
        package var endOffset: UInt64 = 0
        package var hasEnd = false
    }

    /// Passes each finding to `visit`, in order of offsets; what it borrows is valid until `visit` returns. Throws only when the file cannot
    /// be read at all.
    @discardableResult
    package static func inspect(
        path: String, fileSystem: any FileSystem, visit: @escaping (LogFinding) -> Void
    ) throws(StorageError) -> Summary {
        let name = Path.name(of: path)
        let kind: LogFileHeader.Kind = ManifestFileName.manifestID(name) == nil ? .segment : .manifest
        guard let fileID = LogFileName.segmentID(name) ?? ManifestFileName.manifestID(name) else {
            throw .unsupportedFormat(file: path, reason: "the name is neither that of a log segment nor that of a manifest")
        }
        let file = try fileSystem.open(path, .read)
        defer { file.close() }
        var inspection = Inspection(visit: visit)
        switch try LogFileHeader.read(from: file, kind: kind, fileID: fileID) {
        case .header(let header): inspection.take(header, byteCount: try file.byteCount())
        case .unsupported(let reason), .invalid(let reason): inspection.report(.badHeader(reason))
        }
        let scanner = LogScanner(
            file: file, fileID: fileID, from: UInt64(LogFileHeader.blockByteCount), limit: try file.byteCount())
        try inspection.run(scanner)
        return inspection.summary
    }

    private struct Inspection {
        let visit: (LogFinding) -> Void
        var summary = Summary()
        var chain: UInt64?
        var epoch: Epoch = 0
        let expander = PayloadExpander()

        init(visit: @escaping (LogFinding) -> Void) { self.visit = visit }

        mutating func report(_ finding: LogFinding) {
            summary.problemCount += 1
            visit(finding)
        }

        mutating func take(_ header: LogFileHeader, byteCount: UInt64) {
            visit(.header(header))
            chain = header.kind == .segment ? header.previous.chain : LogChain.start
            summary.lastLSN = header.firstLSN > 0 ? header.firstLSN - 1 : nil
            epoch = header.epoch
            if byteCount < header.fileByteCount {
                report(.contradiction(offset: byteCount, reason: "the file was cut: it had \(header.fileByteCount) bytes"))
            }
        }

        mutating func run(_ scanner: LogScanner) throws(StorageError) {
            while scanner.offset < scanner.limit {
                let (decoded, bytes) = try scanner.peek()
                switch decoded {
                case .record(let header):
                    take(LogRecord(header: header, segmentID: scanner.fileID, offset: scanner.offset, bytes: bytes))
                    scanner.move(to: scanner.offset + UInt64(header.recordByteCount))
                    summary.endOffset = scanner.offset
                    if header.type == .end { return }
                case .unsupported(let header, let reason):
                    report(.unsupported(header, offset: scanner.offset, reason: reason))
                    chain = nil
                    scanner.move(to: scanner.offset + UInt64(header.recordByteCount))
                case .fault(let fault, let header):
                    guard try stepOver(fault, header, scanner) else { return }
                case .needsBytes:
                    preconditionFailure("the scanner resolves these")
                }
            }
        }

        /// Goes to the next record behind a bad place; false when there is none.
        private mutating func stepOver(_ fault: RecordFault, _ header: RecordHeader?, _ scanner: LogScanner) throws(StorageError)
            -> Bool
        {
            let offset = scanner.offset
            chain = nil
            if let header {
                // A whole header says how long its damaged record is.
                let byteCount = min(UInt64(header.recordByteCount), scanner.limit - offset)
                report(.damage(offset: offset, byteCount: byteCount, fault: fault))
                scanner.move(to: offset + byteCount)
                return true
            }
            let next = try scanner.nextHeader(from: offset + UInt64(RecordHeader.alignment))
            guard let next else {
                visit(.rest(offset: offset, byteCount: scanner.limit - offset))
                return false
            }
            report(.damage(offset: offset, byteCount: next - offset, fault: fault))
            scanner.move(to: next)
            return true
        }

        private mutating func take(_ record: LogRecord) {
            let header = record.header
            guard let type = header.type else { return visit(.record(record, payload: nil)) }
            if header.epoch < epoch {
                report(.contradiction(offset: record.offset, reason: "epoch \(header.epoch) after epoch \(epoch)"))
            }
            epoch = max(epoch, header.epoch)
            guard type.consumesLSN else {
                let matches = chain.map { $0 == LogNote(record.stored)?.chain }
                visit(.note(record, chainMatches: matches))
                if matches == false { report(.contradiction(offset: record.offset, reason: "the chain differs")) }
                summary.hasEnd = type == .end
                return
            }
            if let last = summary.lastLSN, header.lsn != last + 1 {
                report(.contradiction(offset: record.offset, reason: "LSN \(header.lsn) after LSN \(last)"))
            }
            let payload = expander.expand(record.stored, header)
            visit(.record(record, payload: payload))
            if payload == nil {
                report(.contradiction(offset: record.offset, reason: "the payload does not expand to its raw length"))
            }
            summary.recordCount += 1
            summary.firstLSN = summary.firstLSN ?? header.lsn
            summary.lastLSN = header.lsn
            chain = chain.map { LogChain.advanced($0, by: header.recordHash) }
            summary.chain = chain
        }
    }
}

import Glibc
import NexaStorage
import NexaWire

/// Records that were refused, as they came, so that they can be mended and imported again; beside them, under the name with ".reasons"
/// behind it, one JSON object a record with its number, its place and what was wrong. Confined by the importer's lock.
package final class RejectsFile {
    /// How long the two files are: a run that goes on cuts them back to this.
    package struct Lengths: Equatable, Sendable {
        package var records: UInt64 = 0
        package var reasons: UInt64 = 0

        package init(records: UInt64 = 0, reasons: UInt64 = 0) {
            self.records = records
            self.reasons = reasons
        }
    }

    private let records: AppendFile
    private let reasons: AppendFile
    private let format: TransferFormat

    /// Opens the files, and cuts them to what a recorded position says. Of a new import they must be empty or absent.
    init(path: String, input: InputPlan, columns: [String], lengths: Lengths?) throws(TransferError) {
        format = input.format
        records = try AppendFile(path: path)
        reasons = try AppendFile(path: path + ".reasons")
        if let lengths {
            try records.cut(to: lengths.records)
            try reasons.cut(to: lengths.reasons)
        } else if records.byteCount > 0 || reasons.byteCount > 0 {
            throw .unusable("\(path) holds rejects already: name another file, or remove it and \(path).reasons")
        }
        // The names of new files are as durable as what will stand in them.
        try LockedFile.syncName(path)
        if format.isDelimited && records.byteCount == 0 && input.columns.isEmpty { try writeHeaderRow(columns, input.delimiter) }
    }

    var lengths: Lengths { Lengths(records: records.byteCount, reasons: reasons.byteCount) }

    func append(_ rejects: [Reject]) throws(TransferError) {
        guard !rejects.isEmpty else { return }
        var text: [UInt8] = []
        var why: [UInt8] = []
        for reject in rejects {
            text += reject.bytes
            if format != .msgpack { text.append(UInt8(ascii: "\n")) }
            let reason: MessagePackValue = [
                "record": .int(Int64(reject.record)), "offset": .int(Int64(reject.offset)), "reason": .string(reject.reason),
            ]
            why += Array(JSONText.write(reason).utf8)
            why.append(UInt8(ascii: "\n"))
        }
        try records.append(text)
        try reasons.append(why)
    }

    func sync() throws(TransferError) {
        try records.sync()
        try reasons.sync()
    }

    private func writeHeaderRow(_ columns: [String], _ delimiter: UInt8) throws(TransferError) {
        let row = OutputBytes()
        for (index, column) in columns.enumerated() {
            if index > 0 { row.appendU8(delimiter) }
            DelimitedText.write(Array(column.utf8), delimiter: delimiter, isQuoted: false, into: row)
        }
        row.appendU8(UInt8(ascii: "\n"))
        try records.append(row.withUnsafeBytes { [UInt8]($0) })
    }
}

/// A file that is written at its end. After a failure nobody knows what is on the disk: nothing more is written, and nothing is called durable.
private final class AppendFile {
    private let descriptor: Int32
    private let path: String
    private(set) var byteCount: UInt64
    private var isDirty = false
    private var failure: TransferError?

    init(path: String) throws(TransferError) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0o644)
        guard descriptor >= 0 else { throw .system("cannot write \(path): \(describeErrno(errno))") }
        byteCount = UInt64(max(0, lseek(descriptor, 0, SEEK_END)))
    }

    deinit { close(descriptor) }

    func cut(to length: UInt64) throws(TransferError) {
        guard byteCount >= length else {
            throw .unusable("\(path) is shorter than it was: it belongs to an import that is not done yet")
        }
        guard ftruncate(descriptor, off_t(length)) == 0 else { throw .system("cannot cut \(path): \(describeErrno(errno))") }
        byteCount = length
    }

    func append(_ bytes: [UInt8]) throws(TransferError) {
        if let failure { throw failure }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + done, $0.count - done) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw fail() }
            done += count
        }
        byteCount += UInt64(bytes.count)
        isDirty = true
    }

    func sync() throws(TransferError) {
        if let failure { throw failure }
        guard isDirty else { return }
        guard fdatasync(descriptor) == 0 else { throw fail() }
        isDirty = false
    }

    private func fail() -> TransferError {
        let failure = TransferError.system("cannot write \(path): \(describeErrno(errno))")
        self.failure = failure
        return failure
    }
}

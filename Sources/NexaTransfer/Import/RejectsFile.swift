import Glibc
import NexaStorage
import NexaWire

/// Records that were refused, as they came, so that they can be mended and imported again; beside them, under the name with ".reasons"
/// behind it, one JSON object a record with its number, its place and what was wrong. Confined by the importer's lock.
package final class RejectsFile {
    /// Which files they are, and how long: a run that goes on cuts them back to this, and no others.
    package struct Mark: Equatable, Sendable {
        package struct Part: Equatable, Sendable {
            package var inode: UInt64
            package var byteCount: UInt64

            package init(inode: UInt64, byteCount: UInt64) {
                self.inode = inode
                self.byteCount = byteCount
            }
        }

        /// From the root on, without symbolic links.
        package var path: String
        package var records: Part
        package var reasons: Part

        package init(path: String, records: Part, reasons: Part) {
            self.path = path
            self.records = records
            self.reasons = reasons
        }
    }

    private let path: String
    private let records: AppendFile
    private let reasons: AppendFile
    private let format: TransferFormat
    /// Stands in front of the first reject of a file that has one.
    private let headerRow: [UInt8]

    /// Opens the files, and cuts those of `earlier`; others must be empty or absent. None of them may be one of `taken`.
    init(
        path: String, input: InputPlan, columns: [String], taken: [FileIdentity], earlier: Mark?
    ) throws(TransferError) {
        format = input.format
        headerRow = format.isDelimited && input.columns.isEmpty ? Self.headerRow(columns, input.delimiter) : []
        records = try AppendFile(path: path, taken: taken)
        reasons = try AppendFile(path: path + ".reasons", taken: taken)
        self.path = try Self.realPath(path)
        if let earlier, earlier.path == self.path, earlier.records.inode == records.inode, earlier.reasons.inode == reasons.inode
        {
            try records.expect(earlier.records.byteCount)
            try reasons.expect(earlier.reasons.byteCount)
            try records.cut(to: earlier.records.byteCount)
            try reasons.cut(to: earlier.reasons.byteCount)
        } else if records.byteCount > 0 || reasons.byteCount > 0 {
            throw .unusable(
                "\(path) holds something already, and not the rejects of this import: name another file, or remove it and \(path).reasons"
            )
        }
        // The names of new files are as durable as what will stand in them.
        try LockedFile.syncName(path)
    }

    var mark: Mark { Mark(path: path, records: records.mark, reasons: reasons.mark) }

    func append(_ rejects: [Reject]) throws(TransferError) {
        guard !rejects.isEmpty else { return }
        var text = records.byteCount == 0 ? headerRow : []
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

    private static func realPath(_ path: String) throws(TransferError) -> String {
        guard let real = realpath(path, nil) else { throw .system("cannot find \(path): \(describeErrno(errno))") }
        defer { free(real) }
        return String(cString: real)
    }

    private static func headerRow(_ columns: [String], _ delimiter: UInt8) -> [UInt8] {
        let row = OutputBytes()
        for (index, column) in columns.enumerated() {
            if index > 0 { row.appendU8(delimiter) }
            DelimitedText.write(Array(column.utf8), delimiter: delimiter, isQuoted: false, into: row)
        }
        row.appendU8(UInt8(ascii: "\n"))
        return [UInt8](row.bytes)
    }
}

/// A file that is written at its end, by one process at a time. After a failure nobody knows what is on the disk: nothing more is written, and
/// nothing is called durable.
private final class AppendFile {
    private let descriptor: Int32
    private let path: String
    let inode: UInt64
    private(set) var byteCount: UInt64 = 0
    private var isDirty = false
    private var failure: TransferError?

    init(path: String, taken: [FileIdentity]) throws(TransferError) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0o644)
        guard descriptor >= 0 else { throw .system("cannot write \(path): \(describeErrno(errno))") }
        var status = stat()
        let isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        inode = FileIdentity(status).inode
        guard !taken.contains(FileIdentity(status)) else {
            throw .unusable("\(path) is the input, or keeps the position: --rejects names another file")
        }
        guard !isFile || flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw .unusable("another import is at work on \(path)")
        }
        byteCount = UInt64(max(0, lseek(descriptor, 0, SEEK_END)))
    }

    deinit { close(descriptor) }

    var mark: RejectsFile.Mark.Part { RejectsFile.Mark.Part(inode: inode, byteCount: byteCount) }

    /// It has not lost what was written to it.
    func expect(_ length: UInt64) throws(TransferError) {
        guard byteCount >= length else {
            throw .unusable("\(path) is shorter than it was: it belongs to an import that is not done yet")
        }
    }

    func cut(to length: UInt64) throws(TransferError) {
        guard length < byteCount else { return }
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

/// One thing that happened, as subscribers are told: borrowed bytes of a log record, and the names around them.

import NexaStorage
import NexaWire

package struct Change {
    package enum Kind: String, Sendable {
        case insert, update, delete, dropCollection, dropDatabase

        /// What has to be wanted for it; nil: it is always told.
        var operation: ChangeOperations? {
            switch self {
            case .insert: .insert
            case .update: .update
            case .delete: .delete
            case .dropCollection, .dropDatabase: nil
            }
        }
    }

    package let kind: Kind
    package let database: String
    /// Nil for the drop of a database.
    package let collection: String?
    /// The document's key; empty for drops.
    package let key: UnsafeRawBufferPointer
    /// The document after an insert or update.
    package let document: DocumentView?
    let note: UnsafeRawBufferPointer

    /// When it was done, in microseconds since 1970; nil: the log does not tell.
    package var microseconds: Int64? {
        switch kind {
        case .insert, .update:
            guard let document, let layout = StoredLayout(document.bytes) else { return nil }
            return TimestampFormatter.microseconds(
                UnsafeRawBufferPointer(rebasing: document.bytes[layout.updatedAtOffset...].prefix(TimestampFormatter.byteCount)))
        case .delete: return ChangeNote.time(in: note)
        case .dropCollection, .dropDatabase: return ChangeNote.drop(in: note)?.microseconds
        }
    }

    /// What an event carries beside its names and its place; the largest first.
    package struct Parts: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let document = Parts(rawValue: 1)
        package static let description = Parts(rawValue: 2)
        /// In this order they are tried when an event would be too large.
        package static let bySize: [Parts] = [[.document, .description], .document, .description, []]
    }

    /// Appends the map of a CHANGE_EVENT; `told` is the position behind this change, `now` stands for a time that is not known. The
    /// document's bytes are copied as they are stored.
    package func append(
        to output: OutputBytes, subscription: UInt64, shape: DocumentShape, told: ChangePosition, now: Double,
        parts: Parts = Parts.bySize[0]
    ) {
        let showsDocument = document != nil && parts.contains(.document)
        let describesUpdate = kind == .update && note.count > 0 && parts.contains(.description)
        output.writeMapHeader(7 + (key.isEmpty ? 0 : 1) + (showsDocument ? 1 : 0) + (describesUpdate ? 1 : 0))
        output.writeString("operationType")
        output.writeString(kind.rawValue)
        output.writeString("ns")
        output.writeMapHeader(collection == nil ? 1 : 2)
        output.writeString("db")
        output.writeString(database)
        if let collection {
            output.writeString("coll")
            output.writeString(collection)
        }
        output.writeString("timestamp")
        output.writeDouble(microseconds.map { Double($0) / 1e6 } ?? now)
        if !key.isEmpty {
            output.writeString("documentKey")
            output.writeMapHeader(1)
            output.writeString("_id")
            output.writeString(bytes: key)
        }
        if let document, showsDocument {
            output.writeString("fullDocument")
            document.append(to: output, shape: shape)
        }
        if let document, describesUpdate { appendUpdatedFields(of: document, to: output) }
        Self.appendPosition(told, subscription: subscription, to: output)
    }

    /// The last fields of every CHANGE_EVENT.
    package static func appendPosition(_ told: ChangePosition, subscription: UInt64, to output: OutputBytes) {
        output.writeString("subscription")
        output.writeUInt(subscription)
        output.writeString("resume_token")
        ResumeToken.withBytes(of: told) { output.writeBin($0) }
        output.writeString("epoch")
        output.writeUInt(told.record.epoch)
        output.writeString("lsn")
        output.writeUInt(told.record.lsn)
    }

    /// The fields that the note marks, as they are now.
    private func appendUpdatedFields(of document: DocumentView, to output: OutputBytes) {
        var count = 0
        forEachUpdatedField(of: document) { _ in count += 1 }
        output.writeString("updateDescription")
        output.writeMapHeader(1)
        output.writeString("updatedFields")
        output.writeMapHeader(count)
        forEachUpdatedField(of: document) { output.append($0) }
    }

    private func forEachUpdatedField(of document: DocumentView, _ body: (UnsafeRawBufferPointer) -> Void) {
        // The server's own three come first.
        guard var walk = FieldWalk(document.bytes), walk.next(), walk.next(), walk.next() else { return }
        var place = 0
        while walk.next() {
            if ChangeNote.isMarked(place, in: note) { body(walk.entry) }
            place += 1
        }
    }
}

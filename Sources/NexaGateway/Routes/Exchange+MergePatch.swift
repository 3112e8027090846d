/// PATCH with `application/merge-patch+json`: read, merge, put in place if nobody was faster, and again if somebody was. With `upsert` a
/// document that is not there is made from the patch, as if it were empty.

import HTTPTypes
import NIOCore
import NexaServer
import NexaWire

extension Exchange {
    private static let attemptCountMax = 16

    func mergePatch(_ target: Target, id: String) async throws(Problem) -> Answer {
        let text = try await body()
        let patch = try await work(on: text.readableBytes) { () throws(Problem) in
            let patch = try Self.parse(text).withUnsafeBytes { try? MessagePackValue(decoding: $0) }
            guard let patch, patch.mapValue != nil else {
                throw Problem(.badPayload, "A merge patch for a document is a JSON object")
            }
            return patch
        }
        let ifMatch = try writeCondition()
        let allowed = ifMatch?.revisions
        // If-Match asks for a document that is there.
        let upserts = try parameters.flag("upsert") == true && ifMatch == nil
        for _ in 0..<Self.attemptCountMax {
            let read = try await ask(try readFrame(target, id))
            let isNew = read.type != .success
            if isNew && !upserts { throw ifMatch == nil ? Self.noDocument(id) : Self.noSuchDocument }
            let frame = try await work(on: text.readableBytes + read.payload.readableBytes) { () throws(Problem) in
                try isNew ? firstFrame(target, id, patch) : patchedFrame(target, id, patch, read, allowed)
            }
            do throws(Problem) {
                let frame = try await ask(frame, isWrite: true)
                return try written(
                    frame, target, id, isNew ? "Document inserted" : "Document updated", status: isNew ? 201 : 200)
            } catch {
                guard error.code == ErrorCode.conflict.rawValue || error.code == ErrorCode.duplicate.rawValue else { throw error }
            }
        }
        throw Problem(.overloaded, "Others change this document all the time: try again later")
    }

    /// Puts the document that was read, patched, in its own place.
    private func patchedFrame(
        _ target: Target, _ id: String, _ patch: MessagePackValue, _ read: LocalFrame, _ allowed: [UInt64]?
    ) throws(Problem) -> OutputBytes {
        let value = read.payload.withUnsafeReadableBytes { try? MessagePackValue(decoding: $0) }
        guard case .map(var entries)? = value?["document"], let last = entries.popLast(), let number = last.value.intValue,
            let revision = UInt64(exactly: number)
        else { throw JSONBody.unreadable }
        if let allowed, !allowed.contains(revision) { throw Self.otherRevision }
        return try frame("put", target, id, ifMatch: revision, MergePatch.apply(patch, to: .map(entries)))
    }

    private func firstFrame(_ target: Target, _ id: String, _ patch: MessagePackValue) throws(Problem) -> OutputBytes {
        try frame("create", target, id, ifMatch: nil, MergePatch.apply(patch, to: [:]))
    }

    private func frame(
        _ operation: String, _ target: Target, _ id: String, ifMatch: UInt64?, _ merged: MessagePackValue
    ) throws(Problem) -> OutputBytes {
        // The key is what it is, whatever a patch says.
        let isNamed = merged["_id"] == .string(id)
        let document = (isNamed ? merged : MergePatch.apply(["_id": .string(id)], to: merged)).encoded()
        // The same patch twice does no harm, and the second time it is another write.
        return try putFrame(operation, target, id, ifMatch: ifMatch, isRepeatable: false, byteCount: document.count) { output in
            output.append(document)
        }
    }
}

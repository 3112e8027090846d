/// PATCH with `application/merge-patch+json`: read, merge, put in place if nobody was faster, and again if somebody was.

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
        for _ in 0..<Self.attemptCountMax {
            let read = try await ask(try readFrame(target, id))
            guard read.type == .success else {
                throw ifMatch == nil ? Self.noDocument(id) : Self.noSuchDocument
            }
            let frame = try await work(on: text.readableBytes + read.payload.readableBytes) { () throws(Problem) in
                try patchedFrame(target, id, patch, read, allowed)
            }
            do throws(Problem) {
                return try written(try await ask(frame, isWrite: true), target, id, "Document updated", status: 200)
            } catch {
                guard error.code == ErrorCode.conflict.rawValue else { throw error }
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
        var merged = MergePatch.apply(patch, to: .map(entries))
        // The key is what it is, whatever a patch says.
        if merged["_id"] != .string(id) { merged = MergePatch.apply(["_id": .string(id)], to: merged) }
        let document = merged.encoded()
        // The same patch twice does no harm, and the second time it is another write.
        return try putFrame("put", target, id, ifMatch: revision, isRepeatable: false, byteCount: document.count) { output in
            output.append(document)
        }
    }
}

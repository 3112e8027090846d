/// PATCH with `application/merge-patch+json`: read, merge, put in place if nobody was faster, and again if somebody was.

import HTTPTypes
import NIOCore
import NexaServer
import NexaWire

extension Exchange {
    private static let attemptCountMax = 16

    func mergePatch(_ target: Target, id: String) async throws(Problem) -> Answer {
        let patch = try parse(try await body())
        guard let patch = patch.withUnsafeBytes({ try? MessagePackValue(decoding: $0) }), patch.mapValue != nil else {
            throw Problem(.badPayload, "A merge patch for a document is a JSON object")
        }
        let ifMatch = try condition(.ifMatch)
        let wanted = try revision(ifMatch)
        for _ in 0..<Self.attemptCountMax {
            let read = try await ask(try readFrame(target, id))
            let value = read.payload.withUnsafeReadableBytes { try? MessagePackValue(decoding: $0) }
            guard read.type == .success, case .map(var entries)? = value?["document"], let last = entries.popLast(),
                case .int(let revision) = last.value
            else { throw ifMatch == nil ? Self.noDocument(id) : Self.preconditionFailed("There is no such document") }
            if let wanted, wanted != UInt64(revision) { throw Self.preconditionFailed("The document is at another revision") }
            var merged = MergePatch.apply(patch, to: .map(entries))
            // The key is what it is, whatever a patch says.
            if merged["_id"] != .string(id) { merged = MergePatch.apply(["_id": .string(id)], to: merged) }
            let document = merged.encoded()
            // The same patch twice does no harm, and the second time it is another write.
            let frame = try putFrame(
                "put", target, id, ifMatch: UInt64(revision), isRepeatable: false, byteCount: document.count
            ) { output in output.append(document) }
            do throws(Problem) {
                return try written(try await ask(frame, isWrite: true), target, id, "Document updated", status: 200)
            } catch {
                guard error.code == ErrorCode.conflict.rawValue else { throw error }
            }
        }
        throw Problem(.overloaded, "Others change this document all the time: try again later")
    }
}

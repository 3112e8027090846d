import CSupport
import NexaWire

/// What a field's value is as a vector: looked at when it is written and when it is searched.
enum VectorField {
    enum Verdict: Equatable {
        /// A value of another kind: text, nil, a map, an empty list, a list of other things.
        case notAVector
        case vector(dimensions: Int)
        /// Numbers, but one of them is infinite, not a number or beyond float32.
        case notFinite
        case tooLong(dimensions: Int)
    }

    /// Judges a MessagePack value, and leaves its numbers in `floats` if it is a vector.
    static func judge(_ value: UnsafeRawBufferPointer, _ floats: VectorBuffer) -> Verdict {
        let claimed = nexa_vector_dimensions(value.baseAddress, value.count)
        guard claimed > 0 else { return .notAVector }
        guard claimed <= VectorSearchSpec.dimensionsMax else { return .tooLong(dimensions: claimed) }
        switch floats.gather(value, dimensions: claimed) {
        case NEXA_VECTOR_OK: return .vector(dimensions: claimed)
        case NEXA_VECTOR_NOT_FINITE: return .notFinite
        default: return .notAVector
        }
    }

    static func mismatch(expected: Int, actual: Int) -> DocumentError {
        DocumentError(
            .badRequest, "Vector dimension mismatch: collection expects \(expected) dimensions, got \(actual)",
            details: [.init("path", "vector")])
    }

    static func notFinite() -> DocumentError {
        DocumentError(.badRequest, "A vector holds finite float32 numbers only", details: [.init("path", "vector")])
    }

    static func tooLong(_ dimensions: Int) -> DocumentError {
        DocumentError(
            .badRequest, "A vector has at most \(VectorSearchSpec.dimensionsMax) dimensions, not \(dimensions)",
            details: [.init("path", "vector")])
    }
}

/// Room for one vector as float32, grown to the largest seen (at most 256 KiB) and reused. Confined to one thread.
final class VectorBuffer {
    private(set) var floats: UnsafeMutablePointer<Float>
    private var capacity: Int

    init(capacity: Int = 64) {
        self.capacity = capacity
        floats = .allocate(capacity: capacity)
    }

    deinit { floats.deallocate() }

    /// Reads `dimensions` numbers from a MessagePack value; the status says whether it has exactly those.
    @inline(__always)
    func gather(_ value: UnsafeRawBufferPointer, dimensions: Int) -> nexa_vector_status {
        if dimensions > capacity { grow(to: dimensions) }
        var count = 0
        let status = nexa_vector_gather(value.baseAddress, value.count, floats, dimensions, &count)
        return status == NEXA_VECTOR_OK && count != dimensions ? NEXA_VECTOR_NOT_A_VECTOR : status
    }

    private func grow(to count: Int) {
        floats.deallocate()
        floats = .allocate(capacity: count)
        capacity = count
    }
}

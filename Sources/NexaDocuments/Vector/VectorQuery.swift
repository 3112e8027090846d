import CSupport
import Glibc
import NexaWire

/// The vector of a request, ready to be compared: gathered once, with its norm.
///
/// Scores come from the float32 kernels while their sums are in the range where float32 is exact to its last bits. Finite elements can
/// leave it: their squares overflow from 1.8e19 on and vanish below 1e-19. Such a pair is summed once more in double, which holds the
/// products of any two float32, so that a score is always finite.
final class VectorQuery {
    let dimensions: Int
    private let metric: VectorMetric
    private let vector: VectorBuffer
    private let kernel: nexa_kernel
    private let norm: Float
    /// Whether the float32 kernels hold what this vector gives with itself.
    private let isOrdinary: Bool
    /// Below the first, products that vanished may matter; above the second is infinity.
    private static let ordinarySquares: ClosedRange<Float> = 1e-30...Float.greatestFiniteMagnitude

    /// BAD_REQUEST if the value is no vector.
    init(_ value: UnsafeRawBufferPointer, metric: VectorMetric) throws(DocumentError) {
        vector = VectorBuffer()
        switch VectorField.judge(value, vector) {
        case .vector(let count): dimensions = count
        case .notFinite: throw VectorField.notFinite()
        case .tooLong(let count): throw VectorField.tooLong(count)
        case .notAVector:
            throw DocumentError(
                .badRequest, "'vector' is a list of numbers or a bin of little-endian float32, and not empty",
                details: [.init("field", "vector")])
        }
        self.metric = metric
        kernel = nexa_vector_best_kernel()
        let squared = nexa_vector_dot(vector.floats, vector.floats, dimensions, kernel)
        norm = squared.squareRoot()
        isOrdinary = Self.ordinarySquares.contains(squared)
    }

    /// Score of a stored vector of the same dimensions. A zero vector has no direction: its cosine is 0.
    @inline(__always)
    func score(_ other: UnsafePointer<Float>) -> Double {
        switch metric {
        case .dot:
            let dot = nexa_vector_dot(vector.floats, other, dimensions, kernel)
            guard isOrdinary, dot.isFinite else { return wideScore(other) }
            return Double(dot)
        case .l2:
            let squared = nexa_vector_l2(vector.floats, other, dimensions, kernel)
            guard Self.ordinarySquares.contains(squared) else { return wideScore(other) }
            return Double(-squared.squareRoot())
        case .cosine:
            var dot: Float = 0
            var squared: Float = 0
            nexa_vector_dot_norm(vector.floats, other, dimensions, kernel, &dot, &squared)
            guard isOrdinary, dot.isFinite, Self.ordinarySquares.contains(squared) else { return wideScore(other) }
            return Double(min(max(dot / (norm * squared.squareRoot()), -1), 1))
        }
    }

    /// The same in double: about 1 ns a dimension.
    @inline(never)
    private func wideScore(_ other: UnsafePointer<Float>) -> Double {
        var dot = 0.0
        var ownSquared = 0.0
        var otherSquared = 0.0
        var distanceSquared = 0.0
        for index in 0..<dimensions {
            let (own, other) = (Double(vector.floats[index]), Double(other[index]))
            dot += own * other
            ownSquared += own * own
            otherSquared += other * other
            distanceSquared += (own - other) * (own - other)
        }
        switch metric {
        case .dot: return dot
        case .l2: return -distanceSquared.squareRoot()
        case .cosine:
            let lengths = ownSquared.squareRoot() * otherSquared.squareRoot()
            return lengths > 0 ? min(max(dot / lengths, -1), 1) : 0
        }
    }
}

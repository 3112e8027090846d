import CSupport
import Glibc
import NexaWire

/// The vector of a request, ready to be compared: gathered once, with its norm.
final class VectorQuery {
    let dimensions: Int
    private let metric: VectorMetric
    private let vector: VectorBuffer
    private let kernel: nexa_kernel
    /// Length of the vector; cosine only.
    private let norm: Float

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
        norm = nexa_vector_dot(vector.floats, vector.floats, dimensions, kernel).squareRoot()
    }

    /// Score of a stored vector of the same dimensions. A zero vector has no direction: its cosine is 0.
    @inline(__always)
    func score(_ other: UnsafePointer<Float>) -> Float {
        switch metric {
        case .dot:
            return nexa_vector_dot(vector.floats, other, dimensions, kernel)
        case .l2:
            return -nexa_vector_l2(vector.floats, other, dimensions, kernel).squareRoot()
        case .cosine:
            var dot: Float = 0
            var squared: Float = 0
            nexa_vector_dot_norm(vector.floats, other, dimensions, kernel, &dot, &squared)
            let lengths = norm * squared.squareRoot()
            return lengths > 0 ? min(max(dot / lengths, -1), 1) : 0
        }
    }
}

import CSupport
import NexaWire
import Testing

struct VectorKernelTests {
    static let kernels = [NEXA_KERNEL_PORTABLE, NEXA_KERNEL_AVX2, NEXA_KERNEL_AVX512].filter {
        $0.rawValue <= nexa_vector_best_kernel().rawValue
    }

    @Test func everyKernelAgreesWithDoublesAtEveryLength() {
        var generator = SeededGenerator(seed: testSeed())
        for count in Array(0...70) + [127, 128, 384, 768, 1000, 1536, 4097] {
            // Off the natural alignment on purpose.
            let a = (0...count).map { _ in Float.random(in: -1...1, using: &generator) }
            let b = (0...count).map { _ in Float.random(in: -1...1, using: &generator) }
            a.withUnsafeBufferPointer { a in
                b.withUnsafeBufferPointer { b in
                    let (x, y) = (a.baseAddress! + 1, b.baseAddress! + 1)
                    var (dot, magnitude, squares, l2) = (0.0, 0.0, 0.0, 0.0)
                    for i in 0..<count {
                        dot += Double(x[i]) * Double(y[i])
                        magnitude += abs(Double(x[i]) * Double(y[i]))
                        squares += Double(y[i]) * Double(y[i])
                        l2 += (Double(x[i]) - Double(y[i])) * (Double(x[i]) - Double(y[i]))
                    }
                    for kernel in Self.kernels {
                        #expect(abs(Double(nexa_vector_dot(x, y, count, kernel)) - dot) <= 1e-5 * magnitude)
                        #expect(abs(Double(nexa_vector_l2(x, y, count, kernel)) - l2) <= 1e-5 * l2)
                        var (both, norm) = (Float(0), Float(0))
                        nexa_vector_dot_norm(x, y, count, kernel, &both, &norm)
                        #expect(abs(Double(both) - dot) <= 1e-5 * magnitude)
                        #expect(abs(Double(norm) - squares) <= 1e-5 * squares)
                    }
                }
            }
        }
    }

    @Test func aKernelThatIsNotThereFallsBack() {
        let a: [Float] = [1, 2, 3]
        #expect(nexa_vector_dot(a, a, 3, NEXA_KERNEL_AVX512) == 14)
    }

    // MARK: From MessagePack

    func gather(_ bytes: [UInt8], capacity: Int = 65535) -> (nexa_vector_status, [Float], Int) {
        var out = [Float](repeating: -7, count: max(1, min(capacity, 70000)))
        var count = 0
        let status = nexa_vector_gather(bytes, bytes.count, &out, capacity, &count)
        return (status, status == NEXA_VECTOR_OK ? Array(out[..<count]) : [], count)
    }

    @Test func takesNumbersOfEveryKind() {
        let mixed: MessagePackValue = [
            1, -1, 200, -200, 70000, -70000, .int(1 << 40), .int(-(1 << 40)), .uint(1 << 63), .float32(0.5), .double(0.25), 127,
            -32, 60000, -30000,
        ]
        let expected: [Float] = [1, -1, 200, -200, 70000, -70000, 0x1p40, -0x1p40, 0x1p63, 0.5, 0.25, 127, -32, 60000, -30000]
        #expect(gather(mixed.encoded()).1 == expected)
        #expect(mixed.encoded().withUnsafeBytes { nexa_vector_dimensions($0.baseAddress, $0.count) } == expected.count)
    }

    @Test func takesLittleEndianFloatsFromBin() {
        let floats: [Float] = [1, -2.5, 3e20, 0]
        let bin = MessagePackValue.binary(floats.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian) { Array($0) } })
            .encoded()
        #expect(gather(bin).1 == floats)
        #expect(bin.withUnsafeBytes { nexa_vector_dimensions($0.baseAddress, $0.count) } == 4)
    }

    @Test(
        arguments: [
            ("text", NEXA_VECTOR_NOT_A_VECTOR, 0), (nil, NEXA_VECTOR_NOT_A_VECTOR, 0), ([:], NEXA_VECTOR_NOT_A_VECTOR, 0),
            ([], NEXA_VECTOR_BAD_LENGTH, 0),
            ([1, "2", 3], NEXA_VECTOR_NOT_A_NUMBER, 1), ([1, nil], NEXA_VECTOR_NOT_A_NUMBER, 1),
            ([[1]], NEXA_VECTOR_NOT_A_NUMBER, 0),
            ([1, 2, .double(.nan)], NEXA_VECTOR_NOT_FINITE, 2), ([.double(.infinity)], NEXA_VECTOR_NOT_FINITE, 0),
            ([.double(1e39)], NEXA_VECTOR_NOT_FINITE, 0),
            ([.float32(-.infinity)], NEXA_VECTOR_NOT_FINITE, 0), (.binary([]), NEXA_VECTOR_BAD_LENGTH, 0),
            (.binary([1, 2, 3]), NEXA_VECTOR_BAD_LENGTH, 0),
            (.binary([0, 0, 0, 0, 0, 0, 0xC0, 0x7F]), NEXA_VECTOR_NOT_FINITE, 1),
        ] as [(MessagePackValue, nexa_vector_status, Int)])
    func refusesWhatIsNoVectorAndSaysWhere(_ value: MessagePackValue, _ status: nexa_vector_status, _ index: Int) {
        let result = gather(value.encoded())
        #expect(result.0 == status)
        #expect(result.2 == index)
    }

    @Test func limitsDimensionsBeforeReadingThem() {
        #expect(gather(MessagePackValue.array(Array(repeating: 1, count: 65535)).encoded()).1.count == 65535)
        #expect(
            gather(MessagePackValue.array(Array(repeating: 1, count: 65536)).encoded(), capacity: 70000).0 == NEXA_VECTOR_TOO_LONG
        )
        #expect(gather([0xDD, 0xFF, 0xFF, 0xFF, 0xFF]).0 == NEXA_VECTOR_TOO_LONG)
        #expect(gather(MessagePackValue.array([1, 2, 3]).encoded(), capacity: 2).0 == NEXA_VECTOR_TOO_LONG)
        #expect(
            gather(MessagePackValue.binary([UInt8](repeating: 0, count: 12)).encoded(), capacity: 2).0 == NEXA_VECTOR_TOO_LONG)
    }

    @Test func refusesEveryTruncation() {
        let bytes = MessagePackValue.array([1, 200, 70000, .double(0.5), .float32(2)]).encoded()
        for count in 0..<bytes.count { #expect(gather(Array(bytes[..<count])).0 == NEXA_VECTOR_MALFORMED) }
    }
}

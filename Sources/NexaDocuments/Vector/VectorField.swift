import NexaWire

/// What a field's value is as a vector: looked at when it is written and when it is searched.
enum VectorField {
    enum Verdict: Equatable {
        /// A value of another kind: text, nil, a map, an empty list, a list of other things.
        case notAVector
        case vector(dimensions: Int)
        /// Numbers, but one of them is infinite or not a number.
        case notFinite
    }

    /// Judges a MessagePack value: a list of numbers, or a `bin` of little-endian float32.
    static func judge(_ value: UnsafeRawBufferPointer) -> Verdict {
        guard let tag = value.first else { return .notAVector }
        switch tag {
        case 0x91...0x9F, 0xDC, 0xDD: return judgeList(value)
        case 0xC4...0xC6: return judgeBinary(value)
        default: return .notAVector
        }
    }

    private static func judgeList(_ value: UnsafeRawBufferPointer) -> Verdict {
        let tag = value[0]
        var position: Int
        let count: Int
        switch tag {
        case 0xDC where value.count >= 3:
            count = Int(UInt16(bigEndian: value.loadUnaligned(fromByteOffset: 1, as: UInt16.self)))
            position = 3
        case 0xDD where value.count >= 5:
            count = Int(UInt32(bigEndian: value.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
            position = 5
        default:
            count = Int(tag & 0x0F)
            position = 1
        }
        guard count > 0 else { return .notAVector }
        var isFinite = true
        for _ in 0..<count {
            guard position < value.count else { return .notAVector }
            switch value[position] {
            case 0x00...0x7F, 0xE0...0xFF: position += 1
            case 0xCC, 0xD0: position += 2
            case 0xCD, 0xD1: position += 3
            case 0xCE, 0xD2: position += 5
            case 0xCF, 0xD3: position += 9
            case 0xCA where value.count - position >= 5:
                let bits = UInt32(bigEndian: value.loadUnaligned(fromByteOffset: position + 1, as: UInt32.self))
                isFinite = isFinite && Float(bitPattern: bits).isFinite
                position += 5
            case 0xCB where value.count - position >= 9:
                let bits = UInt64(bigEndian: value.loadUnaligned(fromByteOffset: position + 1, as: UInt64.self))
                // A double beyond float32 would become infinite in the kernels.
                isFinite = isFinite && Float(Double(bitPattern: bits)).isFinite
                position += 9
            default: return .notAVector
            }
        }
        return isFinite ? .vector(dimensions: count) : .notFinite
    }

    private static func judgeBinary(_ value: UnsafeRawBufferPointer) -> Verdict {
        var reader = MessagePackReader(value)
        guard let bytes = try? reader.readBinBytes(), bytes.count > 0, bytes.count % 4 == 0 else { return .notAVector }
        for offset in stride(from: 0, to: bytes.count, by: 4) {
            let bits = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            if !Float(bitPattern: bits).isFinite { return .notFinite }
        }
        return .vector(dimensions: bytes.count / 4)
    }
}

// How the filter compiler reads its input and words its refusals.

import NexaWire

extension FilterCompiler {
    func mapHeader(_ reader: inout MessagePackReader) throws(DocumentError) -> Int {
        do throws(MessagePackError) { return try reader.readMapHeader() } catch { throw FilterCompiler.malformed(error) }
    }

    func key(_ reader: inout MessagePackReader) throws(DocumentError) -> UnsafeRawBufferPointer {
        do throws(MessagePackError) { return try reader.readStringBytes() } catch { throw FilterCompiler.malformed(error) }
    }

    func value(_ reader: inout MessagePackReader) throws(DocumentError) -> UnsafeRawBufferPointer {
        do throws(MessagePackError) { return try reader.readRawValue() } catch { throw FilterCompiler.malformed(error) }
    }

    /// Whether the next value is a map of operators rather than a literal. A map that mixes both is refused: whichever way it were
    /// read, half of it would be ignored.
    func holdsOperators(_ reader: MessagePackReader, _ path: FilterPath) throws(DocumentError) -> Bool {
        guard reader.nextKind == .map else { return false }
        var copy = reader
        var operatorCount = 0
        let count = try mapHeader(&copy)
        for _ in 0..<count {
            if try key(&copy).first == UInt8(ascii: "$") { operatorCount += 1 }
            _ = try value(&copy)
        }
        guard operatorCount == 0 || operatorCount == count else {
            throw FilterCompiler.refuse(
                "Bad filter: the condition on '\(text(path.name))' mixes operators and fields", path: text(path.name))
        }
        return operatorCount > 0
    }

    static func beginsWithOperator(_ map: UnsafeRawBufferPointer) -> Bool {
        var reader = MessagePackReader(map)
        guard let count = try? reader.readMapHeader(), count > 0, let first = try? reader.readStringBytes() else { return false }
        return first.first == UInt8(ascii: "$")
    }

    /// What counts as true where an operator takes a flag: everything but false, nil and zero.
    static func isTrue(_ value: UnsafeRawBufferPointer) -> Bool {
        var reader = MessagePackReader(value)
        switch reader.nextKind {
        case .null: return false
        case .bool: return (try? reader.readBool()) ?? false
        case .int, .float: return (try? reader.readDouble()) != 0
        default: return true
        }
    }

    /// The bytes of a string value; nil for other values.
    static func string(_ value: UnsafeRawBufferPointer) -> [UInt8]? {
        var reader = MessagePackReader(value)
        return (try? reader.readStringBytes()).map { [UInt8]($0) }
    }

    // MARK: Refusals

    /// A client's name as it may stand in an error text.
    func text(_ name: UnsafeRawBufferPointer) -> String {
        printable(String(decoding: name.prefix(200), as: UTF8.self), characterCountMax: 100)
    }

    func refuse(_ op: UnsafeRawBufferPointer, at path: FilterPath? = nil, _ why: String) -> DocumentError {
        let place = path.map { " at '\(text($0.name))'" } ?? ""
        var details: [MessagePackValue.Entry] = [.init("operator", .string(text(op)))]
        if let path { details.append(.init("path", .string(text(path.name)))) }
        return DocumentError(.badFilter, "Bad filter: operator '\(text(op))'\(place) \(why)", details: details)
    }

    static func refuse(_ message: String, path: String? = nil) -> DocumentError {
        DocumentError(.badFilter, message, details: path.map { [.init("path", .string($0))] } ?? [])
    }

    func tooComplex(_ why: String) -> DocumentError {
        DocumentError(.badFilter, "Bad filter: it \(why)")
    }

    static func malformed(_ error: MessagePackError) -> DocumentError {
        DocumentError(error.wireError)
    }
}

extension MessagePackReader {
    /// Byte count of the next value.
    func measured() throws(MessagePackError) -> Int {
        var copy = self
        try copy.skipValue()
        return copy.position - position
    }
}

// From a filter's MessagePack to a filter program. One recursive descent over the bytes:
//
//     map      = { path: condition | "$and"/"$or"/"$nor": [map, ...] }     all entries must hold
//     condition = { "$op": operand, ... } | literal                        a map that begins with "$" holds operators
//
// Nothing is ignored: an operator that is unknown, or that a later version brings, refuses the filter and is named with its path.

import CSupport
import NexaWire

struct FilterCompiler {
    private(set) var program = FilterProgram()
    private(set) var keyRange = KeyRange()
    private let limits: FilterLimits

    init(limits: FilterLimits) {
        self.limits = limits
    }

    mutating func compile(_ filter: UnsafeRawBufferPointer) throws(DocumentError) {
        if filter.isEmpty || filter[0] == 0xC0 {
            let root = begin(NEXA_FILTER_AND)
            end(root)
            return
        }
        var reader = MessagePackReader(filter)
        guard reader.nextKind == .map else { throw FilterCompiler.refuse("A filter is a map of fields and conditions") }
        do throws(MessagePackError) {
            guard try MessagePackReader(filter).measured() == filter.count else { throw MessagePackError(.wrongType, at: 0) }
        } catch {
            throw FilterCompiler.malformed(error)
        }
        try compileMap(&reader, depth: 0, bindsKey: true)
        keyRange.settle()
    }

    // MARK: Maps of fields

    /// A map of fields and logical operators, all of which must hold. `bindsKey`: every match must satisfy it, so it bounds `_id`.
    private mutating func compileMap(_ reader: inout MessagePackReader, depth: Int, bindsKey: Bool) throws(DocumentError) {
        guard depth <= limits.depthMax else { throw tooComplex("nests deeper than \(limits.depthMax) operators") }
        let node = begin(NEXA_FILTER_AND)
        for _ in 0..<(try mapHeader(&reader)) {
            try checkNodeCount()
            let name = try key(&reader)
            if name.first == UInt8(ascii: "$") {
                try compileLogical(name, &reader, depth: depth, bindsKey: bindsKey)
            } else {
                try compileField(try path(name), &reader, depth: depth, bindsKey: bindsKey)
            }
        }
        end(node)
    }

    private mutating func compileLogical(
        _ name: UnsafeRawBufferPointer, _ reader: inout MessagePackReader, depth: Int, bindsKey: Bool
    ) throws(DocumentError) {
        let op: nexa_filter_op
        switch FilterOperator(name) {
        case .and: op = NEXA_FILTER_AND
        case .or: op = NEXA_FILTER_OR
        case .nor: op = NEXA_FILTER_NOR
        case .some: throw refuse(name, "stands in a field's condition, as in {\"field\": {\"\(text(name))\": ...}}")
        case nil: throw refuse(name, "is not known")
        }
        guard reader.nextKind == .array, let count = try? reader.readArrayHeader(), count > 0 else {
            throw refuse(name, "needs a list of at least one filter")
        }
        let node = begin(op)
        for _ in 0..<count {
            try checkNodeCount()
            guard reader.nextKind == .map else { throw refuse(name, "needs a list of filters, each of them a map") }
            try compileMap(&reader, depth: depth + 1, bindsKey: bindsKey && op == NEXA_FILTER_AND)
        }
        end(node)
    }

    // MARK: Conditions of one field

    private mutating func compileField(
        _ path: FilterPath, _ reader: inout MessagePackReader, depth: Int, bindsKey: Bool
    ) throws(DocumentError) {
        if try holdsOperators(reader, path) {
            try compileOperators(path, &reader, depth: depth, bindsKey: bindsKey)
        } else {
            try compileComparison(NEXA_FILTER_EQ, path, try value(&reader), bindsKey: bindsKey)
        }
    }

    /// A map of operators on `path`, all of which must hold.
    private mutating func compileOperators(
        _ path: FilterPath, _ reader: inout MessagePackReader, depth: Int, bindsKey: Bool
    ) throws(DocumentError) {
        guard depth <= limits.depthMax else { throw tooComplex("nests deeper than \(limits.depthMax) operators") }
        for _ in 0..<(try mapHeader(&reader)) {
            try checkNodeCount()
            let name = try key(&reader)
            switch FilterOperator(name) {
            case .eq: try compileComparison(NEXA_FILTER_EQ, path, try value(&reader), bindsKey: bindsKey)
            case .gt: try compileComparison(NEXA_FILTER_GT, path, try value(&reader), bindsKey: bindsKey)
            case .gte: try compileComparison(NEXA_FILTER_GTE, path, try value(&reader), bindsKey: bindsKey)
            case .lt: try compileComparison(NEXA_FILTER_LT, path, try value(&reader), bindsKey: bindsKey)
            case .lte: try compileComparison(NEXA_FILTER_LTE, path, try value(&reader), bindsKey: bindsKey)
            case .ne:
                let node = begin(NEXA_FILTER_NOT)
                try compileComparison(NEXA_FILTER_EQ, path, try value(&reader), bindsKey: false)
                end(node)
            case .in: try compileMembers(name, path, &reader, bindsKey: bindsKey)
            case .nin:
                let node = begin(NEXA_FILTER_NOT)
                try compileMembers(name, path, &reader, bindsKey: false)
                end(node)
            case .exists:
                let node = FilterCompiler.isTrue(try value(&reader)) ? nil : begin(NEXA_FILTER_NOT)
                end(begin(NEXA_FILTER_EXISTS, path))
                if let node { end(node) }
            case .not:
                guard reader.nextKind == .map, try holdsOperators(reader, path) else {
                    throw refuse(name, at: path, "needs a map of operators")
                }
                let node = begin(NEXA_FILTER_NOT)
                try compileOperators(path, &reader, depth: depth + 1, bindsKey: false)
                end(node)
            case .later: throw refuse(name, at: path, "is not supported by this version")
            case .and, .or, .nor: throw refuse(name, at: path, "stands beside fields, not in a field's condition")
            case nil: throw refuse(name, at: path, "is not known")
            }
        }
    }

    private mutating func compileComparison(
        _ op: nexa_filter_op, _ path: FilterPath, _ operand: UnsafeRawBufferPointer, bindsKey: Bool
    ) throws(DocumentError) {
        let node = begin(op, path)
        program.nodes[node].operand = UInt32(program.pool.count)
        program.nodes[node].operand_len = UInt32(operand.count)
        program.pool.append(contentsOf: operand)
        end(node)
        guard bindsKey, path.isKey, let key = FilterCompiler.string(operand) else { return }
        switch op {
        case NEXA_FILTER_EQ: keyRange.require(oneOf: [key])
        case NEXA_FILTER_GT: keyRange.require(atLeast: KeyRange.successor(of: key))
        case NEXA_FILTER_GTE: keyRange.require(atLeast: key)
        case NEXA_FILTER_LT: keyRange.require(below: key)
        default: keyRange.require(below: KeyRange.successor(of: key))
        }
    }

    private mutating func compileMembers(
        _ name: UnsafeRawBufferPointer, _ path: FilterPath, _ reader: inout MessagePackReader, bindsKey: Bool
    ) throws(DocumentError) {
        guard reader.nextKind == .array, let count = try? reader.readArrayHeader() else {
            throw refuse(name, at: path, "needs a list of values")
        }
        guard program.members.count + count <= limits.memberCountMax else {
            throw tooComplex("has more than \(limits.memberCountMax) values in its lists")
        }
        let node = begin(NEXA_FILTER_IN, path)
        var members: [UnsafeRawBufferPointer] = []
        members.reserveCapacity(count)
        for _ in 0..<count {
            let member = try value(&reader)
            if MessagePackReader(member).nextKind == .map, FilterCompiler.beginsWithOperator(member) {
                throw refuse(name, at: path, "cannot hold operators in its list")
            }
            members.append(member)
        }
        members.sort { nexa_mp_compare($0.baseAddress, $0.count, $1.baseAddress, $1.count) < 0 }
        program.nodes[node].operand = UInt32(program.members.count)
        program.nodes[node].operand_len = UInt32(count)
        for member in members {
            program.members.append(nexa_filter_member(offset: UInt32(program.pool.count), len: UInt32(member.count)))
            program.pool.append(contentsOf: member)
        }
        end(node)
        if bindsKey && path.isKey {
            let keys = members.compactMap { FilterCompiler.string($0) }
            if keys.count == members.count { keyRange.require(oneOf: keys) }
        }
    }

    // MARK: Program parts

    /// Appends a node whose children follow until `end`; returns its index.
    private mutating func begin(_ op: nexa_filter_op, _ path: FilterPath? = nil) -> Int {
        var node = nexa_filter_node()
        node.op = op.rawValue
        if let path {
            node.segment = UInt32(path.segments.lowerBound)
            node.segment_count = UInt32(path.segments.count)
        }
        program.nodes.append(node)
        return program.nodes.count - 1
    }

    private mutating func end(_ node: Int) {
        program.nodes[node].end = UInt32(program.nodes.count)
    }

    private func checkNodeCount() throws(DocumentError) {
        if program.nodes.count >= limits.nodeCountMax { throw tooComplex("has more than \(limits.nodeCountMax) conditions") }
    }

    /// Adds a dotted path to the program.
    private mutating func path(_ name: UnsafeRawBufferPointer) throws(DocumentError) -> FilterPath {
        var buffer = [nexa_segment](repeating: nexa_segment(), count: limits.pathSegmentCountMax)
        let count = nexa_path_split(name.baseAddress, name.count, &buffer, buffer.count)
        guard count > 0 else {
            let dots = name.lazy.filter { $0 == UInt8(ascii: ".") }.count
            if dots >= limits.pathSegmentCountMax {
                throw tooComplex("has a path of more than \(limits.pathSegmentCountMax) segments")
            }
            throw FilterCompiler.refuse(
                "Bad filter: the path '\(text(name))' has an empty segment or more than \(NEXA_PATH_INDEXES_MAX) array indexes",
                path: text(name))
        }
        let base = UInt32(program.pool.count)
        let first = program.segments.count
        program.pool.append(contentsOf: name)
        for segment in buffer[..<count] {
            program.segments.append(nexa_segment(offset: base + segment.offset, len: segment.len, index: segment.index))
        }
        return FilterPath(name: name, segments: first..<first + count)
    }
}

/// A path that stands in the program.
struct FilterPath {
    /// The dotted text, borrowed from the filter's bytes.
    let name: UnsafeRawBufferPointer
    let segments: Range<Int>
    var isKey: Bool { name.elementsEqual("_id".utf8) }
}

import CSupport
import NexaWire

/// One level of a projection's tree of names: the names that a map is looked through for, each once.
///
/// Look-up is linear up to eight names and hashed beyond, so that a projection costs O(fields of the document) however many names it has.
struct ProjectionLevel: Sendable {
    /// A name. A leaf speaks of the whole value.
    struct Node: Sendable {
        let name: [UInt8]
        var children = ProjectionLevel()

        var isLeaf: Bool { children.nodes.isEmpty }
    }

    private static let linearCountMax = 8

    private(set) var nodes: [Node] = []
    /// Open addressing over `nodes`: index + 1, 0 is empty. Only for more than `linearCountMax` names.
    private var slots: [UInt16] = []
    /// Random, so that nobody can choose names that collide.
    private var seed: UInt64 = 0

    // MARK: Building

    /// Adds a leaf in the place of what the name meant before.
    mutating func append(_ name: StaticString) {
        let name = Array("\(name)".utf8)
        nodes.removeAll { $0.name == name }
        nodes.append(Node(name: name))
    }

    /// Adds a path. BAD_REQUEST if it, a part of it or a part of what it names is there already.
    mutating func insert(_ path: FieldPath, from segment: Int = 0) throws(DocumentError) {
        let name = Array(path.name(segment))
        let isLast = segment == path.segmentCount - 1
        if let index = nodes.firstIndex(where: { $0.name == name }) {
            if isLast || nodes[index].isLeaf {
                throw DocumentError(
                    .badRequest, "'projection' names a field twice or a field and a part of it",
                    details: [.init("path", .string(String(decoding: path.text, as: UTF8.self)))])
            }
            try nodes[index].children.insert(path, from: segment + 1)
        } else {
            var node = Node(name: name)
            if !isLast { try node.children.insert(path, from: segment + 1) }
            nodes.append(node)
        }
    }

    /// Ends the building.
    mutating func seal() {
        for index in nodes.indices { nodes[index].children.seal() }
        guard nodes.count > Self.linearCountMax else { return }
        precondition(nodes.count <= Projection.pathCountMax + 2)
        seed = UInt64.random(in: .min ... .max)
        var capacity = 32
        while capacity < nodes.count * 2 { capacity *= 2 }
        slots = [UInt16](repeating: 0, count: capacity)
        for index in nodes.indices {
            var slot = nodes[index].name.withUnsafeBytes { self.slot($0) }
            while slots[slot] != 0 { slot = (slot + 1) & (capacity - 1) }
            slots[slot] = UInt16(index + 1)
        }
    }

    // MARK: Look-up

    /// The place of a name in `nodes`.
    func find(_ name: UnsafeRawBufferPointer) -> Int? {
        if slots.isEmpty { return nodes.indices.first { isNamed($0, name) } }
        var slot = slot(name)
        while slots[slot] != 0 {
            let index = Int(slots[slot]) - 1
            if isNamed(index, name) { return index }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    @inline(__always)
    private func isNamed(_ index: Int, _ name: UnsafeRawBufferPointer) -> Bool {
        nodes[index].name.withUnsafeBytes { areEqual($0, name) }
    }

    private func slot(_ name: UnsafeRawBufferPointer) -> Int {
        Int(truncatingIfNeeded: nexa_xxh3(name.baseAddress, name.count, seed)) & (slots.count - 1)
    }
}

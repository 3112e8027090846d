import NexaWire

/// A stored document on its way out, in the shape of a dialect: at most a new map header, a field in front and a field left out.
extension DocumentView {
    /// Appends the document as one MessagePack map.
    package func append(to output: OutputBytes, shape: DocumentShape) {
        let addsID = shape.contains(.addsID) && !flags.contains(.ownID)
        let dropsVector = shape.contains(.dropsVector) && flags.contains(.vector)
        let addsRevision = shape.contains(.addsRevision)
        guard addsID || dropsVector || addsRevision, let walk = FieldWalk(bytes) else {
            output.append(bytes)
            return
        }
        let dropped = dropsVector ? vectorEntry() : 0..<0
        let change = (addsID ? 1 : 0) + (addsRevision ? 1 : 0) - (dropped.isEmpty ? 0 : 1)
        output.writeMapHeader(walk.fieldCount + change)
        if addsID {
            output.writeString("id")
            output.writeString(bytes: key)
        }
        if dropped.isEmpty {
            output.append(UnsafeRawBufferPointer(rebasing: bytes[walk.bodyStart...]))
        } else {
            output.append(UnsafeRawBufferPointer(rebasing: bytes[walk.bodyStart..<dropped.lowerBound]))
            output.append(UnsafeRawBufferPointer(rebasing: bytes[dropped.upperBound...]))
        }
        if addsRevision {
            output.writeString("_rev")
            output.writeUInt(lsn)
        }
    }

    private func vectorEntry() -> Range<Int> {
        guard var walk = FieldWalk(bytes) else { return 0..<0 }
        while walk.next() {
            if walk.isNamed("vector") { return walk.entryStart..<walk.position }
        }
        return 0..<0
    }
}

import CSupport

/// Merges children into one internal order. At an equal (key, LSN) the child with the lower index comes first: pass newest first.
///
/// A heap of heads, each with the prefix of its child's key, so that most comparisons are of two integers. The runner-up is
/// remembered: as long as the same child stays in front of it, a step costs the child's own step and one comparison.
/// No reference counting per entry: the heap holds plain pointers, `children` keeps the objects.
package final class MergingIterator: InternalIterator {
    private struct Head {
        var prefix: UInt64
        var entry: UnsafeMutablePointer<nexa_entry>
        var child: Int
    }

    private let children: [InternalIterator]
    /// The valid children; `heads[0]` is the one to show.
    private let heads: UnsafeMutablePointer<Head>
    private var headCount = 0
    /// The better of the root's two children in the heap; 0: to be found.
    private var runnerUp = 0

    package init(_ children: [InternalIterator]) {
        self.children = children
        heads = .allocate(capacity: max(children.count, 1))
        super.init()
    }

    deinit { heads.deallocate() }

    package override func seekToFirst() throws(StorageError) {
        invalidate()
        for child in children { try child.seekToFirst() }
        rebuild()
    }

    package override func seek(_ key: UnsafeRawBufferPointer, _ lsn: LSN) throws(StorageError) {
        invalidate()
        for child in children { try child.seek(key, lsn) }
        rebuild()
    }

    package override func next() throws(StorageError) {
        let child = children[heads[0].child]
        do throws(StorageError) { try child.next() } catch {
            invalidate()
            throw error
        }
        settle()
    }

    override func skipHidden(to end: UnsafeRawBufferPointer, by tombstone: LSN) throws(StorageError) -> Bool {
        var moved = false
        for child in children where child.isValid && compareKeys(child.key, end) < 0 {
            if try child.skipHidden(to: end, by: tombstone) { moved = true }
        }
        if moved { rebuild() }
        return moved
    }

    // MARK: the heap

    private func invalidate() {
        headCount = 0
        entry.pointee.valid = false
    }

    /// `left` is shown before `right`.
    @inline(__always)
    private func isBefore(_ left: Head, _ right: Head) -> Bool {
        if left.prefix != right.prefix { return left.prefix < right.prefix }
        return isBeforeByKey(left, right)
    }

    private func isBeforeByKey(_ left: Head, _ right: Head) -> Bool {
        let (a, b) = (left.entry.pointee, right.entry.pointee)
        let order = nexa_internal_compare(a.key, Int(a.key_len), a.lsn, b.key, Int(b.key_len), b.lsn)
        return order == 0 ? left.child < right.child : order < 0
    }

    private func rebuild() {
        headCount = 0
        for (index, child) in children.enumerated() where child.isValid {
            let entry = child.entry
            let prefix = nexa_key_prefix(entry.pointee.key, Int(entry.pointee.key_len))
            (heads + headCount).initialize(to: Head(prefix: prefix, entry: entry, child: index))
            headCount += 1
        }
        for position in stride(from: headCount / 2 - 1, through: 0, by: -1) { siftDown(position) }
        runnerUp = 0
        show()
    }

    /// The child in front has moved: puts it where it belongs.
    private func settle() {
        let entry = heads[0].entry
        if entry.pointee.valid {
            heads[0].prefix = nexa_key_prefix(entry.pointee.key, Int(entry.pointee.key_len))
            guard headCount > 1 else { return show() }
            if runnerUp == 0 { runnerUp = headCount > 2 && isBefore(heads[2], heads[1]) ? 2 : 1 }
            if isBefore(heads[0], heads[runnerUp]) { return show() }
        } else {
            headCount -= 1
            if headCount > 0 { heads[0] = heads[headCount] }
        }
        siftDown(0)
        runnerUp = 0
        show()
    }

    private func siftDown(_ start: Int) {
        var position = start
        while true {
            var best = 2 * position + 1
            guard best < headCount else { return }
            if best + 1 < headCount, isBefore(heads[best + 1], heads[best]) { best += 1 }
            guard isBefore(heads[best], heads[position]) else { return }
            swap(&heads[best], &heads[position])
            position = best
        }
    }

    @inline(__always)
    private func show() {
        if headCount > 0 { entry.pointee = heads[0].entry.pointee } else { entry.pointee.valid = false }
    }
}

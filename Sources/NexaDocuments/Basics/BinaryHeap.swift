/// A binary heap in an array: the element that is above all others stands first, and a parent is never below its children.
///
/// `isAbove` is the order; the same one for every call on one array. In this module, so that the order is inlined.
extension ContiguousArray {
    /// Restores the order after an element was appended. O(log n).
    @inline(__always)
    mutating func siftLastUp(isAbove: (Element, Element) -> Bool) {
        var child = count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard isAbove(self[child], self[parent]) else { return }
            swapAt(parent, child)
            child = parent
        }
    }

    /// Restores the order below `start`, whose element was replaced. O(log n).
    @inline(__always)
    mutating func siftDown(from start: Int = 0, isAbove: (Element, Element) -> Bool) {
        var parent = start
        while true {
            var child = parent * 2 + 1
            guard child < count else { return }
            if child + 1 < count && isAbove(self[child + 1], self[child]) { child += 1 }
            guard isAbove(self[child], self[parent]) else { return }
            swapAt(parent, child)
            parent = child
        }
    }

    /// Makes a heap of elements in any order. O(n).
    @inline(__always)
    mutating func makeHeap(isAbove: (Element, Element) -> Bool) {
        for index in stride(from: count / 2 - 1, through: 0, by: -1) { siftDown(from: index, isAbove: isAbove) }
    }

    /// Takes out the first element. O(log n).
    @inline(__always)
    mutating func popTop(isAbove: (Element, Element) -> Bool) -> Element? {
        guard let top = first else { return nil }
        let last = removeLast()
        if !isEmpty {
            self[0] = last
            siftDown(isAbove: isAbove)
        }
        return top
    }
}

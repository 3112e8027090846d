/// Merges children into one internal order. At an equal (key, lsn) the child with the lower index comes first: pass newest sources first.
package final class MergingIterator: InternalIterator {
    package init(_ children: [InternalIterator]) { fatalError("not built yet") }
}

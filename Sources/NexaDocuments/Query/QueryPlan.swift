/// How a query finds its documents, for people who wonder why it takes its time (EXPLAIN).
package struct QueryPlan: Equatable, Sendable {
    /// Which documents the filter is held against.
    package enum Access: Equatable, Sendable {
        /// None: the filter contradicts itself.
        case nothing
        /// So many keys, which the filter names.
        case keys(Int)
        /// Keys from `lower` on and below `upper`; nil: no such bound.
        case range(lower: [UInt8]?, upper: [UInt8]?)
        /// The whole collection.
        case collection

        init(_ range: KeyRange) {
            if range.isEmpty {
                self = .nothing
            } else if let keys = range.exactKeys {
                self = .keys(keys.count)
            } else if range.isUnbounded {
                self = .collection
            } else {
                self = .range(lower: range.lower, upper: range.upper)
            }
        }
    }

    package enum Order: String, Sendable {
        /// As they come, which is the order of their keys.
        case none
        /// Asked for, and the one in which they come anyway.
        case key
        /// Collected first, and sorted in memory.
        case memory
    }

    package var access: Access
    package var order: Order
    /// Whether a document has to be looked into.
    package var isFiltered: Bool

    package init(access: Access, order: Order, isFiltered: Bool) {
        self.access = access
        self.order = order
        self.isFiltered = isFiltered
    }
}

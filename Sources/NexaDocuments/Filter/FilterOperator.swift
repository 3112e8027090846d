// The names of filter operators.

/// An operator of the filter language.
enum FilterOperator {
    case eq, ne, gt, gte, lt, lte, `in`, nin, exists, not
    case and, or, nor
    /// Known, but not part of this version: refused like an unknown one, with a text that says so.
    case later

    init?(_ name: UnsafeRawBufferPointer) {
        // Longer names are no operators: no need to look at them, nor to make a String of them.
        guard name.count <= 16 else { return nil }
        switch String(decoding: name, as: UTF8.self) {
        case "$eq": self = .eq
        case "$ne": self = .ne
        case "$gt": self = .gt
        case "$gte": self = .gte
        case "$lt": self = .lt
        case "$lte": self = .lte
        case "$in": self = .in
        case "$nin": self = .nin
        case "$exists": self = .exists
        case "$not": self = .not
        case "$and": self = .and
        case "$or": self = .or
        case "$nor": self = .nor
        case "$all", "$elemMatch", "$mod", "$options", "$regex", "$size", "$type": self = .later
        default: return nil
        }
    }
}

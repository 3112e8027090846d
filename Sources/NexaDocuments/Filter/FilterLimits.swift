// Limits that keep a hostile filter from costing more than a fraction of a second, to compile and for each document.

/// Bounds on the size of a filter. Each is reported as BAD_FILTER with the limit named.
package struct FilterLimits: Sendable {
    /// Conditions and logical operators together: what each document may cost.
    package var nodeCountMax = 1_000
    /// Logical operators within each other.
    package var depthMax = 100
    /// Segments of one dotted path.
    package var pathSegmentCountMax = 100
    /// Values of all `$in` and `$nin` lists together. They are sorted once and searched by halves, so a document pays their logarithm.
    package var memberCountMax = 50_000

    package init() {}
}

/// How a person says that an answer is not wanted any more.
package struct Interruption: Sendable {
    /// Becomes readable when there is something to take.
    package let descriptor: Int32
    /// Takes everything that came; true when an interruption was among it.
    package let take: @Sendable () -> Bool

    package init(descriptor: Int32, take: @escaping @Sendable () -> Bool) {
        self.descriptor = descriptor
        self.take = take
    }
}

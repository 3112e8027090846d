/// The bounds of one connection, from the configuration, in the units that the machine compares.

package struct ConnectionLimits: Sendable, Equatable {
    /// Largest announced frame length.
    package var frameByteCountMax: Int
    /// Answers not taken by the client above which requests are no longer read.
    package var outputByteCountMax: Int
    /// Requests given to the work pool and open streams together.
    package var inFlightCountMax: Int
    package var streamCountMax: Int
    /// Time limits in milliseconds; 0: none.
    package var handshakeMilliseconds: UInt64
    package var idleMilliseconds: UInt64
    package var frameMilliseconds: UInt64
    package var writeStallMilliseconds: UInt64
    package var streamMilliseconds: UInt64

    package init(_ configuration: ServerConfiguration) {
        frameByteCountMax = configuration.frameByteCountMax.value
        outputByteCountMax = configuration.outputByteCountMax.value
        inFlightCountMax = configuration.inFlightCountMax
        streamCountMax = configuration.streamCountMax
        handshakeMilliseconds = UInt64(configuration.handshakeLimit.milliseconds)
        idleMilliseconds = UInt64(configuration.idleLimit.milliseconds)
        frameMilliseconds = UInt64(configuration.frameLimit.milliseconds)
        writeStallMilliseconds = UInt64(configuration.writeStallLimit.milliseconds)
        streamMilliseconds = UInt64(configuration.streamLimit.milliseconds)
    }
}

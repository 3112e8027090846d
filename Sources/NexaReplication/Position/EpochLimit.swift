import NexaStorage

/// The highest LSN that keys of a store can carry.
let lsnMax: LSN = 1 << 60 - 1

extension Epoch {
    /// Epochs from here on are refused wherever they come from: nothing that is counted up from a smaller one overflows, and the file that
    /// keeps a promise has two bits to spare.
    static let tooHigh: Epoch = 1 << 62 - 64

    /// Nor does anybody who has not seen this node for a while come back with an epoch this far above its own: one message must not bring
    /// a cluster to the end of its numbers.
    static let leapMax: Epoch = 1 << 32
}

import NexaStorage

extension Epoch {
    /// Epochs from here on are refused wherever they come from: nothing that is counted up from a smaller one overflows, and the file that
    /// keeps a promise has two bits to spare.
    static let tooHigh: Epoch = 1 << 62 - 64
}

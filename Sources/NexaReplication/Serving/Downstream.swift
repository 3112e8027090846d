// One follower's connection, on the side that feeds it. There is no queue: what is to be sent is a range of the log.
//
//     asked --(welcome: stream)--> streaming
//     asked --(welcome: truncate, snapshot)--> preparing --(STREAM_START_AT)--> streaming
//
//     acknowledged <= sentThrough <= own durable            one ship order at a time, as long as the window has room

import NexaStorage

/// The state of one follower's stream.
struct Downstream: Sendable {
    enum Phase: Equatable, Sendable {
        /// Its hello waits for a chain to be read.
        case asked(Hello)
        /// It cuts its log or pulls a snapshot.
        case preparing
        /// Its STREAM_START_AT waits for a chain to be read.
        case starting(StreamStartAt)
        case streaming
    }

    let session: SessionID
    let node: NodeID
    var name: String
    var address: String
    var slot: String
    /// The length of the chain that began with it when it came.
    let depth: Int
    var phase: Phase
    var windowByteCount: UInt64
    var inFlight = InFlightBytes()
    /// A ship order is under way.
    var isShipping = false
    var sentThrough: LSN = 0
    var written: LSN = 0
    var durable: LSN = 0
    var applied: LSN = 0
    var relayed: [Ack.Downstream] = []
    /// It does not count for commits yet, or has not said so far that it does.
    var isNewcomer = true
    /// The commit point that the last frame told.
    var toldCommitted: LSN = 0
    /// When the last frame was sent, and the last one heard.
    var lastSent: Microseconds
    var lastHeard: Microseconds
    /// When it last wrote something of what was on its way.
    var lastProgress: Microseconds
    /// `sentAt` of its last ACK, on its clock.
    var theirClock: Microseconds = 0
    /// The `sentAt` of ours that its last ACK echoed.
    var echoed: Microseconds = 0

    init(session: SessionID, hello: Hello, windowByteCount: UInt64, now: Microseconds) {
        self.session = session
        node = hello.node
        name = hello.name
        address = hello.address
        depth = hello.depth
        slot = hello.slot.isEmpty ? hello.name : hello.slot
        phase = .asked(hello)
        self.windowByteCount = windowByteCount
        lastSent = now
        lastHeard = now
        lastProgress = now
    }

    /// Whether a ship order may go out: one record always may be on its way, however large.
    var hasRoom: Bool { inFlight.byteCount == 0 || inFlight.byteCount < windowByteCount }
}

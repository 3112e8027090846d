/// What a command knows about its request besides the fields, and what it may say when it is done.

import NexaDocuments
import NexaStorage
import NexaWire

/// One request on its way through the executor.
struct Call {
    let type: MessageType
    let requestID: UInt32?
    /// The answer carries a position.
    let wantsToken: Bool
    /// The answer asks the client to send writes more slowly.
    let isSlowed: Bool
    /// The newest write of this connection: reads see at least this.
    let floor: LSN
    /// What it brings along when it waited before.
    var wait = WaitState()
    /// Of a CONNECT whose credentials were found right.
    var principal: Principal?
}

/// How a command ended.
package enum Outcome {
    /// The answer is in the output; it may leave when `hold` is acknowledged (0: at once). `commitCount` batches were committed.
    case answered(hold: LSN, commitCount: Int)
    /// Nothing was done: the command may wait for the disk or take long, and belongs into the work pool.
    case offload
    /// The command goes on in slices; in the work pool only.
    case work(LongWork)
    /// The answer is in the output; take no more requests and close.
    case disconnect
    /// End what the target names; the handler answers.
    case cancel(CancelTarget)
    /// A CONNECT whose credentials are to be looked at; it is executed again as that user.
    case logIn(Credentials)
    /// The connection is for another node, which logged in as `principal`: hand it over; the answer comes from there.
    case replicate(as: Principal?)
    /// Begin a subscription; the handler answers.
    case subscribe(SubscriptionRequest)
    /// End subscriptions; the handler answers.
    case unsubscribe(SubscriptionTarget)
    /// The client takes `chunkCount` more chunks of a stream; there is no answer.
    case credit(stream: UInt64, chunkCount: Int)
}

/// What a CANCEL names.
package enum CancelTarget: Equatable, Sendable {
    case stream(UInt64)
    case request(UInt32)
}

// The messages of replication: control is a MessagePack map (unknown keys are ignored, so fields can be added), the three hot ones
// are arrays without names, and bulk bytes are the last element of theirs, as `bin`, so that a receiver slices instead of copying.
//
// Decoders are total: whatever the bytes, the answer is a message within its limits or a MessageError. They do not rely on the payload gate
// having run. The list of types with their fields is in docs/replication.md.

import NexaStorage
import NexaWire

/// Why bytes are not the message they claim to be.
package enum MessageError: Error, Equatable, Sendable {
    case malformed(MessagePackError)
    case missing(field: String)
    case badField(String)
    case tooMany(field: String, limit: Int)
    case notReplication(UInt8)

    package var wireError: WireError {
        switch self {
        case .malformed(let error): error.wireError
        case .missing(let field):
            WireError(.badRequest, "Replication: '\(field)' is missing", details: [.init("field", .string(field))])
        case .badField(let field):
            WireError(.badRequest, "Replication: '\(field)' is not what it should be", details: [.init("field", .string(field))])
        case .tooMany(let field, let limit):
            WireError(
                .badRequest, "Replication: '\(field)' has more than \(limit) elements", details: [.init("field", .string(field))])
        case .notReplication: WireError(.unknownType, "Replication: no such message")
        }
    }
}

/// A message that is no bulk: everything but WAL_BATCH and SNAPSHOT_CHUNK, whose headers are `BatchHeader` and `ChunkHeader`.
package enum ReplicationMessage: Equatable, Sendable {
    case hello(Hello)
    case welcome(Welcome)
    case snapshotBegin(SnapshotBegin)
    case snapshotManifest(SnapshotManifest)
    case snapshotGet(SnapshotGet)
    case snapshotDone(SnapshotDone)
    case streamStartAt(StreamStartAt)
    case ack(Ack)
    case heartbeat(Heartbeat)
    case readIndex(ReadIndex)
    case readIndexReply(ReadIndexReply)
    case topology(Topology)
    case fence(Fence)
    case fenced(Fenced)
    case promoted(Promoted)
    case switchover(Switchover)
    case switchoverProgress(SwitchoverProgress)
    case nodeStatus
    case nodeStatusReply(NodeStatus)
    case slotAdmin(SlotAdmin)
    case slotAdminReply(SlotAdminReply)
    case verify(Verify)
    case verifyProgress(VerifyReply)
    case stop(ReplicationStop)
}

/// The largest payload of a control message; bulk frames may take `max_frame`.
package let replicationControlByteCountMax = 1 << 20

// The table of type bytes: one line per message, both ways.

import NexaWire

extension ReplicationMessage {
    /// The type byte of its frame.
    package var type: MessageType {
        switch self {
        case .hello: .replHello
        case .welcome: .replWelcome
        case .snapshotBegin: .snapshotBegin
        case .snapshotManifest: .snapshotManifest
        case .snapshotGet: .snapshotGet
        case .snapshotDone: .snapshotDone
        case .streamStartAt: .streamStartAt
        case .ack: .replAck
        case .heartbeat: .heartbeat
        case .readIndex: .readIndex
        case .readIndexReply: .readIndexReply
        case .topology: .topology
        case .fence: .fence
        case .fenced: .fenced
        case .promoted: .promoted
        case .switchover: .switchover
        case .switchoverProgress: .switchoverProgress
        case .nodeStatus: .nodeStatus
        case .nodeStatusReply: .nodeStatusReply
        case .slotAdmin: .slotAdmin
        case .slotAdminReply: .slotAdminReply
        case .verify: .verify
        case .verifyProgress: .verifyProgress
        case .stop: .replStop
        }
    }

    /// Appends the payload.
    package func encode(into output: OutputBytes) {
        switch self {
        case .hello(let message): message.value.encode(into: output)
        case .welcome(let message): message.value.encode(into: output)
        case .snapshotBegin(let message): message.value.encode(into: output)
        case .snapshotManifest(let message): message.value.encode(into: output)
        case .snapshotGet(let message): message.value.encode(into: output)
        case .snapshotDone(let message): message.value.encode(into: output)
        case .streamStartAt(let message): message.value.encode(into: output)
        case .ack(let message): message.encode(into: output)
        case .heartbeat(let message): message.encode(into: output)
        case .readIndex(let message): message.value.encode(into: output)
        case .readIndexReply(let message): message.value.encode(into: output)
        case .topology(let message): message.value.encode(into: output)
        case .fence(let message): message.value.encode(into: output)
        case .fenced(let message): message.value.encode(into: output)
        case .promoted(let message): message.value.encode(into: output)
        case .switchover(let message): message.value.encode(into: output)
        case .switchoverProgress(let message): message.value.encode(into: output)
        case .nodeStatus: output.writeMapHeader(0)
        case .nodeStatusReply(let message): message.value.encode(into: output)
        case .slotAdmin(let message): message.value.encode(into: output)
        case .slotAdminReply(let message): message.value.encode(into: output)
        case .verify(let message): message.value.encode(into: output)
        case .verifyProgress(let message): message.value.encode(into: output)
        case .stop(let message): message.value.encode(into: output)
        }
    }

    /// Appends the whole frame.
    package func writeFrame(into output: OutputBytes, requestID: UInt32? = nil) {
        let mark = output.beginFrame(type, requestID: requestID)
        encode(into: output)
        output.endFrame(mark)
    }

    /// The message that a frame of `type` with this payload holds.
    package init(_ type: MessageType, decoding payload: UnsafeRawBufferPointer) throws(MessageError) {
        switch type {
        case .replHello: self = .hello(try Hello(ControlFields(payload)))
        case .replWelcome: self = .welcome(try Welcome(ControlFields(payload)))
        case .snapshotBegin: self = .snapshotBegin(try SnapshotBegin(ControlFields(payload)))
        case .snapshotManifest: self = .snapshotManifest(try SnapshotManifest(ControlFields(payload)))
        case .snapshotGet: self = .snapshotGet(try SnapshotGet(ControlFields(payload)))
        case .snapshotDone: self = .snapshotDone(try SnapshotDone(ControlFields(payload)))
        case .streamStartAt: self = .streamStartAt(try StreamStartAt(ControlFields(payload)))
        case .replAck: self = .ack(try Ack(payload))
        case .heartbeat: self = .heartbeat(try Heartbeat(payload))
        case .readIndex: self = .readIndex(try ReadIndex(ControlFields(payload)))
        case .readIndexReply: self = .readIndexReply(try ReadIndexReply(ControlFields(payload)))
        case .topology: self = .topology(try Topology(ControlFields(payload)))
        case .fence: self = .fence(try Fence(ControlFields(payload)))
        case .fenced: self = .fenced(try Fenced(ControlFields(payload)))
        case .promoted: self = .promoted(try Promoted(ControlFields(payload)))
        case .switchover: self = .switchover(try Switchover(ControlFields(payload)))
        case .switchoverProgress: self = .switchoverProgress(try SwitchoverProgress(ControlFields(payload)))
        case .nodeStatus: self = .nodeStatus
        case .nodeStatusReply: self = .nodeStatusReply(try NodeStatus(ControlFields(payload)))
        case .slotAdmin: self = .slotAdmin(try SlotAdmin(ControlFields(payload)))
        case .slotAdminReply: self = .slotAdminReply(try SlotAdminReply(ControlFields(payload)))
        case .verify: self = .verify(try Verify(ControlFields(payload)))
        case .verifyProgress: self = .verifyProgress(try VerifyReply(ControlFields(payload)))
        case .replStop: self = .stop(try ReplicationStop(ControlFields(payload)))
        default: throw .notReplication(type.rawValue)
        }
    }
}
